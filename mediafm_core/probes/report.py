"""The report on an encoder: each task's contextual row beside baselines that no encoder has read.

Every row is made by the same procedure: titles held out by folds, regularisation chosen inside the training titles,
intervals by bootstrap over titles with the same draws.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mediafm_core.probes.comparing import interval
from mediafm_core.probes.features import TitleShots
from mediafm_core.probes.heads import Probe
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.probing import out_of_fold
from mediafm_core.probes.reads import READS, Read, read_label_set

CONTEXTUAL = "contextual"
FUSED_ROW = "fused"

BASELINES: Mapping[str, Read] = {
    FUSED_ROW: READS["clip"],
    "fused + neighbours within 12": READS["clip + neighbours within 12"],
    "fused + 12 before + 12 after": READS["clip + 12 before + 12 after"],
    "fused + title mean": READS["clip + title mean"],
    "fused + 12 before + 12 after + title mean": READS["clip + 12 before + 12 after + title mean"],
    "fused + windows + title mean": READS["clip + windows + title mean"],
    "fused + windows + cosines": READS["clip + windows + cosines"],
    "position only": READS["position"],
}
"""Rows without an encoder, by the name that they have in the report.

Windows are eight and seven times as wide as a fused vector, and take most of the time. Metadata beside fused vectors
raise no bar where that was measured: their rows are the ablation's.
"""


class ReportRow(NamedTuple):
    """What one kind of features reaches on one task, on titles held out."""

    task: str
    features: str
    metric: str
    value: float
    low: float
    """Of the 95 % interval over titles."""
    high: float
    dims: int
    """Width of what the head reads; of a contextual row, the head's that was fitted on all titles."""


def report_rows(
    probes: Iterable[Probe], fused: Mapping[str, TitleShots], *, n_draws: int = 200, seed: int = 0
) -> list[ReportRow]:
    """All rows for all tasks, task by task, the contextual row first.

    Args:
        probes: one for each task.
        fused: the fused vectors of at least the labelled titles.
        n_draws: of the bootstrap.
        seed: of the bootstrap; the same draws for every row of a task.

    Raises:
        LabelsError: a labelled title has no fused vectors.
    """
    return [
        row
        for probe in probes
        for row in (
            contextual_row(probe, n_draws=n_draws, seed=seed),
            *baseline_rows(probe.held_out.labels, fused, n_draws=n_draws, seed=seed),
        )
    ]


def contextual_row(probe: Probe, *, n_draws: int = 200, seed: int = 0) -> ReportRow:
    """The row of the encoder itself: nothing is fitted anew."""
    return row_of(CONTEXTUAL, probe.held_out, probe.head.dims, n_draws=n_draws, seed=seed)


def baseline_rows(
    labels: LabelSet, fused: Mapping[str, TitleShots], *, n_draws: int = 200, seed: int = 0
) -> list[ReportRow]:
    """The rows without an encoder: the same for every encoder that is judged on these labels."""
    rows = []
    for name, read in BASELINES.items():
        features = read_label_set(read, fused, labels)
        out = out_of_fold(labels, [features])
        rows.append(row_of(name, out, features.values.shape[1], n_draws=n_draws, seed=seed))
    return rows


def row_of(name: str, out: OutOfFold, dims: int, *, n_draws: int = 200, seed: int = 0) -> ReportRow:
    """The row of any held-out scores.

    Args:
        name: of the features.
        out: the scores.
        dims: width of what the head reads.
        n_draws: of the bootstrap.
        seed: of the bootstrap.
    """
    task = out.labels.task
    return ReportRow(task.name, name, task.metric.value, *interval(out, n_draws=n_draws, seed=seed), dims)
