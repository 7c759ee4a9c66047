"""What every joint encoder keeps to, as one call that a package makes on its own encoder in its own tests.

    from mediafm_core.encoders.joint_conformance import check_joint_encoder
    check_joint_encoder(ENTRY)

The whole of its blocks is held to the laws of every encoder; then each block to those of its modality.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.encoders.conformance import TOLERANCE, broken_afresh, check_encoder, sample_shots
from mediafm_core.encoders.joint import FIELDS, JointEncoder, JointEntry, JointShot, Vectors, blocks, fault_of
from mediafm_core.encoders.protocol import Entry
from mediafm_core.errors import ConformanceError


def check_joint_encoder(
    entry: JointEntry,
    offers: Mapping[Modality, Sequence[Any]] | None = None,
    *,
    tolerance: float = TOLERANCE,
    afresh: bool = True,
) -> None:
    """Hold a joint encoder to the laws of the protocol, on shots that offer all, a part or nothing.

    Args:
        entry: how it is described and loaded; it is loaded twice.
        offers: of each modality two different ones; by default two of `sample_shots`.
        tolerance: how far a vector may move with what else is in a call, relative to the largest number.
        afresh: whether it is loaded in another process too; its entry must be importable there.

    Raises:
        ConformanceError: it breaks a law, which the message names.
    """
    specs = entry.specs()
    if rule := fault_of(specs):
        raise _broken(specs, rule)
    one, other = _two_of_each(specs, offers)
    shots = [_shot(other.items()), *_all_and_less(one)]
    loaded = [_Whole(entry.load(n_threads=1)) for _ in range(2)]
    waiting = iter(loaded)
    as_one = Entry(lambda: _whole(entry.specs()), lambda n_threads: next(waiting))  # noqa: ARG005
    check_encoder(as_one, shots, nothing=len(shots) - 1, tolerance=tolerance, afresh=False)
    _check_blocks(specs, loaded[0].encoder, shots, other, tolerance)
    if afresh and (law := broken_afresh(entry, shots, loaded[0].encode(shots), tolerance)):
        raise _broken(specs, law)


def _check_blocks(
    specs: Mapping[Modality, UnimodalSpec],
    encoder: JointEncoder,
    shots: list[JointShot],
    other: Mapping[Modality, Any],
    tolerance: float,
) -> None:
    if encoder.specs != specs:
        raise _broken(specs, "a loaded encoder has the records that its entry gives")
    changed = [shots[1]._replace(**{FIELDS[modality]: other[modality]}) for modality in specs]
    vectors = blocks(specs, encoder.encode_shots([*shots, *changed]))
    for index, (modality, block) in enumerate(vectors.items()):
        there = [len(getattr(shot, FIELDS[modality])) > 0 for shot in shots]
        if block[: len(shots)].any(axis=1).tolist() != there:
            raise _broken(specs, f"the block of {modality} is zeros where a shot does not offer it, and nowhere else")
        moved = np.abs(block[1] - block[len(shots) + index]).max()
        if moved <= tolerance * np.abs(block).max():
            raise _broken(specs, f"what a shot offers of {modality} moves the block of {modality}")


def _two_of_each(
    specs: Mapping[Modality, UnimodalSpec], offers: Mapping[Modality, Sequence[Any]] | None
) -> list[dict[Modality, Any]]:
    given = offers or {modality: sample_shots(modality)[::2] for modality in specs}
    return [{modality: given[modality][i] for modality in specs} for i in range(2)]


def _all_and_less(offered: Mapping[Modality, Any]) -> list[JointShot]:
    """Shots that offer all of it, each part of it, and last nothing."""
    chosen = product((True, False), repeat=len(offered))
    return [_shot(item for item, there in zip(offered.items(), each, strict=True) if there) for each in chosen]


def _shot(offered: Iterable[tuple[Modality, Any]]) -> JointShot:
    return JointShot(**{FIELDS[modality]: offer for modality, offer in offered})


class _Whole:
    """A joint encoder as if all that it perceives were one modality, its vector all blocks together."""

    def __init__(self, encoder: JointEncoder) -> None:
        self.encoder, self.spec = encoder, _whole(encoder.specs)

    def encode(self, shots: Sequence[JointShot]) -> Vectors:
        """See `UnimodalEncoder`."""
        return self.encoder.encode_shots(shots)


def _whole(specs: Mapping[Modality, UnimodalSpec]) -> UnimodalSpec:
    first = next(iter(specs.values()))
    return UnimodalSpec(
        modality=first.modality, dims=sum(spec.dims for spec in specs.values()), instrument=first.instrument
    )


def _broken(specs: Mapping[Modality, UnimodalSpec], law: str) -> ConformanceError:
    name = next((spec.instrument.name for spec in specs.values()), "without records")
    return ConformanceError(
        f"joint encoder {name!r}",
        found="a law that it breaks",
        expected=law,
        next_step="See `JointEncoder` in mediafm_core/encoders/joint.py.",
    )
