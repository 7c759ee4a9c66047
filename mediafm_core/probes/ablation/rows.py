"""The rows of an ablation, one after the other."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from mediafm_core.probes.ablation.variants import Family, Reader, Variant
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.report import ReportRow, row_of


class AblationRow(NamedTuple):
    """One variant on one task."""

    row: ReportRow
    held_out: OutOfFold  # for paired differences to other rows of the task
    n_done: int  # rows, this one included
    n_in_all: int


def ablation_rows(
    labels: Sequence[LabelSet],
    families: Sequence[Family],
    *,
    known: Collection[tuple[str, str]] = (),
    n_draws: int = 200,
    seed: int = 0,
) -> Iterator[AblationRow]:
    """Make row after row; each is whole when it comes, and what is not asked for any more is never made.

    Args:
        labels: one set for each task.
        families: which rows; see `families`.
        known: (task, features) of rows that an earlier run has made; they are passed over, and counted as done.
        n_draws: of the bootstrap.
        seed: of the bootstrap; the same draws for every row of a task.

    Raises:
        LabelsError: a labelled clip has no vectors, or there are too few titles.
        DimensionError: an encoder does not fit the titles.
    """
    wanted = [[(v, each) for v in family.variants for each in labels if v.suits(each.task)] for family in families]
    n_in_all = n_rows(labels, families)
    n_done = sum((each.task.name, v.name) in known for pairs in wanted for v, each in pairs)
    for family, pairs in zip(families, wanted, strict=True):
        missing = [(v, each) for v, each in pairs if (each.task.name, v.name) not in known]
        reader = family.opened() if missing else None
        for variant, task_labels in missing:
            assert reader is not None
            n_done += 1
            yield _made(variant, task_labels, reader, (n_draws, seed), (n_done, n_in_all))


def n_rows(labels: Sequence[LabelSet], families: Sequence[Family]) -> int:
    """How many rows these families have on these tasks."""
    return sum(v.suits(each.task) for family in families for v in family.variants for each in labels)


def _made(
    variant: Variant, labels: LabelSet, reader: Reader, bootstrap: tuple[int, int], counts: tuple[int, int]
) -> AblationRow:
    found = variant.score(labels, [reader(read, labels) for read in (*variant.reads, *variant.asked)])
    n_draws, seed = bootstrap
    return AblationRow(
        row_of(variant.name, found.held_out, found.dims, n_draws=n_draws, seed=seed), found.held_out, *counts
    )
