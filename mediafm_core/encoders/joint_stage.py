"""What a joint encoder makes of a title: one pass, of which each modality's step takes its block.

The pass is kept in the home's work folder by what it was made from: a cache, as working sets are. Whichever step comes
first makes it; where it is gone, or two processes begin at once, it is made again.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.encoders.declaring import place_of
from mediafm_core.encoders.joint import JointShot, Vectors, blocks
from mediafm_core.encoders.offered import Offered, n_threads
from mediafm_core.encoders.suites import libraries_of, load_joint
from mediafm_core.identity import Span
from mediafm_core.media.cache import working_set
from mediafm_core.media.working_set import audio_of, stills_of
from mediafm_core.planning.making import hash_of, plain
from mediafm_core.planning.state import Step
from mediafm_core.store.vectors import spans_of, vector_table
from mediafm_core.workbench import Bench, Draft

MAX_KEPT_BYTES = 4 << 30
"""Of passes on disk; those used longest ago go first."""


def is_joint(bench: Bench, step: Step, modality: Modality) -> bool:
    """Whether a step's modality is perceived in one pass with others."""
    return len(bench.suite(step).read_with(modality)) > 1


def make_jointly(bench: Bench, step: Step, modality: Modality) -> Draft:
    """One modality's vector per shot, by one pass over all that the encoder perceives; zeros where it has none."""
    suite = bench.suite(step)
    spans = spans_of(bench.read_table(step, "shots"))
    path = bench.home.work / f"{_NAMED}{_pass_of(suite, step, modality)}.npy"
    vectors = _kept(path, len(spans))
    was_kept = vectors is not None
    if vectors is None:
        vectors = _encoded(bench, step, modality, spans)
        _keep(path, vectors)
    block = blocks({m: suite.spec(m) for m in suite.read_with(modality)}, vectors)[modality]
    facts = {"n_shots": len(spans), "dims": block.shape[1], "passes": 0 if was_kept else 1}
    return Draft(vector_table(spans, block), facts, libraries_of(suite.spec(modality)))


def _encoded(bench: Bench, step: Step, modality: Modality, spans: list[Span]) -> Vectors:
    suite = bench.suite(step)
    spec = suite.spec(modality)
    encoder = load_joint(spec, n_threads=n_threads(), place=place_of(bench.home, spec))
    read = _reader(bench, step, suite.read_with(modality), spans)
    return encoder.encode_shots(Offered(spans, read, bench.reporter.advance))


def _reader(bench: Bench, step: Step, together: tuple[Modality, ...], spans: list[Span]) -> Callable[[Span], JointShot]:
    """What a shot offers in these modalities."""
    decoded = working_set(bench, step)
    said = bench.read_table(step, "timed_text")["text"].to_pylist() if Modality.TEXT in together else [""] * len(spans)
    texts = dict(zip(spans, said, strict=True))
    at_most = bench.suite(step).spec(together[0]).instrument.settings.get("stills_per_shot", 8)

    def read(span: Span) -> JointShot:
        offered = JointShot(text=texts[span])
        if Modality.VIDEO in together:
            offered = offered._replace(stills=stills_of(decoded, span, at_most))
        return offered._replace(sound=audio_of(decoded, span)) if Modality.AUDIO in together else offered

    return read


_NAMED = "joint-"


def _pass_of(suite: Suite, step: Step, modality: Modality) -> str:
    """The name of a pass: the same for the steps of all modalities that it serves."""
    made_from = {name: value for name, value in step.ingredients.items() if name not in ("code", "encoder")}
    return hash_of([made_from, [plain(suite.spec(m)) for m in suite.read_with(modality)]])


def _kept(path: Path, n_shots: int) -> Vectors | None:
    """A pass that is at hand; None where there is none, or another process removes it just now."""
    try:
        vectors = np.load(path)
    except FileNotFoundError:
        return None
    assert len(vectors) == n_shots, "it is named by the shots"
    os.utime(path)
    return vectors


def _keep(path: Path, vectors: Vectors) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{_NAMED}", delete=False) as file:
        np.save(file, vectors)
    Path(file.name).replace(path)
    passes = sorted(path.parent.glob(f"{_NAMED}*.npy"), key=lambda kept: kept.stat().st_mtime, reverse=True)
    sizes = np.cumsum([kept.stat().st_size for kept in passes])
    for stale, size in list(zip(passes, sizes, strict=True))[1:]:
        if size > MAX_KEPT_BYTES:
            stale.unlink(missing_ok=True)
