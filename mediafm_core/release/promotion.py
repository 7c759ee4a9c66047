"""From candidate to production.

The gate's record is an artifact; what is live is one declaration, and what readers see is one pointer, swapped when the
release's snapshot stands. A kill in between leaves readers the old release; the next plan publishes the new one.
"""

from collections.abc import Mapping
from typing import Any

from mediafm_core.catalogue.declared import Release
from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.drift.guarding import canary_alarm
from mediafm_core.errors import GateError
from mediafm_core.identity import Fingerprint
from mediafm_core.planning.state import Step
from mediafm_core.planning.training_sets import vectors_made_by
from mediafm_core.release.completing import check_complete
from mediafm_core.release.history import Actor, How, go_live
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import read_document
from mediafm_core.workbench import Bench, Draft

USE = "Decision support for people and teams: a score is a suggestion, and a person decides."
"""What every release is for."""


def make_release(bench: Bench, step: Step) -> Draft:
    """The record of an encoder that may go live: its heads, and how each task compares with what is live.

    Raises:
        IncompleteError: the candidate lacks some of a title.
        GateError: the gate refuses it; the message names the tasks that block, and their figures, or the canaries of
            its suite that have moved.
    """
    from mediafm_core.probes.gate import gate

    encoder, state = step.axes["encoder"], bench.state
    without = check_complete(encoder, state)
    check_canaries(bench, encoder)
    heads = {role.removeprefix("head_"): key for role, key in step.inputs.items() if role.startswith("head_")}
    candidate = {task: _held_out(bench.home, key) for task, key in heads.items()}
    judged = gate(candidate, _live(bench, candidate), state.floors)
    rows = [row._asdict() for row in judged.rows]
    if not judged.passed:
        raise _refused(encoder, rows)
    number = sum(1 for row in bench.home.ledger.artifacts("release") if row.key.partition == encoder) + 1
    name = f"{encoder}-r{number}"
    document = {
        "name": name,
        "encoder": encoder,
        "heads": {task: key.fingerprint for task, key in heads.items()},
        "against": state.release.name if state.release else None,
        "gate": rows,
        "floors": dict(state.floors),
        "without": list(without),
        "use": USE,
    }
    return Draft(document, {"name": name, "against": document["against"], "gate": rows, "without": list(without)})


def _held_out(home: Home, key: ArtifactKey) -> Any:
    from mediafm_core.probes.heads import Probe

    return Probe.from_bytes(home.read(key)).held_out


def _live(bench: Bench, candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Production's held-out scores, of the tasks whose labels are those of the candidate on the titles of both."""
    from mediafm_core.probes.comparing import on_shared_titles

    release = bench.state.release
    if release is None:
        return {}
    keys = {task: _head_key(release, task) for task in release.heads}
    scores = {task: _held_out(bench.home, key) for task, key in keys.items()}
    return {t: out for t, out in scores.items() if t not in candidate or on_shared_titles(candidate[t], out)}


def _head_key(release: Release, task: str) -> ArtifactKey:
    return ArtifactKey("probe_heads", join_partition(encoder=release.encoder, task=task), release.heads[task])


def at_gate(encoder: str) -> str:
    """What the message of a refusal begins with, and no other one."""
    return f"encoder {encoder!r} at the gate"


def refusal_told_by(encoder: str, message: str) -> GateError | None:
    """The refusal that a run ended with, from its message; None where the message is not one of the gate."""
    culprit, _, said = message.partition(": ")
    if culprit != at_gate(encoder):
        return None
    found, _, rest = said.rpartition("; expected ")
    expected, _, next_step = rest.partition(". ")
    return GateError(culprit, found=found, expected=expected, next_step=next_step)


def _refused(encoder: str, rows: list[dict[str, Any]]) -> GateError:
    blocking = [row for row in rows if row["verdict"] == "blocks"]
    return GateError(
        at_gate(encoder),
        found="; ".join(f"task {row['task']} blocks: {row['reason']}" for row in blocking),
        expected="no task worse than production by more than titles vary, and none below its floor",
        next_step="Train longer or on more titles; production stays as it is.",
    )


def check_canaries(bench: Bench, encoder: str) -> None:
    """Refuse an encoder while the canaries of its suite alarm, or were not measured within the hour.

    Raises:
        GateError: they do, or were not.
    """
    if alarm := canary_alarm(bench.home, bench.state, encoder):
        raise GateError(
            at_gate(encoder), found=alarm.found, expected="canaries that are steady", next_step=alarm.next_step
        )


def promote(bench: Bench, step: Step, by: Actor = Actor()) -> None:  # noqa: B008 it never changes
    """Let the release that was just recorded (or was before) be production; nothing happens where it is.

    Raises:
        IncompleteError: it was recorded before, and titles have come since that it lacks.
        GateError: the canaries of its suite have moved since it was recorded.
        ReleaseError: its encoder was retired.
    """
    encoder, live = step.axes["encoder"], bench.state.release
    if live and (live.encoder, live.fingerprint) == (encoder, step.key.fingerprint):
        return
    check_complete(encoder, bench.state)
    check_canaries(bench, encoder)
    document = read_document(bench.home.read(step.key))
    release = Release(
        name=document["name"],
        encoder=document["encoder"],
        heads=document["heads"],
        fingerprint=Fingerprint(step.key.fingerprint),
        made_by=vectors_made_by(),
    )
    go_live(bench.home, release, How.PROMOTION, by)
