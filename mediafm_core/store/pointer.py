"""The pointer `production.json`: the one object that changes, and all that readers need to start from."""

import json
from typing import NamedTuple

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
    """The pointer of a home; None where nothing was ever published."""
    return Pointer(**json.loads(objects.read(POINTER))) if objects.exists(POINTER) else None


def swap_pointer(objects: Objects, pointer: Pointer) -> None:
    """Let readers see another snapshot from now on, in one step."""
    objects.swap(POINTER, json.dumps(pointer._asdict(), indent=1).encode())
