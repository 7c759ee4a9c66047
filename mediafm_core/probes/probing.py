"""From labels and vectors to a head: what to read and how much to regularise are chosen inside the training titles.

Shape letters: n clips, L labels.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError
from mediafm_core.probes.features import Features, TitleShots
from mediafm_core.probes.fitting import Fitted, Standardised, standardise
from mediafm_core.probes.folds import INNER, splits
from mediafm_core.probes.heads import Head, Probe, score
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.metrics import measure
from mediafm_core.probes.paths import GRIDS, fit_path
from mediafm_core.probes.reads import READS, Read, read_label_set
from mediafm_core.probes.tasks import HeadKind, TaskKind

_N_INNER_FOLDS = 3


class _Choice(NamedTuple):
    features: Features
    regularisation: float
    value: float  # of the task's metric, on inner folds


def fit_probe(labels: LabelSet, titles: Mapping[str, TitleShots], reads: Sequence[Read]) -> Probe:
    """Fit the head of one task on all labelled titles, and heads in the same way on all but a fold at a time.

    Args:
        labels: of one task.
        titles: the shots of at least the labelled titles, all by one encoder.
        reads: the ways to read a clip that are chosen from.

    Raises:
        LabelsError: too few titles are labelled, one of them has no vectors, or no label can be told apart.
        DimensionError: the titles' vectors have different origins.
    """
    return probe(labels, [read_label_set(read, titles, labels) for read in reads])


def probe(labels: LabelSet, features: Sequence[Features]) -> Probe:
    """The same from clips that were read already; arguments as for `out_of_fold`."""
    return Probe(fit_head(labels, features), out_of_fold(labels, features))


def out_of_fold(labels: LabelSet, features: Sequence[Features]) -> OutOfFold:
    """Score every labelled clip by a head that was made, choices and all, without its title.

    Args:
        labels: of one task.
        features: their clips, in their order, in each of the reads that are chosen from.

    Raises:
        LabelsError: too few titles are labelled, or no label can be told apart.
        DimensionError: a head of attention is given another read than shots one by one.
    """
    scores = np.empty(labels.targets.shape, np.float32)
    for train, test in splits(labels.titles, labels.of, labels.task.n_folds):
        head = fit_head(labels.rows(train), [f.rows(train) for f in features])
        held_out = next(f for f in features if f.read == head.read)
        scores[test] = score(head, held_out.rows(test))
    return OutOfFold(labels, scores)


def fit_head(labels: LabelSet, features: Sequence[Features]) -> Head:
    """A head on all these clips, after the choices that they allow; arguments and errors as for `out_of_fold`."""
    kind = labels.task.head
    _check_reads(kind, features)
    if kind is not HeadKind.RIDGE and len(features) > 1:  # slow to fit: what to read is chosen under ridge
        features = [max((_choose(labels, each, HeadKind.RIDGE) for each in features), key=_value).features]
    choice = max((_choose(labels, each, kind) for each in features), key=_value)
    return fit_chosen(labels, choice.features, choice.regularisation)


def fit_chosen(labels: LabelSet, features: Features, regularisation: float) -> Head:
    """The head of the task's kind on all these clips, with nothing left to choose.

    Args:
        labels: of one task.
        features: their clips, in their order.
        regularisation: one of the kind's grid.
    """
    kind = labels.task.head
    turned = standardise(features.values)
    grid = GRIDS[kind][: GRIDS[kind].index(regularisation) + 1]
    *_, fitted = fit_path(kind, turned, to_fit(labels), grid, labels.task.metric)
    return _head(labels, features, turned, fitted, regularisation)


def _check_reads(kind: HeadKind, features: Sequence[Features]) -> None:
    """Attention weighs shots, so it must be given them one by one; others take any read.

    Raises:
        DimensionError: it is given something else.
    """
    if kind is not HeadKind.ATTENTION:
        return
    other = [each.read for each in features if READS[each.read].parts != ("slots",)]
    if other:
        raise DimensionError(
            "a head of attention",
            found=f"reads {', '.join(map(repr, other))}",
            expected="a read of nothing but the clip's shots, one by one",
            next_step="Read the clips as 'shots of the clip'.",
        )


def _choose(labels: LabelSet, features: Features, kind: HeadKind) -> _Choice:
    """The regularisation that does best on inner folds of titles, by the task's own metric.

    It is weakened along the grid for as long as that helps; a head that is learnt by steps may need some before the
    first that help, so all of its grid is tried.
    """
    task, targets = labels.task, to_fit(labels)
    sides = splits(labels.titles, labels.of, _N_INNER_FOLDS, INNER)
    turned = [standardise(features.values[train]) for train, _ in sides]
    paths = [fit_path(kind, t, targets[s.train], GRIDS[kind], task.metric) for t, s in zip(turned, sides, strict=True)]
    scores, best = np.empty(targets.shape, np.float32), None
    for alpha, fits in zip(GRIDS[kind], zip(*paths, strict=True), strict=True):
        for (_, test), t, fitted in zip(sides, turned, fits, strict=True):
            scores[test] = score(_head(labels, features, t, fitted, alpha), features.rows(test))
        value = measure(task.metric, scores, labels.targets, labels.of)
        if best is None or value > best.value:
            best = _Choice(features, alpha, value)
        elif kind in (HeadKind.RIDGE, HeadKind.LOGISTIC):
            break
    assert best is not None, "a grid is never empty"
    return best


def _value(choice: _Choice) -> float:
    return choice.value  # the first of equals wins: the plainer read


def to_fit(labels: LabelSet) -> NDArray[np.floating]:
    """(n, L): what a head is fitted to. Ranks are brought to mean 0 and variance 1 within each title."""
    if labels.task.kind is not TaskKind.RANKING:
        return labels.targets.astype(np.float32)
    ranks, n_clips = labels.targets[:, 0], np.bincount(labels.of)
    centred = ranks - (np.bincount(labels.of, ranks) / n_clips)[labels.of]
    spread = np.sqrt(np.bincount(labels.of, centred**2) / n_clips)[labels.of]
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)[:, None]


def _head(labels: LabelSet, features: Features, turned: Standardised, fitted: Fitted, alpha: float) -> Head:
    return Head(
        task=labels.task,
        origin=features.origin,
        read=features.read,
        regularisation=alpha,
        names=labels.names,
        mean=turned.mean.numpy(),
        scale=turned.scale.numpy(),
        weights=fitted.weights.numpy(),
        bias=fitted.bias.numpy(),
        inner=None if fitted.inner is None else fitted.inner.numpy(),
    )
