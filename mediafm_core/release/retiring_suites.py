"""A suite that no encoder is bound to any more: no title is embedded by it, and the space of its vectors is free again.

It comes back where somebody asks for it again: by declaring it, or by a delivery that brings its embeddings.
"""

import time
from dataclasses import asdict

from sqlalchemy import Connection

from mediafm_core.catalogue.declared import RETIRED, RETIRED_SUITE
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, split_partition
from mediafm_core.errors import PlanError, ReleaseError
from mediafm_core.release.freeing import Freed, free
from mediafm_core.release.history import Actor
from mediafm_core.store.home import Home

_OF_SUITE = tuple(kind.name for kind in KINDS.values() if "suite" in kind.axes)


def retire_suite(home: Home, suite: str, *, by: Actor = Actor()) -> Freed:  # noqa: B008 it never changes
    """Embed no title by a suite any more, and delete its embeddings. Given again, it goes on where it was cut off.

    Raises:
        PlanError: there is no such suite.
        ReleaseError: an encoder that is not retired reads its embeddings.
    """
    ledger = home.ledger
    if suite not in (known := ledger.declared("suite")):
        raise PlanError(
            f"suite {suite!r}",
            found="no such suite",
            expected=f"one of {', '.join(known)}",
            next_step="Look at `mediafm suites list`.",
        )

    def not_needed(connection: Connection) -> None:
        bound = {name for name, body in ledger.declared("encoder").items() if body["suite"] == suite}
        needed_by = sorted(name for name in bound if ledger.declared_one(RETIRED, name, connection) is None)
        if needed_by:
            raise ReleaseError(
                f"suite {suite!r}",
                found=f"encoder {', '.join(needed_by)}, which reads its embeddings",
                expected="a suite that no active encoder is bound to",
                next_step="Promote an encoder of another suite, then `mediafm encoder retire NAME`.",
            )

    if not ledger.declared_one(RETIRED_SUITE, suite):
        home.declare(RETIRED_SUITE, suite, {"at": time.time(), "by": asdict(by)}, provided=not_needed)
    ledger.forgive(key for key in ledger.failures() if _suite_of(key) == suite)
    return free(home, lambda key: _suite_of(key) == suite, {kind: [f"artifacts/{kind}/{suite}"] for kind in _OF_SUITE})


def _suite_of(key: ArtifactKey) -> str | None:
    return split_partition(key.kind, key.partition).get("suite")
