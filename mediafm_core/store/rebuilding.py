"""The ledger made to agree with the home's objects: after a loss of either, or to be sure that nothing is damaged."""

import hashlib
import json
from collections.abc import Callable
from typing import NamedTuple

from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.store.ledger import ArtifactRow, Declaration, Ledger
from mediafm_core.store.manifest import read_manifest
from mediafm_core.store.objects import Objects

Report = Callable[[int, int], None]
"""Takes how many objects were read, and how many there are."""


class Rebuilt(NamedTuple):
    """What a rebuilding found and did; all but the first is nothing in a sound home."""

    n_artifacts: int
    """Artifacts in the ledger now."""
    adopted: tuple[str, ...]
    """Objects that had no row, by path: they have one now."""
    lost: tuple[str, ...]
    """Rows that had no object: dropped."""
    damaged: tuple[str, ...]
    """Objects whose bytes are not those that were committed: deleted, their rows dropped."""
    n_declarations: int
    """Declarations that had no row."""

    @property
    def changed(self) -> bool:
        """Whether anything did not agree."""
        return bool(self.adopted or self.lost or self.damaged or self.n_declarations)


def rebuild(objects: Objects, ledger: Ledger, report: Report) -> Rebuilt:
    """Read every object: what has no row gets one, what has no object or a damaged one loses its row.

    Where an artifact is dropped, the snapshots are too: it is made again with another digest, and they name digests.

    Raises:
        ArtifactError: an object that the ledger does not know has no readable manifest; nothing was dropped for it.
    """
    ledger.create_tables()
    n_declarations = _adopt_declarations(objects, ledger)
    known = {row.path: row for row in ledger.artifacts()}  # before the objects: each had its object first
    paths = list(objects.paths("artifacts"))
    adopted, damaged = _read_all(objects, known, paths, report)
    lost = sorted(known.keys() - paths)
    if lost or damaged:
        _drop(objects, ledger, known, {*lost, *damaged})
    for row in sorted(adopted, key=lambda row: row.manifest.made_at):
        ledger.commit(row)
    return Rebuilt(
        len(ledger.committed_in_order()),
        tuple(row.path for row in adopted),
        tuple(lost),
        tuple(damaged),
        n_declarations,
    )


def _adopt_declarations(objects: Objects, ledger: Ledger) -> int:
    with ledger.writing() as connection:
        next_sequence = ledger.next_sequence(connection)
        found = [declaration_of(objects.read(path)) for path in objects.paths("declarations")]
        new = [declaration for declaration in found if declaration.sequence >= next_sequence]
        for declaration in new:
            ledger.declare(connection, declaration)
    return len(new)


def _read_all(
    objects: Objects, known: dict[str, ArtifactRow], paths: list[str], report: Report
) -> tuple[list[ArtifactRow], list[str]]:
    """The rows of objects that had none, and the paths of those that are not what was committed."""
    adopted: list[ArtifactRow] = []
    damaged: list[str] = []
    for n_read, path in enumerate(paths, 1):
        data = objects.read(path)
        if path not in known:
            adopted.append(row_of(path, data))
        elif hashlib.sha256(data).hexdigest() != known[path].digest:
            damaged.append(path)
        report(n_read, len(paths))
    return adopted, damaged


def _drop(objects: Objects, ledger: Ledger, known: dict[str, ArtifactRow], paths: set[str]) -> None:
    dropped = [row for row in known.values() if row.path in paths or not KINDS[row.key.kind].axes]
    for row in dropped:
        objects.delete(row.path)  # first: a kill in between leaves a row without an object, and no damaged object
    ledger.forget(row.key for row in dropped)


def row_of(path: str, data: bytes) -> ArtifactRow:
    """The row of an object, from its bytes.

    Raises:
        ArtifactError: they have no readable manifest.
    """
    manifest = read_manifest(path, data)
    return ArtifactRow(manifest.key, path, hashlib.sha256(data).hexdigest(), len(data), manifest)


def declaration_of(data: bytes) -> Declaration:
    """The declaration that an object holds."""
    return Declaration(**json.loads(data))
