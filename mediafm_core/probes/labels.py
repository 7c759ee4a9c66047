"""What is known about the clips of one task: a label set, in one order whatever the order it arrived in.

Shape letters: n clips, T titles, L labels.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import LabelsError
from mediafm_core.identity import canonical_json
from mediafm_core.probes.tasks import Task, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSet:
    """The labelled clips of one task, ordered by title, start and end. Clips of a title may overlap."""

    task: Task
    titles: tuple[str, ...]  # T ids, ascending
    of: NDArray[np.int64]  # (n,) index into `titles`, ascending
    start_s: NDArray[np.float64]  # (n,)
    end_s: NDArray[np.float64]  # (n,)
    names: tuple[str, ...]  # L labels, ascending; of a ranking: ("rank",)
    targets: NDArray[Any]  # (n, L) bool; of a ranking: (n, 1) float64

    def __post_init__(self) -> None:
        n_clips = len(self.of)
        if not n_clips or not self.names:
            raise LabelsError(
                f"labels of task {self.task.name!r}",
                found=f"{n_clips} clips with {len(self.names)} different labels",
                expected="at least one clip, and a label on one of them",
                next_step="Deliver labels for this task, or leave the task out.",
            )
        assert self.targets.shape == (n_clips, len(self.names)), "one row per clip, one column per label"
        assert len(self.start_s) == len(self.end_s) == n_clips, "one span per clip"

    def __len__(self) -> int:
        return len(self.of)

    @property
    def digest(self) -> str:
        """64 hex digits over everything here: two sets with one digest are the same set."""
        said = canonical_json([self.task.name, self.titles, self.names])
        arrays = (self.of, self.start_s, self.end_s, self.targets)
        return hashlib.sha256(
            b"".join([said.encode(), *(np.ascontiguousarray(a).tobytes() for a in arrays)])
        ).hexdigest()

    def rows(self, chosen: NDArray[np.bool_]) -> Self:
        """The clips where `chosen` (n,) is true; the labels stay the same, even one that no longer occurs."""
        kept, of = np.unique(self.of[chosen], return_inverse=True)
        return type(self)(
            task=self.task,
            titles=tuple(self.titles[i] for i in kept),
            of=of.astype(np.int64),
            start_s=self.start_s[chosen],
            end_s=self.end_s[chosen],
            names=self.names,
            targets=self.targets[chosen],
        )

    def of_titles(self, titles: Collection[str]) -> Self:
        """The clips of the given titles; titles without labels are passed over."""
        return self.rows(np.isin(self.of, [i for i, title in enumerate(self.titles) if title in titles]))


class OutOfFold(NamedTuple):
    """Scores of labelled clips by heads that had seen no clip of their title."""

    labels: LabelSet
    scores: NDArray[np.float32]  # (n, L), higher is more likely or ranked higher


def label_set(
    task: Task,
    titles: Collection[str],
    start_s: Collection[float],
    end_s: Collection[float],
    *,
    labels: Collection[Collection[str]] = (),
    ranks: Collection[float] = (),
) -> LabelSet:
    """Bring clips into order and their labels into one matrix. What they hold must have been checked.

    Args:
        task: what they are labels of.
        titles: n title ids, one per clip.
        start_s: n starts in seconds.
        end_s: n ends in seconds.
        labels: n collections of names; a name that stands twice counts once. Not for a ranking.
        ranks: n numbers, for a ranking only; larger is what the head will score higher.

    Raises:
        LabelsError: there is no clip, or no label on any clip.
    """
    ids, of = np.unique(np.asarray(titles, dtype=object).astype(str), return_inverse=True)
    starts, ends = np.array(start_s, np.float64), np.array(end_s, np.float64)
    names, targets = (("rank",), _column(ranks)) if task.kind is TaskKind.RANKING else _matrix(task, labels)
    order = np.lexsort((ends, starts, of))
    return LabelSet(
        task=task,
        titles=tuple(str(i) for i in ids),
        of=of[order].astype(np.int64),
        start_s=starts[order],
        end_s=ends[order],
        names=names,
        targets=targets[order],
    )


def _column(ranks: Collection[float]) -> NDArray[np.float64]:
    return np.array(ranks, np.float64)[:, None]


def _matrix(task: Task, labels: Collection[Collection[str]]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    names = task.labels or tuple(sorted({name for clip in labels for name in clip}))
    column = {name: j for j, name in enumerate(names)}
    targets = np.zeros((len(labels), len(names)), np.bool_)
    for i, clip in enumerate(labels):
        targets[i, [column[name] for name in clip]] = True
    return names, targets
