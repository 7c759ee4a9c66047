"""Cues to shots: which of a title's words belong to which of its shots."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from mediafm_core.captions import Cue
from mediafm_core.errors import SpanError
from mediafm_core.identity import Span

MIN_SHARE = 0.5
"""Of the shorter of the two, a cue and a shot: so much of it must overlap."""


def text_of_shots(cues: Sequence[Cue], spans: Sequence[Span]) -> list[str]:
    """What is said in each shot.

    Nearly a third of all cues cross a cut. A shot takes a cue where the two overlap by at least half of the shorter of
    them: it holds most of the cue, or is mostly filled by it. A cue that this gives to no shot goes to the one that it
    overlaps longest (the first of equals), so each cue within the title stands in one shot at least, and a caption that
    lingers a little behind a cut stays out of the next shot.

    Args:
        cues: in any order.
        spans: the shots, by start, without overlap.

    Returns:
        One line per shot: its cues by start, then end, joined by spaces, white space made single. Empty where nothing
        is said.

    Raises:
        SpanError: the shots overlap or are out of order.
    """
    for before, after in pairwise(spans):
        if after.start_s < before.end_s:
            raise SpanError(
                f"shot [{after.start_s:.3f}, {after.end_s:.3f}) s",
                found=f"it starts before the shot before it ends, at {before.end_s:.3f} s",
                expected="shots by start, without overlap",
                next_step="Sort the shots, and mend those that overlap.",
            )
    starts = [span.start_s for span in spans]
    lines: list[list[str]] = [[] for _ in spans]
    for cue in sorted(cues, key=lambda cue: cue.span):
        for index in _shots_of(cue.span, spans, starts):
            lines[index].append(cue.text)
    return [" ".join(" ".join(texts).split()) for texts in lines]


def _shots_of(cue: Span, spans: Sequence[Span], starts: list[float]) -> list[int]:
    """The shots that take a cue, as indices in order."""
    overlaps: dict[int, float] = {}
    for index in range(max(0, bisect_right(starts, cue.start_s) - 1), len(spans)):
        if spans[index].start_s >= cue.end_s:
            break
        overlap_s = cue.overlap_s(spans[index])
        if overlap_s > 0:
            overlaps[index] = overlap_s
    taken = [i for i, s in overlaps.items() if s >= MIN_SHARE * min(cue.duration_s, spans[i].duration_s)]
    return taken or [i for i in overlaps if i == max(overlaps, key=overlaps.__getitem__)]
