"""Ways to read a clip, and what reading gives: one vector per clip, which is all that a head sees.

The same code reads contextual embeddings and, for the baselines, fused ones.

Shape letters: n clips, R width of a read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from mediafm_core.errors import DimensionError, LabelsError, SpanError
from mediafm_core.probes.features import Features, Times, TitleShots
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.parts import PARTS, WIDTHS, Clips


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A way to read a clip: the parts whose vectors are put side by side."""

    name: str
    parts: tuple[str, ...]  # keys of the table of parts

    def __post_init__(self) -> None:
        assert set(self.parts) <= set(PARTS), "a part that there is not"


_SIDES = {width: (f"{width} before", f"{width} after") for width in WIDTHS}
_WINDOWS = tuple(side for width in WIDTHS for side in _SIDES[width])

_READS = (
    Read(name="clip", parts=("clip",)),
    Read(name="clip + title vector", parts=("clip", "title vector")),
    *(Read(name=f"clip + {w} before + {w} after", parts=("clip", *_SIDES[w])) for w in WIDTHS),
    *(Read(name=f"clip + neighbours within {w}", parts=("clip", f"within {w}")) for w in WIDTHS),
    Read(name="clip + title mean", parts=("clip", "title mean")),
    Read(name="clip + title mean + title vector", parts=("clip", "title mean", "title vector")),
    Read(name="clip + 12 before + 12 after + title vector", parts=("clip", *_SIDES[12], "title vector")),
    Read(name="clip + 12 before + 12 after + title mean", parts=("clip", *_SIDES[12], "title mean")),
    Read(name="clip + windows + title mean", parts=("clip", *_WINDOWS, "title mean")),
    Read(name="clip + windows + cosines", parts=("clip", *_WINDOWS, "cosines")),
    Read(name="position", parts=("position",)),
    Read(name="title vector", parts=("title vector",)),
    Read(name="cosines", parts=("cosines",)),
    Read(name="shots of the clip", parts=("slots",)),
)

READS: Mapping[str, Read] = MappingProxyType({read.name: read for read in _READS})
"""Every way to read a clip, by name. A head's bytes name one of them: names are never changed, nor what they mean."""

CONTEXTUAL_READS: Final = tuple(
    READS[name]
    for name in (
        "clip",
        "clip + title vector",
        "clip + 12 before + 12 after",
        "clip + title mean",
        "clip + 12 before + 12 after + title vector",
    )
)
"""Among these a head of an encoder chooses, inside its training titles."""


def read_clips(read: Read, shots: TitleShots, start_s: Times, end_s: Times) -> Features:
    """Read clips of one title.

    Args:
        read: how.
        shots: the title.
        start_s: (n,) seconds.
        end_s: (n,) seconds.

    Returns:
        (n, R) float32; a clip's row depends on the title and that clip alone.

    Raises:
        SpanError: a clip is empty or overlaps no shot.
        DimensionError: the read asks for the title's vector and there is none.
    """
    clips = clips_of(shots, start_s, end_s)
    parts = [PARTS[part](clips) for part in read.parts]
    return Features(shots.origin, read.name, np.concatenate(parts, axis=1).astype(np.float32))


def clips_of(shots: TitleShots, start_s: Times, end_s: Times) -> Clips:
    """Which shots each clip overlaps.

    Raises:
        SpanError: a clip is empty or overlaps none.
    """
    first = np.searchsorted(shots.end_s, start_s, side="right")
    last = np.searchsorted(shots.start_s, end_s, side="left")
    outside = np.flatnonzero((first >= last) | (start_s >= end_s))
    if len(outside):
        raise SpanError(
            f"title {shots.title!r}",
            found=f"clip [{start_s[outside[0]]:.3f}, {end_s[outside[0]]:.3f}) s, which overlaps no shot",
            expected=f"a span that overlaps a shot within [{shots.start_s[0]:.3f}, {shots.end_s[-1]:.3f}) s",
            next_step="Times are seconds from the title's first frame; check for a frame number or milliseconds.",
        )
    return Clips(shots=shots, start_s=start_s, end_s=end_s, first=first, last=last)


def read_label_set(read: Read, titles: Mapping[str, TitleShots], labels: LabelSet) -> Features:
    """Read every clip of a label set, in its order.

    Args:
        read: how.
        titles: the shots of at least the labelled titles; each is asked for once.
        labels: says which clips.

    Raises:
        LabelsError: a labelled title is not among `titles`.
        DimensionError: the titles' vectors have different origins.
        SpanError: a clip overlaps no shot.
    """
    parts = [_read_title(read, titles, labels, i) for i in range(len(labels.titles))]
    origins = {part.origin for part in parts}
    if len(origins) != 1:
        raise DimensionError(
            f"the titles of task {labels.task.name!r}",
            found=f"vectors of {', '.join(map(str, sorted(origins)))}",
            expected="vectors of one encoder and suite",
            next_step="Embed all of them with one encoder.",
        )
    return Features(origins.pop(), read.name, np.concatenate([part.values for part in parts]))


def _read_title(read: Read, titles: Mapping[str, TitleShots], labels: LabelSet, index: int) -> Features:
    title = labels.titles[index]
    if title not in titles:
        raise LabelsError(
            f"labels of task {labels.task.name!r}",
            found=f"clips of title {title!r}, which has no vectors",
            expected="vectors of every labelled title",
            next_step="Embed the title, or restrict the labels to the titles that are.",
        )
    low, high = np.searchsorted(labels.of, [index, index + 1])
    return read_clips(read, titles[title], labels.start_s[low:high], labels.end_s[low:high])
