"""An encoder that nobody wants any more: nothing is planned for it, and the space of its vectors is free again.

First the declaration: from there on nothing reads what is deleted. The same command, given again, goes on after a kill.
Records of a few KB are kept for the history: the gate's, the report, the ablation.
"""

import time
from dataclasses import asdict

from sqlalchemy import Connection

from mediafm_core.catalogue.declared import RETIRED
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, split_partition
from mediafm_core.errors import PlanError, ReleaseError
from mediafm_core.planning.desired import trained_steps
from mediafm_core.pretraining.stage import forget_training
from mediafm_core.release.freeing import Freed, free
from mediafm_core.release.history import Actor, history
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import read_pointer
from mediafm_core.workbench import Bench, LogReporter

_RECORDS = frozenset({"probe_report", "ablation_report", "release"})
FREED = tuple(kind.name for kind in KINDS.values() if "encoder" in kind.axes and kind.name not in _RECORDS)
"""The kinds whose artifacts of a retired encoder are deleted."""


def retire(home: Home, encoder: str, *, by: Actor = Actor(), force: bool = False) -> Freed:  # noqa: B008
    """Ask for an encoder no longer, and delete its vectors, weights, heads and predictions. It cannot be undone.

    Args:
        home: an open home.
        encoder: its name.
        by: who asks.
        force: also where it was live once: its releases cannot be gone back to then.

    Raises:
        PlanError: there is no such encoder.
        ReleaseError: it is in production, readers see it, or it was live once and `force` is not given.
    """
    if encoder not in home.ledger.declared("encoder"):
        raise PlanError(
            f"encoder {encoder!r}",
            found="no such encoder",
            expected="a declared one",
            next_step="Look at `mediafm encoder list`.",
        )
    if home.ledger.declared_one(RETIRED, encoder) is None:
        _declare(home, encoder, by, force)
    return _free(home, encoder)


def _declare(home: Home, encoder: str, by: Actor, force: bool) -> None:
    releases = list(dict.fromkeys(e.after for e in history(home) if e.release and e.release.encoder == encoder))

    def not_needed(connection: Connection) -> None:
        live = home.ledger.declared_one("production", "encoder", connection) or {}
        pointer = read_pointer(home.objects)
        if encoder == live.get("name"):
            raise _refused(encoder, "it is in production", "Promote another encoder first.")
        if pointer and encoder == pointer.encoder:
            raise _refused(encoder, "readers still see it", "Run `mediafm apply`: it publishes what is in production.")
        if releases and not force:
            found = f"{', '.join(releases)} could be gone back to"
            raise _refused(encoder, found, "Give --force, if nobody will: those releases cannot be live again then.")

    said = {"at": time.time(), "by": asdict(by), "releases": releases}
    home.declare(RETIRED, encoder, said, provided=not_needed)


def _refused(encoder: str, found: str, next_step: str) -> ReleaseError:
    return ReleaseError(
        f"encoder {encoder!r}", found=found, expected="one that nothing needs any more", next_step=next_step
    )


def _free(home: Home, encoder: str) -> Freed:
    state = read_state(home)
    (spec,) = (spec for spec in state.retired if spec.name == encoder)
    forget_training(Bench(home, state, LogReporter()), trained_steps(spec)[1])
    home.ledger.forgive(key for key in home.ledger.failures() if _encoder_of(key) == encoder)
    folders = {kind: [f"artifacts/{kind}/{encoder}"] for kind in FREED}
    return free(home, lambda key: key.kind in FREED and _encoder_of(key) == encoder, folders)


def _encoder_of(key: ArtifactKey) -> str | None:
    return split_partition(key.kind, key.partition).get("encoder")
