"""What the MediaFM post found, judged by our own rows.

Each finding is one or more contrasts. A contrast is a number that is above 0 if the finding is right, with the 95 %
interval that it has when titles are drawn anew, the same titles for all rows in it. A contrast holds where the whole
interval lies above 0, is refuted where it lies below 0, and is undecided else. A finding needs its rule: all of its
contrasts, or most. The one on Muon, which needs a second encoder, stands in `optimisers`.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from mediafm_core import paper
from mediafm_core.probes.ablation.rows import AblationRow
from mediafm_core.probes.ablation.variants import CLIP_ALONE, ISOLATED, ONE_MODALITY
from mediafm_core.probes.comparing import resampled
from mediafm_core.probes.metrics import Interval, Resampled
from mediafm_core.probes.report import FUSED_ROW


class Verdict(StrEnum):
    """Of a finding, or of one of its contrasts."""

    HOLDS = "holds"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class Rule(StrEnum):
    """How a finding follows from its contrasts."""

    ALL = "all"  # holds where all hold; refuted where one is
    MOST = "most"  # holds where more than half hold; refuted where more than half are


class Contrast(NamedTuple):
    """One number that speaks for a finding where it is above 0."""

    says: str  # what is subtracted from what
    interval: Interval
    verdict: Verdict


class Finding(NamedTuple):
    """What the post says, and what our data say of it."""

    claim: str
    rule: Rule
    verdict: Verdict
    contrasts: tuple[Contrast, ...]  # empty where the rows are not there; then the finding is undecided
    note: str = ""  # what else is to be said


NARRATIVE_TASKS: Final = tuple(name.replace(" ", "_") for name in paper.NARRATIVE_TASKS)
"""The post's, as our tasks are called."""

_ABOUT: Final = (paper.STEP_ON_RETRIEVAL - 0.05, paper.STEP_ON_RETRIEVAL + 0.05)  # our reading of "around"
_STEPS: Final = f"On retrieval, modalities bring about {paper.STEP_ON_RETRIEVAL:.0%}, and context as much again."

JUDGED: Final = frozenset({*ONE_MODALITY.values(), FUSED_ROW, CLIP_ALONE, ISOLATED})
"""The rows that findings are judged by."""

Draws = Mapping[tuple[str, str], Resampled]
"""By task and features."""


def verdict_of(interval: Interval) -> Verdict:
    """Whether a contrast is above 0 by more than titles vary, below 0 by more, or neither."""
    if interval.low > 0:
        return Verdict.HOLDS
    return Verdict.REFUTED if interval.high < 0 else Verdict.UNDECIDED


def verdict_by(rule: Rule, verdicts: Sequence[Verdict]) -> Verdict:
    """What follows for a finding; undecided where there is nothing to judge by."""
    n_held, n_refuted = (verdicts.count(v) for v in (Verdict.HOLDS, Verdict.REFUTED))
    needed = len(verdicts) if rule is Rule.ALL else len(verdicts) // 2 + 1
    if verdicts and n_held >= needed:
        return Verdict.HOLDS
    return Verdict.REFUTED if verdicts and n_refuted >= (1 if rule is Rule.ALL else needed) else Verdict.UNDECIDED


def findings(rows: Iterable[AblationRow], *, n_draws: int = 200, seed: int = 0) -> list[Finding]:
    """Judge the post's findings.

    Args:
        rows: of one ablation; a contrast whose rows are not there is left out.
        n_draws: of the bootstrap.
        seed: of the bootstrap.
    """
    draws = {
        (r.row.task, r.row.features): resampled(r.held_out, n_draws=n_draws, seed=seed)
        for r in rows
        if r.row.features in JUDGED
    }
    tasks = list(dict.fromkeys(task for task, _ in draws))
    return [
        _finding("Context adds more than further modalities do.", Rule.MOST, _context_over_modalities(draws, tasks)),
        _finding("Without context, further modalities hurt popularity.", Rule.ALL, _hurt(draws, "popularity")),
        _finding("A clip read in its context tells more than the clip alone.", Rule.MOST, _in_context(draws, tasks)),
        _finding(
            _STEPS,
            Rule.ALL,
            _about(draws),
        ),
        _finding("Tasks that need the narrative gain most from context.", Rule.ALL, _narrative(draws, tasks)),
    ]


def _finding(claim: str, rule: Rule, contrasts: list[Contrast]) -> Finding:
    return Finding(claim, rule, verdict_by(rule, [c.verdict for c in contrasts]), tuple(contrasts))


def contrast(says: str, found: Resampled) -> Contrast:
    """A number with its interval, and what they say."""
    return Contrast(says, found.interval, verdict_of(found.interval))


def _best_modality(draws: Draws, task: str) -> str | None:
    """The best single modality on the task, by the same figures.

    That is generous to it: it speaks against a step up from it, and for the claim that further modalities hurt.
    """
    there = [name for name in ONE_MODALITY.values() if (task, name) in draws]
    return max(there, key=lambda name: draws[task, name].value) if there else None


def _context_over_modalities(draws: Draws, tasks: Sequence[str]) -> list[Contrast]:
    found = []
    for task in tasks:
        one = _best_modality(draws, task)
        if one and {(task, CLIP_ALONE), (task, FUSED_ROW)} <= set(draws):
            by_context = draws[task, CLIP_ALONE].less(draws[task, FUSED_ROW])
            by_modalities = draws[task, FUSED_ROW].less(draws[task, one])
            says = f"{task}: ({CLIP_ALONE} - {FUSED_ROW}) - ({FUSED_ROW} - {one})"
            found.append(contrast(says, by_context.less(by_modalities)))
    return found


def _hurt(draws: Draws, task: str) -> list[Contrast]:
    one = _best_modality(draws, task)
    if one is None or (task, FUSED_ROW) not in draws:
        return []
    return [contrast(f"{task}: {one} - {FUSED_ROW}", draws[task, one].less(draws[task, FUSED_ROW]))]


def _in_context(draws: Draws, tasks: Sequence[str]) -> list[Contrast]:
    return [
        contrast(f"{t}: {CLIP_ALONE} - {ISOLATED}", draws[t, CLIP_ALONE].less(draws[t, ISOLATED]))
        for t in tasks
        if {(t, CLIP_ALONE), (t, ISOLATED)} <= set(draws)
    ]


def _about(draws: Draws, task: str = "retrieval") -> list[Contrast]:
    """Each step against both ends of 'about': holds where the interval lies within, refuted where it lies outside."""
    one = _best_modality(draws, task)
    steps = [name for name in (one, FUSED_ROW, CLIP_ALONE) if name and (task, name) in draws]
    found = []
    for before, after in pairwise(steps):
        gain = draws[task, after].over(draws[task, before])
        low, high = _ABOUT
        found += [
            contrast(f"{task}: {after} / {before} - 1, above {low:.0%}", gain.less(_constant(low, gain))),
            contrast(f"{task}: {after} / {before} - 1, below {high:.0%}", _constant(high, gain).less(gain)),
        ]
    return found


def _constant(value: float, like: Resampled) -> Resampled:
    return Resampled(value, 0 * like.drawn + value)


def _narrative(draws: Draws, tasks: Sequence[str]) -> list[Contrast]:
    """Relative gains, for the tasks' metrics have no common scale."""
    gains = {
        task: draws[task, CLIP_ALONE].over(draws[task, FUSED_ROW])
        for task in tasks
        if {(task, CLIP_ALONE), (task, FUSED_ROW)} <= set(draws)
    }
    return [
        contrast(f"relative gain by context: {mine} - {other}", gains[mine].less(gains[other]))
        for mine in NARRATIVE_TASKS
        for other in gains
        if mine in gains and other not in NARRATIVE_TASKS
    ]
