"""What must hold of the artifacts that exist, shown beside the assets."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

import dagster as dg
import numpy as np
import pyarrow.parquet as pq

from mediafm_assets.automations import CANARIES
from mediafm_assets.metadata import table_metadata
from mediafm_assets.postponed import postponed
from mediafm_assets.resources import HomeResource
from mediafm_core.catalogue.declared import RETIRED
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.drift.guarding import MEASURE, latest, overdue
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import snapshot_step
from mediafm_core.release.candidates import candidates, refusals
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.manifest import read_document
from mediafm_core.store.vectors import spans_of, vectors_of

_ROUNDING = 2e-3  # a unit vector of fp16 numbers


def _wanted(home: Home, kind: str) -> Iterator[ArtifactRow]:
    """The committed artifacts of one kind that the catalogue asks for now."""
    state = read_state(home)
    for step in desired(state).steps():
        if step.key.kind == kind and (row := home.ledger.artifact(step.key)):
            yield row


def _result(
    faults: Sequence[Mapping[str, object]],
    n_checked: int,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    metadata = {"n_checked": dg.MetadataValue.int(n_checked), "faults": table_metadata(faults)}
    return dg.AssetCheckResult(passed=not faults, metadata=metadata, severity=severity)


@dg.asset_check(asset="deliveries", description="No delivery was refused, and no step is parked after failing.")
def nothing_is_parked(home: HomeResource) -> dg.AssetCheckResult:
    """What needs a person: see `mediafm status`."""
    return _parked(home.open())


def parked_evaluation(home: Home) -> dg.AssetCheckEvaluation:
    """The same as an event that a run logs at its end, so that the UI shows it without anybody asking."""
    return _evaluation("deliveries", "nothing_is_parked", _parked(home))


def _evaluation(asset: str, check: str, found: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset),
        check_name=check,
        passed=found.passed,
        metadata=found.metadata,
        severity=found.severity,
    )


def _parked(home: Home) -> dg.AssetCheckResult:
    failures = [failure for failure in home.ledger.failures().values() if failure.parked]
    asked = _asked_for(home) if failures else set()
    parked = [
        {"what": f"{failure.key.kind} of {failure.key.partition}", "why": failure.message}
        for failure in failures
        if failure.key in asked
    ]
    refused = [{"what": f"delivery {r.delivered_as}", "why": r.message} for r in home.ledger.rejections()]
    waiting = [{"what": f"{each.what}, for a day", "why": each.why} for each in postponed(home)]
    return _result([*parked, *waiting, *refused], len(home.ledger.declared("title")))


def _asked_for(home: Home) -> set[ArtifactKey]:
    """What a plan may hold: what failed of an earlier delivery needs nobody."""
    state = read_state(home)
    wanted = desired(state)
    due = snapshot_step(state, wanted)
    return {step.key for step in wanted.steps()} | ({due.key} if due else set())


@dg.asset_check(asset="shots", description="The shots of each title tile it: no gap, no overlap, to its end.")
def shots_tile_their_title(home: HomeResource) -> dg.AssetCheckResult:
    """Reads every wanted shot list."""
    opened, faults, n_checked = home.open(), [], 0
    for row in _wanted(opened, "shots"):
        n_checked += 1
        spans = spans_of(pq.read_table(BytesIO(opened.read(row.key))))
        edges = [0.0, *(span.end_s for span in spans)]
        tiles = all(abs(span.start_s - edge) < 1e-6 for span, edge in zip(spans, edges, strict=False))
        if not tiles or abs(edges[-1] - row.manifest.facts["duration_s"]) > 1e-6:
            faults.append({"title": row.key.partition, "shots": len(spans), "ends_at_s": edges[-1]})
    return _result(faults, n_checked)


@dg.asset_check(asset="fused_embeddings", description="Every fused embedding is finite and of unit length.")
def fused_embeddings_are_unit_length(home: HomeResource) -> dg.AssetCheckResult:
    """Reads every wanted fused table."""
    opened, faults, n_checked = home.open(), [], 0
    for row in _wanted(opened, "fused_embeddings"):
        n_checked += 1
        lengths = np.linalg.norm(vectors_of(pq.read_table(BytesIO(opened.read(row.key)))), axis=1)
        if not np.all(np.abs(lengths - 1.0) < _ROUNDING):
            faults.append(
                {"partition": row.key.partition, "shortest": float(lengths.min()), "longest": float(lengths.max())}
            )
    return _result(faults, n_checked)


@dg.asset_check(asset="contextual_embeddings", description="Each title has one contextual embedding for each shot.")
def contextual_embeddings_match_shots(home: HomeResource) -> dg.AssetCheckResult:
    """Compares row counts along each lineage."""
    opened, faults, n_checked = home.open(), [], 0
    for row in _wanted(opened, "contextual_embeddings"):
        n_checked += 1
        fused = opened.ledger.artifact(ArtifactKey(*row.manifest.inputs["fused"]))
        n_fused = fused.manifest.facts["n_shots"] if fused else None
        if row.manifest.facts["n_shots"] != n_fused:
            faults.append({"partition": row.key.partition, "rows": row.manifest.facts["n_shots"], "shots": n_fused})
    return _result(faults, n_checked)


@dg.asset_check(
    asset="mediafm_encoder",
    description="No encoder fails to beat the best baseline clearly, on titles held out of its training.",
)
def encoders_have_learnt(home: HomeResource) -> dg.AssetCheckResult:
    """Encoders that were not judged, or on too few titles, are listed too, and are no fault."""
    rows = list(_wanted(home.open(), "mediafm_encoder"))
    told = [(row.key.partition, row.manifest.facts.get("learnt"), row.manifest.facts.get("why")) for row in rows]
    said = [{"encoder": name, "learnt": learnt, "why": why} for name, learnt, why in told]
    result = _result([each for each in said if each["learnt"] == "no"], len(rows))
    return result._replace(metadata={**result.metadata, "encoders": table_metadata(said)})


@dg.asset_check(
    asset="probe_report",
    description="Context is worth something: in no encoder's report a task is below the best row without an encoder.",
)
def context_is_worth_something(home: HomeResource) -> dg.AssetCheckResult:
    """A warning, not a gate: the gate compares with production."""
    opened, faults, n_checked = home.open(), [], 0
    for row in _wanted(opened, "probe_report"):
        figures = read_document(opened.read(row.key))["rows"]
        n_checked += len(figures)
        for task in {figure["task"] for figure in figures}:
            mine = {figure["features"]: figure["value"] for figure in figures if figure["task"] == task}
            contextual = mine.pop("contextual")
            best = max(mine, key=lambda features: mine[features])
            if contextual < mine[best]:
                faults.append({"encoder": row.key.partition, "task": task, "contextual": contextual, best: mine[best]})
    return _result(faults, n_checked, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset="release", description="What is live passed its gate, task by task.")
def what_is_live_passed_its_gate(home: HomeResource) -> dg.AssetCheckResult:
    """Reads the gate's record of the release that is live."""
    opened = home.open()
    live = read_state(opened).release
    if live is None:
        return _result([], 0)
    rows = read_document(opened.read(ArtifactKey("release", live.encoder, live.fingerprint)))["gate"]
    return _result([row for row in rows if row["verdict"] != "passes"], len(rows))


@dg.asset_check(asset="release", description="The gate refuses no candidate as it stands; each is listed.")
def no_candidate_is_refused(home: HomeResource) -> dg.AssetCheckResult:
    """A warning: production is as it was. The reason names the tasks that block."""
    opened = home.open()
    said = [{"encoder": c.encoder, "standing": c.standing.value, "reason": c.reason} for c in candidates(opened)]
    result = _refused(opened)
    return result._replace(metadata={**result.metadata, "candidates": table_metadata(said)})


def refused_evaluation(home: Home) -> dg.AssetCheckEvaluation:
    """The same at the end of a run, without the list of all candidates: for that all titles were to be read."""
    return _evaluation("release", "no_candidate_is_refused", _refused(home))


def _refused(home: Home) -> dg.AssetCheckResult:
    refused = [{"encoder": each.encoder, "standing": "refused", "reason": each.reason} for each in refusals(home)]
    n_encoders = len(home.ledger.declared("encoder").keys() - home.ledger.declared(RETIRED).keys())
    return _result(refused, n_encoders, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset="canaries", description="No suite's canaries have moved from their reference: see docs/drift.md.")
def canaries_are_steady(home: HomeResource) -> dg.AssetCheckResult:
    """Reads the last measurement of each watched suite; what moved is said with what to do.

    Of encoders behind a server it says beside that from which distance on a drift is seen at all. A warning alone where
    nothing moved, but a suite that is watched or live was not measured twice in a row.
    """
    return _canaries(home.open())


def canaries_evaluation(home: Home) -> dg.AssetCheckEvaluation:
    """The same at the end of a run: a measurement that is overdue is shown by what runs without one."""
    return _evaluation("canaries", "canaries_are_steady", _canaries(home))


def _canaries(home: Home) -> dg.AssetCheckResult:
    state = read_state(home, ())  # of no title
    last = [found for suite in state.canaries if (found := latest(home, state, suite))]
    moved = [{"suite": each.suite, **f} for each in last for f in each.findings]
    late = overdue(home, state, 2 * CANARIES.every_s)
    said = [{"suite": each.suite, "what": "canaries", "figures": each.said, "advice": MEASURE} for each in late]
    severity = dg.AssetCheckSeverity.WARN if late and not moved else dg.AssetCheckSeverity.ERROR
    result = _result([*moved, *said], len(last), severity)
    sees = [{"suite": each.suite, "sees": seen} for each in last for seen in each.sees_said]
    return result._replace(metadata={**result.metadata, "sees": table_metadata(sees)} if sees else result.metadata)


all_checks = [
    canaries_are_steady,
    encoders_have_learnt,
    context_is_worth_something,
    what_is_live_passed_its_gate,
    no_candidate_is_refused,
    nothing_is_parked,
    shots_tile_their_title,
    fused_embeddings_are_unit_length,
    contextual_embeddings_match_shots,
]
