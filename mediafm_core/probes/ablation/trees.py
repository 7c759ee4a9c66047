"""Boosted trees on a linear head of the windows: the one row that is not linear.

Trees on windows alone fall far below linear heads on them (docs/experiments.md), and would say nothing. So a linear
head, which chooses among reads of windows, comes first, and trees mend what it misses for as many rounds as help on
inner folds of titles, none among them. Where this row is above the linear ones, a head was too weak for what it read.
Where it is not, trees found nothing to mend: other heads that are not linear might.

Shape letters: n clips, R width of a read, C components, L labels, K numbers of rounds.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mediafm_core.probes.features import Features
from mediafm_core.probes.fitting import standardise
from mediafm_core.probes.folds import INNER, splits
from mediafm_core.probes.heads import score
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.metrics import measure
from mediafm_core.probes.probing import fit_chosen, fit_head, to_fit
from mediafm_core.probes.tasks import HeadKind

N_COMPONENTS: Final = 16
"""What is wider is reduced to so many principal components of the training titles before trees ask it."""

ROUNDS: Final = (0, 5, 10, 20)
"""Of boosting, to choose from."""

SETTINGS: Final[dict[str, Any]] = {
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "learning_rate": 0.1,
    "early_stopping": False,
}
"""Of each ensemble, one for each label, by squared error."""

_N_INNER_FOLDS: Final = 3

Numbers = NDArray[np.floating]


def trees_out_of_fold(labels: LabelSet, windows: Sequence[Features], beside: Sequence[Features]) -> OutOfFold:
    """Score every labelled clip by a linear head, and trees upon it, that were made without its title.

    Args:
        labels: of one task.
        windows: what the linear head chooses from.
        beside: what trees ask beside the linear head's scores.

    Raises:
        LabelsError: too few titles are labelled.
    """
    scores = np.empty(labels.targets.shape, np.float32)
    for train, test in splits(labels.titles, labels.of, labels.task.n_folds):
        scores[test] = trees_scores(labels, windows, beside, train, test)
    return OutOfFold(labels, scores)


def trees_scores(
    labels: LabelSet,
    windows: Sequence[Features],
    beside: Sequence[Features],
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
) -> Numbers:
    """Score some clips by a linear head, and trees upon it, that were made from others.

    Args:
        labels: as for `trees_out_of_fold`, and so are `windows` and `beside`.
        windows: see there.
        beside: see there.
        train: (n,) the clips that they are made from.
        test: (n,) the clips that are scored, of other titles.

    Returns:
        (n of `test`, L).
    """
    linear = _linear(labels, windows, train)
    asked = np.concatenate([_narrow(x, train) for x in (linear, *(f.values for f in beside))], axis=1)
    n_rounds = _choose_rounds(labels.rows(train), linear[train], asked[train])
    miss = (to_fit(labels) - linear)[train]
    (mended,) = _mended(asked[train], miss, asked[test], (n_rounds,))
    return linear[test] + mended


def trees_dims(windows: Sequence[Features], beside: Sequence[Features]) -> int:
    """How many numbers are read: those of the widest windows, and those that trees ask beside the scores."""
    return max(f.values.shape[1] for f in windows) + sum(min(N_COMPONENTS, f.values.shape[1]) for f in beside)


def _linear(labels: LabelSet, windows: Sequence[Features], train: NDArray[np.bool_]) -> Numbers:
    """(n, L): of clips in training by heads without their title, of the others by the head of all training titles.

    What to read and how much to regularise are chosen once, by all training titles.
    """
    mine = labels.rows(train)
    head = fit_head(mine, [f.rows(train) for f in windows])
    read = next(f for f in windows if f.read == head.read)
    found, inside = score(head, read), read.rows(train)
    held_out = np.empty(mine.targets.shape, np.float32)
    for fit, test in splits(mine.titles, mine.of, _N_INNER_FOLDS, INNER):
        inner = fit_chosen(mine.rows(fit), inside.rows(fit), head.regularisation)
        held_out[test] = score(inner, inside.rows(test))
    found[train] = held_out
    return 1 / (1 + np.exp(-found)) if labels.task.head is HeadKind.LOGISTIC else found


def _choose_rounds(labels: LabelSet, linear: Numbers, asked: Numbers) -> int:
    """The number of rounds that does best on inner folds of titles, by the task's metric; the fewest of equals."""
    miss, mended = to_fit(labels) - linear, np.empty((len(ROUNDS), *linear.shape))
    for fit, test in splits(labels.titles, labels.of, _N_INNER_FOLDS, INNER):
        mended[:, test] = _mended(asked[fit], miss[fit], asked[test], ROUNDS)
    values = [measure(labels.task.metric, linear + each, labels.targets, labels.of) for each in mended]
    return ROUNDS[int(np.argmax(values))]


def _mended(x: Numbers, miss: Numbers, asked: Numbers, rounds: Sequence[int]) -> Numbers:
    """(K, n, L): what trees, grown on x and what the head missed there, say of what is asked."""
    found = np.zeros((len(rounds), len(asked), miss.shape[1]))
    for j in range(miss.shape[1]) if max(rounds) else ():
        for n_done, said in enumerate(_staged(x, miss[:, j], asked, max(rounds)), 1):
            found[[i for i, n in enumerate(rounds) if n == n_done], :, j] = said
    return found


def _staged(x: Numbers, miss: Numbers, asked: Numbers, n_rounds: int) -> Iterator[Numbers]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(**SETTINGS, max_iter=n_rounds, random_state=0)
    return trees.fit(x, miss).staged_predict(asked)


def _narrow(values: Numbers, train: NDArray[np.bool_]) -> Numbers:
    """(n, at most C): what is wider by its principal components in training."""
    if values.shape[1] <= N_COMPONENTS:
        return values
    turned = standardise(values[train])
    x = turned.values.numpy()
    _, axes = np.linalg.eigh(x.T @ x)
    return ((values - turned.mean.numpy()) / turned.scale.numpy()) @ axes[:, ::-1][:, :N_COMPONENTS]
