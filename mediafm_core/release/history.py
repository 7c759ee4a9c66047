"""What was live, when, and by whose hand: declarations, which are appended and never changed."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection

from mediafm_core.catalogue.declared import RETIRED, Release
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import ReleaseError
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import read_document
from mediafm_core.store.pointer import Pointer, read_pointer

_PRODUCTION = ("production", "encoder")


class How(StrEnum):
    """By what act a release went live."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who or what acted; None where it is not known."""

    user: str | None = None  # as the operating system names whoever ran the process
    through: str | None = None  # a command, a job of a run, a sensor, a schedule, a backfill
    run: str | None = None  # the id of the run in Dagster

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**record)


class Event(NamedTuple):
    """One entry of the history."""

    at: float | None  # seconds since the epoch; None where an earlier version wrote it
    how: How
    before: str | None  # what was live until then: a release, or an encoder without heads
    after: str  # what is live from then on
    by: Actor
    release: Release | None  # None where an encoder went live without heads
    left: Pointer | None  # what readers saw until then


def history(home: Home) -> list[Event]:
    """Everything that ever was live, oldest first."""
    events: list[Event] = []
    for declared in home.ledger.declarations(_PRODUCTION[0]):
        if declared.name == _PRODUCTION[1]:
            events.append(_event(declared.body, events[-1].after if events else None))
    return events


def _event(body: Mapping[str, Any], before: str | None) -> Event:
    release = Release.from_json(body["release"]) if body.get("release") else None
    how, by = How(body.get("how", How.PROMOTION)), Actor.from_json(body.get("by", {}))
    left = Pointer(**body["left"]) if body.get("left") else None
    return Event(body.get("at"), how, before, release.name if release else body["name"], by, release, left)


def verdicts(home: Home, release: Release) -> list[Mapping[str, Any]]:
    """How the gate judged each task of a release when it was recorded; none where the record is gone."""
    key = ArtifactKey("release", release.encoder, release.fingerprint)
    return read_document(home.read(key))["gate"] if home.ledger.artifact(key) else []


def go_live(home: Home, release: Release, how: How, by: Actor) -> bool:
    """Declare a release to be production; False where it is already, and nothing is appended.

    Raises:
        ReleaseError: its encoder was retired.
    """
    record = json.loads(json.dumps(asdict(release)))
    live = home.ledger.declared_one(*_PRODUCTION) or {}
    if live.get("release") == record:
        return False

    def not_retired(connection: Connection) -> None:
        if home.ledger.declared_one(RETIRED, release.encoder, connection) is not None:
            raise retired_error(release)

    pointer = read_pointer(home.objects)
    said = {"how": how, "by": asdict(by), "at": time.time(), "left": pointer._asdict() if pointer else None}
    body = {"name": release.encoder, "release": record, **said}
    return home.declare(*_PRODUCTION, body, provided=not_retired)


def retired_error(release: Release) -> ReleaseError:
    """Why a release of a retired encoder cannot be live."""
    return ReleaseError(
        f"release {release.name!r}",
        found=f"its encoder {release.encoder!r} was retired, and its vectors are gone",
        expected="a release of an active encoder",
        next_step="`mediafm release history` shows the others.",
    )
