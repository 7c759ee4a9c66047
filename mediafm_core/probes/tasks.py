"""The five tasks of the MediaFM post, as five values of one type."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from mediafm_core.errors import LabelsError


class TaskKind(StrEnum):
    """What a clip's label is."""

    MULTI_LABEL = "multi-label"  # any number of names
    BINARY = "binary"  # one name, or none
    RANKING = "ranking"  # a number that is compared within its title


class Metric(StrEnum):
    """What a task is judged by; the value is the name in reports."""

    MACRO_AP = "macro AP"  # the mean over labels of average precision, also called mAP
    MICRO_AP = "micro AP"  # average precision over all pairs of clip and label
    AP = "AP"  # average precision of one label
    KENDALL_TAU = "Kendall's tau-b"  # within each title, then the mean over titles


class HeadKind(StrEnum):
    """What a head is and how it is fitted. The last three are off: the ablation shows what they would bring."""

    LOGISTIC = "logistic"  # linear, all labels jointly, by cross-entropy
    RIDGE = "ridge"  # linear, closed form, by squared error
    SMOOTH_AP = "smooth AP"  # linear, by a soft average precision, from a ridge on
    MLP = "MLP"  # one hidden layer
    ATTENTION = "attention"  # linear, on the clip's shots weighed by attention in place of their seconds


_OF_RANKINGS = (HeadKind.RIDGE, HeadKind.MLP, HeadKind.ATTENTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be predicted of a clip, and how that is fitted and judged."""

    name: str
    asks: str
    kind: TaskKind
    metric: Metric
    head: HeadKind
    n_folds: int  # outer folds; titles are spread over them
    labels: tuple[str, ...] | None = None  # the only names allowed; None: the names that occur
    most_labels: int | None = None  # more names than this are refused: they would be misspellings

    def __post_init__(self) -> None:
        assert self.n_folds >= 2
        assert (self.kind is TaskKind.RANKING) == (self.metric is Metric.KENDALL_TAU)
        assert self.kind is not TaskKind.RANKING or self.head in _OF_RANKINGS, "ranks are neither 0 nor 1"
        assert self.kind is not TaskKind.BINARY or (self.labels is not None and len(self.labels) == 1)


_TASKS = (
    Task(
        name="ad_relevancy",
        asks="Which categories of advertisement suit this moment?",
        kind=TaskKind.MULTI_LABEL,
        metric=Metric.MACRO_AP,
        head=HeadKind.LOGISTIC,
        n_folds=5,
    ),
    Task(
        name="popularity",
        asks="How does this clip rank among the clips of its title?",
        kind=TaskKind.RANKING,
        metric=Metric.KENDALL_TAU,
        head=HeadKind.RIDGE,
        n_folds=10,
    ),
    Task(
        name="tone",
        asks="Which of 100 tones does this clip strike?",
        kind=TaskKind.MULTI_LABEL,
        metric=Metric.MICRO_AP,
        head=HeadKind.LOGISTIC,
        n_folds=5,
        most_labels=100,
    ),
    Task(
        name="genre",
        asks="Which of 11 genres does this clip belong to?",
        kind=TaskKind.MULTI_LABEL,
        metric=Metric.MACRO_AP,
        head=HeadKind.RIDGE,
        n_folds=5,
        most_labels=11,
    ),
    Task(
        name="retrieval",
        asks="Would an editor cut this clip out to present the title?",
        kind=TaskKind.BINARY,
        metric=Metric.AP,
        head=HeadKind.RIDGE,
        n_folds=5,
        labels=("positive",),
    ),
)

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _TASKS})
"""Every task by name. Which head a task has was chosen by measurement: cross-entropy wins on tone and ads only."""


def task_named(name: str) -> Task:
    """The task of this name.

    Raises:
        LabelsError: there is none.
    """
    if name not in TASKS:
        raise LabelsError(
            f"task {name!r}", found="no such task", expected=f"one of {', '.join(TASKS)}", next_step="Check the name."
        )
    return TASKS[name]
