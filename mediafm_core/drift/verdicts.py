"""Words for what moved, and what a person can do about it."""

from enum import StrEnum
from typing import Any, NamedTuple

from mediafm_core.drift.limits import FLIPPED, HEAD_SHIFT, UNCALIBRATED, Limits, provisional
from mediafm_core.drift.statistics import Movement, Shift


class How(StrEnum):
    """In what way vectors moved; the first that fits."""

    STEADY = "steady"
    TOO_NOISY = "too noisy"  # no further than its first measurement, which was made just after the reference
    PART = "part of the inputs"  # most stayed
    ROTATED = "rotated"  # every cosine between two inputs stayed: the same space in other coordinates
    OFFSET = "offset"  # all moved by much the same vector
    NOISY = "noisy"  # each its own way


ROTATED_TWIST = 0.01
"""Of a rotation it is 0 but for rounding, of an offset a few hundredths and more, of noise about 1 and more."""
OFFSET_TOGETHER = 0.5
"""More than half of the movement is its mean."""

ADVICE = {
    How.TOO_NOISY: "It answers the same question so differently each time that a drift at cosine 0.9999 drowns. "
    "Ask whether several models stand behind the name. If this is how it is, `mediafm canaries accept` takes it as "
    "noise: limits then come from 20 days of it, and `mediafm canaries status` says what they still see.",
    How.PART: "Look at what these inputs have in common (several stills, long texts, one format): a code path of the "
    "encoder changed, or some of its answers come from another machine.",
    How.ROTATED: "It is another space of the same shape: no old vector may stand beside a new one. Find what changed, "
    "or move to a new suite.",
    How.OFFSET: "Heads and rankings shift though similarity looks the same. Find what changed in preprocessing or "
    "centring, or move to a new suite.",
    How.NOISY: "The numbers are computed otherwise: compare library versions, CPU, precision and preprocessing with "
    "those of the reference.",
}

SCORES_ADVICE = "Candidates are judged by shifted scores: find what moved before one is promoted."

THEN = (
    "If the change is wanted, declare a new suite and embed with it; if it does not matter, `mediafm canaries accept`."
)


class Finding(NamedTuple):
    """One thing that moved."""

    what: str  # e.g. `text embeddings`, `scores of tone`
    how: str
    figures: str
    advice: str

    @property
    def said(self) -> str:
        """In one line, without the advice."""
        return f"{self.what} moved ({self.how}): {self.figures}"

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Finding":
        """Read what `_asdict` gave."""
        return cls(**record)


def how_moved(found: Movement, limits: Limits, first: Movement | None = None) -> How:
    """Name the movement of one modality.

    Args:
        found: its statistics.
        limits: those that they are held to.
        first: the first measurement after the reference, which may be `found`; None where nobody knows it.
    """
    exceeded = limits.exceeded(found)
    if not exceeded:
        return How.STEADY
    if limits.rule in UNCALIBRATED and first is not None and not provisional(first).exceeded(found):
        return How.TOO_NOISY
    if found.median <= limits.median and {"upper", "largest"} & {*exceeded}:
        return How.PART
    if found.twist <= ROTATED_TWIST and "median" in exceeded:
        return How.ROTATED
    return How.OFFSET if found.together > OFFSET_TOGETHER else How.NOISY


def modality_finding(
    modality: str, found: Movement, limits: Limits, n_moved: int, first: Movement | None = None
) -> Finding | None:
    """None where the modality is steady.

    Args:
        modality: its name.
        found: its statistics.
        limits: those that they are held to.
        n_moved: inputs whose distance is above the limit of the upper ones.
        first: as in `how_moved`.
    """
    how = how_moved(found, limits, first)
    if how is How.STEADY:
        return None
    above = [f"{name} {getattr(found, name):.2e} above {getattr(limits, name):.1e}" for name in limits.exceeded(found)]
    figures = f"{n_moved} of {found.n} inputs; {', '.join(above)}"
    then = "" if how is How.TOO_NOISY else f" {THEN}"
    return Finding(_vectors_of(modality), how.value, figures, f"{ADVICE[how]}{then}")


def is_too_noisy(finding: Finding, modality: str) -> bool:
    """Whether it says of a modality that its answers differ too much from call to call."""
    return finding.what == _vectors_of(modality) and finding.how == How.TOO_NOISY


def _vectors_of(modality: str) -> str:
    return f"{modality} embeddings"


def scores_finding(task: str, found: Shift) -> Finding | None:
    """None where a head's scores are steady."""
    if found.shift <= HEAD_SHIFT and found.flipped <= FLIPPED:
        return None
    figures = f"label {found.label!r} by {found.shift:.3f} of its spread, {found.flipped:.1%} of decisions flipped"
    return Finding(f"scores of {task}", "shifted", figures, f"{SCORES_ADVICE} {THEN}")
