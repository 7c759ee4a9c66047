"""Deleting what nobody asks for any more: the ledger's rows first, in one transaction, then the objects.

Whoever calls has declared before that nothing reads them. A kill in between leaves objects that nothing names; the same
call, made again, deletes them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.store.home import Home


class Freed(NamedTuple):
    """What one call deleted: nothing, where an earlier one had."""

    n_objects: Mapping[str, int]  # by asset
    n_bytes: int

    @property
    def total(self) -> int:
        """Objects of all assets."""
        return sum(self.n_objects.values())


def free(home: Home, owned: Callable[[ArtifactKey], bool], folders: Mapping[str, Iterable[str]]) -> Freed:
    """Delete artifacts.

    Args:
        home: an open home.
        owned: whether an artifact is one of them.
        folders: by asset, the folders of objects that hold nothing else.
    """
    home.ledger.forget(key for key in home.ledger.committed_in_order() if owned(key))
    lying = {
        kind: {path: size for folder in below for path, size in home.objects.sizes(folder).items()}
        for kind, below in folders.items()
    }
    for objects in lying.values():
        for path in objects:
            home.objects.delete(path)
    return Freed({kind: len(objects) for kind, objects in lying.items()}, sum(sum(o.values()) for o in lying.values()))
