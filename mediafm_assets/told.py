"""What Dagster has been told of. A run may die between the commit of an artifact and the event that tells of it."""

import json
import time
from collections.abc import Iterable
from typing import NamedTuple, Self

import dagster as dg

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import State, Step
from mediafm_core.store.ledger import Ledger

_CLOCKS_DIFFER_S = 60.0  # Dagster's database keeps whole seconds, by a clock of its own
_PAGE = 1000


class Look(NamedTuple):
    """When it was last looked whether Dagster has been told of everything."""

    at_s: float  # of the clock, a little early
    commit: int  # the ledger's last commit then

    @classmethod
    def of_now(cls, ledger: Ledger) -> Self:
        """A look that begins now."""
        return cls(time.time() - _CLOCKS_DIFFER_S, ledger.as_of()[1])

    @classmethod
    def from_cursor(cls, cursor: str | None) -> Self | None:
        """Read what `cursor` wrote; None where there is nothing, or what another version wrote."""
        words = json.loads(cursor) if cursor else None
        return cls(*words) if isinstance(words, list) else None

    def cursor(self) -> str:
        """The look as a sensor remembers it."""
        return json.dumps(self)


def untold(instance: dg.DagsterInstance, ledger: Ledger, state: State, since: Look | None) -> tuple[Step, ...]:
    """Steps whose artifact exists and of which Dagster has no event. To carry them out costs no compute and logs it.

    Args:
        instance: Dagster's.
        ledger: the home's.
        state: what should exist and does.
        since: the last look. What was committed later is compared by its fingerprint, for a partition that was made
            anew has an event of its own for each; what is older, by its partition alone.
    """
    existing = [step for step in desired(state).steps() if step.key in state.committed]
    shown = {kind: instance.get_materialized_partitions(dg.AssetKey(kind)) for kind in KINDS if KINDS[kind].axes}
    recent = set(ledger.committed_in_order(after=since.commit)) if since else set()
    told = _told_since(instance, {key.kind for key in recent}, since.at_s) if since else set()
    return tuple(
        step
        for step in existing
        if step.key.partition not in shown[step.key.kind] or (step.key in recent and not _is_told(step.key, told))
    )


def _is_told(key: ArtifactKey, told: set[tuple[str, str | None, str]]) -> bool:
    """An event about many partitions at once names no fingerprint: it tells of all that they had then."""
    return tuple(key) in told or (key.kind, key.partition, "") in told


def _told_since(instance: dg.DagsterInstance, kinds: Iterable[str], since_s: float) -> set[tuple[str, str | None, str]]:
    """Kind, partition and fingerprint of each event about these kinds since then."""
    told: set[tuple[str, str | None, str]] = set()
    for kind in kinds:
        asked = dg.AssetRecordsFilter(asset_key=dg.AssetKey(kind), after_timestamp=since_s)
        page = instance.fetch_materializations(asked, limit=_PAGE)
        while True:
            made = [event for record in page.records if (event := record.asset_materialization)]
            told |= {(kind, event.partition, _fingerprint(event)) for event in made}
            if not page.has_more:
                break
            page = instance.fetch_materializations(asked, limit=_PAGE, cursor=page.cursor)
    return told


def _fingerprint(event: dg.AssetMaterialization) -> str:
    said = event.metadata.get("fingerprint")
    return str(said.value) if said else ""
