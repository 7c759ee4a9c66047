"""The report of an ablation as it is stored: one JSON document."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.probes.ablation.findings import Finding, findings
from mediafm_core.probes.ablation.going import OTHER, OUTSIDE, Ablation
from mediafm_core.probes.ablation.keeping import FinishedRow
from mediafm_core.probes.ablation.optimisers import muon_finding
from mediafm_core.probes.ablation.rows import AblationRow
from mediafm_core.probes.ablation.variants import ISOLATED, UNTRAINED
from mediafm_core.probes.report import CONTEXTUAL


class Source(StrEnum):
    """Whose vectors a row reads."""

    OWN = "the encoder"
    APART = "the encoder, taken apart"
    UNTRAINED = "untrained"
    OTHER = "another encoder"
    OUTSIDE = "an outside model"
    NONE = "no encoder"


_BY_NAME: Final = {CONTEXTUAL: Source.OWN, UNTRAINED: Source.UNTRAINED, ISOLATED: Source.APART}
_BY_BEGINNING: Final = {OTHER: Source.OTHER, OUTSIDE: Source.OUTSIDE, CONTEXTUAL: Source.APART}


def source_of(features: str) -> Source:
    """Whose vectors a row reads, by its name."""
    begun = (source for beginning, source in _BY_BEGINNING.items() if features.startswith(beginning))
    return _BY_NAME.get(features) or next(begun, Source.NONE)


def document_of(spec: EncoderSpec, ablation: Ablation, rows: Sequence[FinishedRow]) -> dict[str, Any]:
    """All that the report says.

    Args:
        spec: the encoder that is taken apart.
        ablation: the ablation, with its heads.
        rows: all of its rows.
    """
    tasks = list(ablation.probes)
    ordered = sorted(rows, key=lambda made: (tasks.index(made.row.task), -made.row.value, made.row.features))
    judged = [AblationRow(made.row, made.held_out, 0, 0) for made in ordered if made.held_out]
    return {
        "encoder": spec.name,
        "suite": spec.suite,
        "tasks": {task: _task_record(ablation, task) for task in tasks},
        "rows": [_row_record(made) for made in ordered],
        "findings": [_finding_record(found) for found in (*findings(judged), muon_finding(judged, ablation.duels))],
        "left_out": ablation.left_out,
        "absent": ablation.absent,
    }


def facts_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside the report: what each finding came to, and how many rows there are."""
    verdicts = [{"finding": f["claim"], "verdict": f["verdict"]} for f in document["findings"]]
    return {"n_rows": len(document["rows"]), "n_tasks": len(document["tasks"]), "findings": verdicts}


def _task_record(ablation: Ablation, task: str) -> dict[str, Any]:
    labels = ablation.probes[task].held_out.labels
    return {
        "metric": labels.task.metric.value,
        "n_clips": len(labels),
        "n_titles": len(labels.titles),
        "n_labels": len(labels.names),
        "labels": labels.digest,
    }


def _row_record(made: FinishedRow) -> dict[str, Any]:
    value, low, high = made.ahead
    ahead = {"ahead": value, "ahead_low": low, "ahead_high": high}
    return {**made.row._asdict(), "source": source_of(made.row.features).value, **ahead}


def _finding_record(finding: Finding) -> dict[str, Any]:
    contrasts = [{"says": c.says, **c.interval._asdict(), "verdict": c.verdict.value} for c in finding.contrasts]
    return {
        "claim": finding.claim,
        "rule": finding.rule.value,
        "verdict": finding.verdict.value,
        "contrasts": contrasts,
        "note": finding.note,
    }
