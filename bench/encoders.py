"""What it costs to look, listen and read: engines against one another, stages against the bare encoders."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa

from bench.harness import Figure
from bench.measuring import cpu_s, fresh_folder, interleaved, shown_s, torch_threads
from bench.media import CUT
from mediafm_core.catalogue.suite import Modality
from mediafm_core.identity import Span
from mediafm_core.media.cache import working_set
from mediafm_core.media.working_set import audio_of, stills_of
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import Manifest, Payload
from mediafm_core.store.vectors import span_columns
from mediafm_core.workbench import Bench, Draft, LogReporter

_LINE = "I told you not to come here and now look at what you have done to us"
_N_DETECTED = 150  # frames; three windows of 100, of which 50 each are kept


class Prepared(NamedTuple):
    """The sample in a home, decoded, with its shots and its timed text."""

    bench: Bench
    steps: dict[str, Step]
    spans: list[Span]


@cache
def prepared(n_texts: int = 0) -> Prepared:
    """The sample as far as the embeddings begin. Its shots are those of its truth, so no detector runs for it.

    Args:
        n_texts: if not 0, so many equal shots instead, each with a line of its own.
    """
    from mediafm_core.ingest.taking import examine, take
    from mediafm_core.timed_text.stage import make_timed_text

    home = new_home()
    take(home, examine(CUT))
    state = read_state(home)
    steps = {step.key.kind: step for step in desired(state).steps()}
    truth = json.loads((CUT.parent / f"{CUT.name}.truth.json").read_text())
    spans = [Span(i / 4, (i + 1) / 4) for i in range(n_texts)] or [Span(*piece["cut"]) for piece in truth]
    bench = Bench(home, state, LogReporter())
    _commit(home, steps["shots"], pa.table(span_columns(spans)))
    said = _lines(spans) if n_texts else make_timed_text(bench, steps["timed_text"]).payload
    _commit(home, steps["timed_text"], said)
    return Prepared(bench, steps, spans)


def _lines(spans: list[Span]) -> pa.Table:
    """A line for each shot, of 3 to 32 words."""
    words = (_LINE + " ") * 3
    texts = [" ".join(words.split()[i % 17 :][: 3 + 7 * i % 30]) for i in range(len(spans))]
    return pa.table({**span_columns(spans), "text": pa.array(texts)})


def new_home() -> Home:
    """An empty home with the embedded suite and its instruments."""
    from dataclasses import asdict

    from mediafm_core.encoders.suites import embedded_suite
    from mediafm_core.shots.detector import DETECTOR
    from mediafm_core.timed_text.recognition import RECOGNISER

    home, suite = Home.create(fresh_folder()), embedded_suite()
    home.declare("instrument", "detector", asdict(DETECTOR))
    home.declare("instrument", "recogniser", asdict(RECOGNISER))
    home.declare("suite", suite.id, asdict(suite))
    return home


def _commit(home: Home, step: Step, payload: Payload) -> None:
    home.commit(Manifest(key=step.key, ingredients=step.ingredients, inputs=step.inputs), payload)


def detector_engines() -> Figure:
    """CPU seconds of the shot detector on the sample's first frames: OpenVINO against torch, both in float32."""
    from mediafm_core.shots.transitions import transition_probabilities

    ready = prepared()
    frames = working_set(ready.bench, ready.steps["shots"]).frames[:_N_DETECTED]
    with torch_threads(1):
        pair = interleaved(
            lambda: transition_probabilities(frames, engine="openvino"),
            lambda: transition_probabilities(frames, engine="torch"),
            rounds=3,
            clock=cpu_s,
        )
    return pair.as_figure(f"{_N_DETECTED} frames by OpenVINO", "torch")


def stage_share(modality: Modality, n_texts: int = 0) -> Figure:
    """CPU seconds of the bare encoder on arrays at hand, over those of the stage that reads them from the home.

    Args:
        modality: which.
        n_texts: as in `prepared`.
    """
    from mediafm_core.encoders.offered import n_threads
    from mediafm_core.encoders.suites import load

    ready = prepared(n_texts)
    step = ready.steps[f"{modality}_embeddings"]
    encoder = load(ready.bench.suite(step).spec(modality), n_threads=n_threads())
    offered = _offered(ready, modality)
    pair = interleaved(
        lambda: encoder.encode(offered),
        lambda: _make(modality)(ready.bench, step),
        rounds=15 if modality is Modality.TEXT and not n_texts else 5,  # a short one is easily disturbed
        clock=cpu_s,
    )
    n_shots = len(ready.spans)
    return Figure(pair.ratio, f"{n_shots} shots: bare {shown_s(pair.ours_s)}, stage {shown_s(pair.peer_s)}")


def _make(modality: Modality) -> Callable[[Bench, Step], Draft]:
    from mediafm_core.encoders.stage import make_audio, make_text, make_video

    return {Modality.VIDEO: make_video, Modality.AUDIO: make_audio, Modality.TEXT: make_text}[modality]


def _offered(ready: Prepared, modality: Modality) -> list[Any]:
    if modality is Modality.TEXT:
        table = ready.bench.read_table(ready.steps["text_embeddings"], "timed_text")
        return table["text"].to_pylist()
    decoded = working_set(ready.bench, ready.steps["shots"])
    if modality is Modality.AUDIO:
        return [audio_of(decoded, span) for span in ready.spans]
    settings = ready.bench.suite(ready.steps["video_embeddings"]).video.instrument.settings
    return [stills_of(decoded, span, settings["stills_per_shot"]) for span in ready.spans]
