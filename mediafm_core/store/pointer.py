"""The pointer `production.json`: the one object that changes, and all that readers need to start from."""

import json
from typing import NamedTuple

from mediafm_core.errors import SnapshotError
from mediafm_core.identity import Fingerprint
from mediafm_core.store.objects import Objects

POINTER = "production.json"


class Pointer(NamedTuple):
    """Which snapshot readers see."""

    snapshot: Fingerprint
    path: str  # of the snapshot's object, relative to the home
    digest: str  # sha256 of that object
    encoder: str  # the encoder whose embeddings it shows
    release: str | None = None  # the release that is live; None where the encoder went live without heads


def read_pointer(objects: Objects) -> Pointer | None:
    """The pointer of a home; None where nothing was ever published.

    Raises:
        SnapshotError: the object is no pointer.
    """
    if not objects.exists(POINTER):
        return None
    data = objects.read(POINTER)
    try:
        return Pointer(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise SnapshotError(
            f"{POINTER} in {objects.url}",
            found=f"{data[:40]!r}",
            expected=f"a JSON object with {', '.join(Pointer._fields)}",
            next_step=f"Somebody changed it. Delete {POINTER} and run `mediafm apply`: it is written again.",
        ) from error


def swap_pointer(objects: Objects, pointer: Pointer) -> None:
    """Let readers see another snapshot from now on, in one step."""
    objects.swap(POINTER, json.dumps(pointer._asdict(), indent=1).encode())
