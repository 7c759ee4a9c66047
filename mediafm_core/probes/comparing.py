"""Held-out scores judged alone and against others: the figures of every report, finding and gate come from here."""

from collections.abc import Collection

import numpy as np

from mediafm_core.errors import LabelsError
from mediafm_core.probes.labels import OutOfFold
from mediafm_core.probes.metrics import Interval, Resampled, measure, resample


def value(out: OutOfFold) -> float:
    """The task's metric over all clips; see `measure`."""
    labels = out.labels
    return measure(labels.task.metric, out.scores, labels.targets, labels.of)


def interval(out: OutOfFold, *, n_draws: int = 200, seed: int = 0) -> Interval:
    """The same with its 95 % interval over titles; arguments as for `resampled`."""
    return resampled(out, n_draws=n_draws, seed=seed).interval


def resampled(out: OutOfFold, *, n_draws: int = 200, seed: int = 0) -> Resampled:
    """The same with its value at each draw of titles.

    Args:
        out: held-out scores.
        n_draws: of the bootstrap.
        seed: of the bootstrap; one seed draws the same titles for whatever is scored on the same labels.
    """
    labels, generator = out.labels, np.random.default_rng(seed)
    return resample(labels.task.metric, out.scores, labels.targets, labels.of, n_draws=n_draws, generator=generator)


def comparable(first: OutOfFold, second: OutOfFold) -> bool:
    """Whether both are scores of the same clips against the same labels."""
    return first.labels.digest == second.labels.digest


def on_shared_titles(first: OutOfFold, second: OutOfFold) -> tuple[OutOfFold, OutOfFold] | None:
    """Both, on the titles that both were scored on; None where these are fewer than two, or labelled otherwise."""
    shared = set(first.labels.titles).intersection(second.labels.titles)
    if len(shared) < 2:
        return None
    cut = _of_titles(first, shared), _of_titles(second, shared)
    return cut if comparable(*cut) else None


def _of_titles(out: OutOfFold, titles: Collection[str]) -> OutOfFold:
    chosen = np.isin(out.labels.of, [i for i, title in enumerate(out.labels.titles) if title in titles])
    return OutOfFold(out.labels.rows(chosen), out.scores[chosen])


def difference(first: OutOfFold, second: OutOfFold, *, n_draws: int = 200, seed: int = 0) -> Interval:
    """How much better `first` is than `second`, on the same clips, with the same titles drawn for both.

    Args:
        first: held-out scores.
        second: others of the same clips.
        n_draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        LabelsError: the two were scored on different labels.
    """
    if not comparable(first, second):
        raise LabelsError(
            f"task {first.labels.task.name!r}",
            found=f"one scored on {_said(first)}, the other on {_said(second)}",
            expected="both scored on the same clips and labels",
            next_step="Score both on the same labels, then compare.",
        )
    drawn = [resampled(out, n_draws=n_draws, seed=seed) for out in (first, second)]
    return drawn[0].less(drawn[1]).interval


def _said(out: OutOfFold) -> str:
    labels = out.labels
    return (
        f"{len(labels)} clips of {len(labels.titles)} titles with {len(labels.names)} labels of task "
        f"{labels.task.name!r} ({labels.digest[:8]})"
    )
