"""What every unimodal encoder keeps to, as one call that a package makes on its own encoder in its own tests.

    from mediafm_core.encoders.conformance import check_encoder
    check_encoder(ENTRY)

The encoders of this project are held to the same call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.encoders.afresh import records_of, said_afresh
from mediafm_core.encoders.joint import JointEntry
from mediafm_core.encoders.protocol import Entry, UnimodalEncoder
from mediafm_core.errors import ConformanceError
from mediafm_core.identity import canonical_json

Vectors = npt.NDArray[np.float32]

TOLERANCE = 1e-5
"""How far the vector of a shot may move with what stands beside it in a call, relative to the largest number."""

NOTHING = 1
"""Which of the sample shots offers nothing."""


def sample_shots(modality: Modality) -> list[Any]:
    """Four shots of a modality, all different, the second of which offers nothing; the same at each call."""
    draw = np.random.default_rng(7)
    match modality:
        case Modality.VIDEO:
            shapes = ((3, 224, 224), (0, 224, 224), (9, 224, 230), (1, 224, 398))
            return [draw.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
        case Modality.AUDIO:
            return [draw.integers(-9000, 9000, n, np.int16) for n in (16_000, 0, 1_600, 48_123)]
        case Modality.TEXT:
            return ["Somebody walks into a dark room.", "", "No!", "It rains, and " * 40]


def check_encoder(
    entry: Entry,
    shots: Sequence[Any] | None = None,
    *,
    nothing: int = NOTHING,
    tolerance: float = TOLERANCE,
    afresh: bool = True,
) -> None:
    """Hold an encoder to the laws of the protocol.

    Args:
        entry: how it is described and loaded; it is loaded twice, the second time with little room for portions.
        shots: at least three different shots of its modality; by default `sample_shots`.
        nothing: which of them offers nothing in this modality.
        tolerance: how far a vector may move with its neighbours, relative to the largest number.
        afresh: whether it is loaded in another process too; its entry must be importable there.

    Raises:
        ConformanceError: it breaks a law, which the message names.
    """
    spec = entry.spec()
    _check_record(entry, spec)
    one_by_one = {"portion_bytes": 1} if entry.in_portions else {}
    encoder, again = entry.load(n_threads=1), entry.load(n_threads=1, **one_by_one)
    given = sample_shots(spec.modality) if shots is None else list(shots)
    vectors = _encode(encoder, given, spec)
    for law, holds in _laws(spec, encoder, again, given, vectors, nothing, tolerance).items():
        if not holds():
            raise _broken(spec, law)
    if afresh and (law := broken_afresh(entry, given, vectors, tolerance)):
        raise _broken(spec, law)


def broken_afresh(entry: Entry | JointEntry, shots: Sequence[Any], vectors: Vectors, tolerance: float) -> str | None:
    """The law that an encoder breaks in another process, where strings have other hashes; None where it keeps them.

    Args:
        entry: what is loaded there.
        shots: what is encoded there.
        vectors: of these shots, as they are here.
        tolerance: as in `check_encoder`.

    Raises:
        ConformanceError: it cannot be imported there, or fails.
    """
    there = said_afresh(entry, shots)
    if there.record != records_of(entry):
        return "its record is the same in another process: what hangs on `hash()` or the order of a set is not"
    allowed = tolerance * float(np.abs(vectors).max(initial=0))
    if there.vectors.shape != vectors.shape or np.abs(there.vectors - vectors).max(initial=0) > allowed:
        return "its vectors are the same in another process: what hangs on `hash()` or the order of a set is not"
    return None


def _laws(
    spec: UnimodalSpec,
    encoder: UnimodalEncoder[Any],
    again: UnimodalEncoder[Any],
    shots: list[Any],
    vectors: Vectors,
    nothing: int,
    tolerance: float,
) -> Mapping[str, Callable[[], bool]]:
    """Each law in words, and whether it holds."""
    allowed = tolerance * max(float(np.abs(vectors).max(initial=0)), 1e-12)

    def near(left: Vectors, right: Vectors) -> bool:
        return bool(np.abs(left - right).max(initial=0) <= allowed)

    def alone() -> bool:
        return near(np.concatenate([_encode(encoder, [shot], spec) for shot in shots]), vectors)

    def different() -> bool:
        gaps = np.abs(vectors[:, None] - vectors[None]).max(axis=2) + np.eye(len(shots)) * (allowed + 1)
        return bool(gaps.min() > allowed)

    return {
        "a loaded encoder has the record that its entry gives": lambda: encoder.spec == spec == again.spec,
        "the same shots give the same bits": lambda: np.array_equal(_encode(encoder, shots, spec), vectors),
        "an encoder loaded anew, with room for one at a time, gives the same vectors": lambda: near(
            _encode(again, shots, spec), vectors
        ),
        "no shots give no rows": lambda: _encode(encoder, [], spec).shape == (0, spec.dims),
        "a shot's vector does not depend on what else is in the call": alone,
        "nor on the order of the shots": lambda: near(_encode(encoder, shots[::-1], spec)[::-1], vectors),
        "nor on how many they are": lambda: near(_encode(encoder, shots * 3, spec)[: len(shots)], vectors),
        "a shot that offers nothing has a row of zeros": lambda: not vectors[nothing].any(),
        "no other shot has": lambda: all(row.any() for i, row in enumerate(vectors) if i != nothing),
        "different shots give different vectors": different,
    }


def _check_record(entry: Entry, spec: UnimodalSpec) -> None:
    try:
        stable = canonical_json(asdict(spec)) == canonical_json(asdict(entry.spec()))
    except (TypeError, ValueError) as wrong:
        raise _broken(spec, f"its record is plain JSON ({wrong})") from wrong
    if not stable:
        raise _broken(spec, "its record is the same each time, so that a suite keeps its name")
    if len(spec.instrument.weights_sha256) != 64 or spec.dims < 1:
        raise _broken(spec, "its record has 64 hex digits for the weights, and a width above 0")


def _encode(encoder: UnimodalEncoder[Any], shots: Sequence[Any], spec: UnimodalSpec) -> Vectors:
    vectors = encoder.encode(shots)
    if not isinstance(vectors, np.ndarray) or vectors.shape != (len(shots), spec.dims) or vectors.dtype != np.float32:
        shown = f"{getattr(vectors, 'dtype', type(vectors).__name__)} {getattr(vectors, 'shape', '')}"
        raise _broken(spec, f"{len(shots)} shots give float32 ({len(shots)}, {spec.dims}), not {shown}")
    if not np.isfinite(vectors).all():
        raise _broken(spec, "vectors are finite")
    return vectors


def _broken(spec: UnimodalSpec, law: str) -> ConformanceError:
    return ConformanceError(
        f"encoder {spec.instrument.name!r}",
        found="a law that it breaks",
        expected=law,
        next_step="See `UnimodalEncoder` in mediafm_core/encoders/protocol.py.",
    )
