"""Average precision and Kendall's tau, and what they vary by when titles are drawn anew.

One implementation gives the value and its bootstrap: a title that is drawn twice is one whose clips weigh two. Tests
hold it to scikit-learn and SciPy.

Shape letters: n clips, L labels, T titles, B draws.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError, LabelsError
from mediafm_core.probes.tasks import Metric

Floats = NDArray[np.floating]
_TAIL = 2.5  # per cent on each side of an interval


class Interval(NamedTuple):
    """A value, and the middle 95 % of its bootstrap over titles."""

    value: float
    low: float
    high: float


class Resampled(NamedTuple):
    """A value, and what it is when titles are drawn anew."""

    value: float
    drawn: NDArray[np.floating]
    """(B,); NaN where a draw left nothing to tell apart."""

    @property
    def interval(self) -> Interval:
        """The value with the middle 95 % of the draws that left something."""
        low, high = np.nanpercentile(self.drawn, [_TAIL, 100 - _TAIL])
        return Interval(self.value, float(low), float(high))

    def less(self, other: "Resampled") -> "Resampled":
        """The difference to another value; both must have had the same draws."""
        return Resampled(self.value - other.value, self.drawn - other.drawn)

    def over(self, other: "Resampled") -> "Resampled":
        """How much larger than another value, relative to that; both must have had the same draws.

        A draw where the other is not above 0 is left out.
        """
        ratio = np.divide(self.drawn, other.drawn, out=np.full(len(self.drawn), np.nan), where=other.drawn > 0)
        return Resampled(self.value / other.value - 1, ratio - 1)


def measure(metric: Metric, scores: Floats, targets: NDArray[Any], of: NDArray[np.int64]) -> float:
    """The metric over all clips.

    A label that no clip bears has no average precision and is left out of the macro mean; a title whose clips share
    one rank, or that has one clip, has no tau and is left out of its mean; one whose clips share one score has tau 0.

    Args:
        metric: which.
        scores: (n, L), higher is more likely or ranked higher.
        targets: (n, L) bool, or (n, 1) numbers for Kendall's tau.
        of: (n,) index of each clip's title, ascending.

    Raises:
        DimensionError: shapes differ, or a score is not finite.
        LabelsError: nothing is left to average.
    """
    _check(scores, targets, of)
    value = float(_METRICS[metric](scores, targets, of, None)[0])
    if np.isnan(value):
        raise LabelsError(
            f"{metric} of {len(scores)} clips",
            found="no label on any clip, or no title with two ranks",
            expected="something that can be told apart",
            next_step="Label more clips of more titles.",
        )
    return value


def bootstrap(
    metric: Metric,
    scores: Floats,
    targets: NDArray[Any],
    of: NDArray[np.int64],
    *,
    n_draws: int = 200,
    generator: np.random.Generator,
) -> Interval:
    """The metric, and its interval when titles are drawn with replacement; arguments as for `measure`."""
    return resample(metric, scores, targets, of, n_draws=n_draws, generator=generator).interval


def resample(
    metric: Metric,
    scores: Floats,
    targets: NDArray[Any],
    of: NDArray[np.int64],
    *,
    n_draws: int = 200,
    generator: np.random.Generator,
) -> Resampled:
    """The metric, and each of its values when titles are drawn with replacement; arguments as for `measure`."""
    value = measure(metric, scores, targets, of)
    return Resampled(value, _METRICS[metric](scores, targets, of, _draws(of, n_draws, generator)))


def _check(scores: Floats, targets: NDArray[Any], of: NDArray[np.int64]) -> None:
    if (
        scores.shape != targets.shape
        or scores.ndim != 2
        or of.shape != scores.shape[:1]
        or not np.isfinite(scores).all()
    ):
        raise DimensionError(
            f"scores {scores.shape}",
            found=f"targets {targets.shape}, titles {of.shape}, {int((~np.isfinite(scores)).sum())} scores not finite",
            expected="finite (n, L) scores, (n, L) targets, (n,) titles",
            next_step="Score the clips of the label set, in its order.",
        )


def _draws(of: NDArray[np.int64], n_draws: int, generator: np.random.Generator) -> Floats:
    """(B, T): how often each title is drawn."""
    n_titles = int(of.max()) + 1
    return generator.multinomial(n_titles, np.full(n_titles, 1 / n_titles), size=n_draws).astype(np.float64)


def _macro_ap(scores: Floats, targets: NDArray[Any], of: NDArray[np.int64], weights: Floats | None) -> Floats:
    per_label = [_ap(scores[:, j], targets[:, j], of, weights) for j in range(scores.shape[1])]
    return _mean(np.stack(per_label, axis=1), None)


def _micro_ap(scores: Floats, targets: NDArray[Any], of: NDArray[np.int64], weights: Floats | None) -> Floats:
    return _ap(scores.ravel(), targets.ravel(), np.repeat(of, scores.shape[1]), weights)


def _ap(scores: Floats, targets: NDArray[np.bool_], of: NDArray[np.int64], weights: Floats | None) -> Floats:
    """(B,): the mean over positives of the precision at their score; equal scores count together."""
    levels = np.unique(scores[targets])[::-1]  # of the positives, the best first
    if not len(levels):
        return np.full(1 if weights is None else len(weights), np.nan)
    if weights is None:
        return np.array([_precision(_n_above(scores, levels), _n_above(scores[targets], levels))])
    order = np.argsort(-scores)
    positive, sorted_of = np.flatnonzero(targets[order]), of[order]
    seen, hit = _n_above(scores, levels) - 1, _n_above(scores[targets], levels) - 1  # the last clip of each level
    result = np.empty(len(weights))
    for i, weight in enumerate(weights):  # one draw at a time: memory stays that of one column
        per_clip = weight[sorted_of]
        result[i] = _precision(np.cumsum(per_clip)[seen], np.cumsum(per_clip[positive])[hit])
    return result


def _n_above(scores: Floats, levels: Floats) -> NDArray[np.int64]:
    """How many scores reach each level."""
    return len(scores) - np.searchsorted(np.sort(scores), levels, side="left")


def _precision(seen: NDArray[Any], hits: NDArray[Any]) -> float:
    """The mean precision of the hits, from counts of clips and of hits down to each level; NaN without a hit."""
    precision = np.divide(hits, seen, out=np.zeros(len(hits)), where=seen > 0)
    return float(np.diff(hits, prepend=0) @ precision / hits[-1]) if hits[-1] else float("nan")


def _kendall_tau(scores: Floats, targets: NDArray[Any], of: NDArray[np.int64], weights: Floats | None) -> Floats:
    return _mean(title_taus(scores[:, 0], targets[:, 0], of)[None], weights)


def title_taus(scores: Floats, ranks: Floats, of: NDArray[np.int64]) -> Floats:
    """(T,): Kendall's tau-b of each title's clips; 0 where all scores are equal, NaN where all ranks are.

    SciPy has NaN for both. But who gives all clips one score has ranked nothing, and must not gain by being left out.
    """
    left, right = _pairs(of)
    by_score, by_rank = np.sign(scores[left] - scores[right]), np.sign(ranks[left] - ranks[right])
    n_titles = int(of.max()) + 1
    agree, scored, ranked = (
        np.bincount(of[left], weights=each, minlength=n_titles)
        for each in (by_score * by_rank, by_score**2, by_rank**2)
    )
    untied = np.sqrt(scored * ranked)
    return np.divide(agree, untied, out=np.where(ranked > 0, 0.0, np.nan), where=untied > 0)


def _pairs(of: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of clips of one title, each once."""
    starts, counts = np.unique(of, return_index=True, return_counts=True)[1:]
    both = [np.stack(np.triu_indices(n, 1)) + start for start, n in zip(starts, counts, strict=True)]
    left, right = np.concatenate(both, axis=1)
    return left, right


def _mean(values: Floats, weights: Floats | None) -> Floats:
    """(B,): the weighted mean over the last axis without the NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    weights = np.ones((1, values.shape[1])) if weights is None else weights
    weight = (known * weights).sum(axis=1)
    return np.divide(
        (np.where(known, values, 0.0) * weights).sum(axis=1), weight, out=np.full(len(weight), np.nan), where=weight > 0
    )


_METRICS: Mapping[Metric, Callable[[Floats, NDArray[Any], NDArray[np.int64], Floats | None], Floats]] = {
    # each gives (B,): the metric with each title's clips weighted by (B, T), or (1,) without weights
    Metric.MACRO_AP: _macro_ap,
    Metric.MICRO_AP: _micro_ap,
    Metric.AP: _macro_ap,  # of one label
    Metric.KENDALL_TAU: _kendall_tau,
}
