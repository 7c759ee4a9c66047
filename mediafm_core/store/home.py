"""A home: one folder with one catalogue, its landing folder, artifacts, ledger and snapshots.

home.json        the layout's version
landing/         deliveries are dropped here
blobs/           delivered bytes by their sha256
artifacts/       <kind>/<axis>/…/<fingerprint>.<suffix>
declarations/    what the catalogue asks for, one JSON object each
production.json  the pointer: which snapshot readers see
ledger.db        SQLite; can be made again from the objects
work/            decoded working sets, evicted after use; saved states of trainings
curves/          <encoder>/: what TensorBoard reads of its training
dagster/         the Dagster instance of this home
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.errors import ArtifactError, HomeError
from mediafm_core.identity import canonical_json
from mediafm_core.store.blobs import Blobs
from mediafm_core.store.database import connect
from mediafm_core.store.ledger import ArtifactRow, Declaration, Ledger
from mediafm_core.store.manifest import Manifest, Payload, serialise
from mediafm_core.store.objects import Objects
from mediafm_core.store.rebuilding import Rebuilt, Report, declaration_of, rebuild, row_of

LAYOUT = 1
_HOME_FILE = "home.json"
_HOME_TEXT = json.dumps({"layout": LAYOUT})
_LIBRARIES = ("mediafm", "torch", "openvino", "ctranslate2", "tokenizers", "av", "numpy")


@dataclass(frozen=True, slots=True)
class Home:
    """An open home."""

    root: Path
    objects: Objects
    blobs: Blobs
    ledger: Ledger

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make a home, or open the one that is there."""
        root = root.absolute()
        for folder in ("landing", "work", "dagster"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        home = cls._at(root)
        home.ledger.create_tables()
        home.objects.create(_HOME_FILE, _HOME_TEXT.encode())
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open a home.

        Raises:
            HomeError: there is none, or it has another layout.
        """
        file = root.absolute() / _HOME_FILE
        found = file.read_text().strip() if file.exists() else "no home"
        if found != _HOME_TEXT:
            raise HomeError(
                f"home {str(root)!r}",
                found=found[:80] or f"an empty {_HOME_FILE}",
                expected=f"a home of layout {LAYOUT}",
                next_step="Make one with `mediafm init`, or name another with --home or MEDIAFM_HOME.",
            )
        return cls._at(root.absolute())

    @classmethod
    def _at(cls, root: Path) -> Self:
        ledger = Ledger(connect(URL.create("sqlite", database=str(root / "ledger.db"))))
        return cls(root=root, objects=Objects(str(root)), blobs=Blobs(root / "blobs"), ledger=ledger)

    @property
    def landing(self) -> Path:
        """The folder in which deliveries arrive."""
        return self.root / "landing"

    @property
    def work(self) -> Path:
        """The folder for decoded working sets."""
        return self.root / "work"

    @property
    def reports(self) -> Path:
        """The folder of pages; that of a title is `TITLE.html`."""
        return self.root / "reports"

    def commit(self, manifest: Manifest, payload: Payload) -> ArtifactRow:
        """Write an artifact whole and commit it; where its fingerprint was committed before, that one stands."""
        path = artifact_path(manifest.key)
        data = serialise(payload, manifest)
        if not self.objects.create(path, data):
            data = self.objects.read(path)  # made before: by another worker, or by one that was killed after its write
        row = row_of(path, data)
        if not self.ledger.commit(row):
            committed = self.ledger.artifact(manifest.key)
            assert committed is not None
            return committed
        return row

    def read(self, key: ArtifactKey) -> bytes:
        """The bytes of a committed artifact, checked against the digest that the ledger has.

        Raises:
            ArtifactError: it is not committed, is gone, or has changed.
        """
        row = self.ledger.artifact(key)
        if row is None:
            raise ArtifactError(
                f"{key.kind} of {key.partition!r}",
                found="no committed artifact",
                expected=f"fingerprint {key.fingerprint[:12]}…",
                next_step="Run `mediafm apply`.",
            )
        return read_checked(self.objects, row.path, row.digest)

    def declare(
        self, subject: str, name: str, body: Mapping[str, Any], *, provided: Callable[[Connection], None] | None = None
    ) -> bool:
        """State something in the catalogue; False where just this already holds.

        Args:
            subject: what sort of statement, e.g. `title`.
            name: what it is about.
            body: JSON values.
            provided: raises where the statement must not be made; asked while nobody else can declare anything.
        """
        body = json.loads(canonical_json(body))  # as it will be read: tuples are lists
        with self.ledger.writing() as connection:
            if provided:
                provided(connection)
            while self.ledger.declared_one(subject, name, connection) != body:
                sequence = self.ledger.next_sequence(connection)
                declaration = Declaration(sequence, subject, name, body)
                path = f"declarations/{sequence:09d}.json"
                mine = self.objects.create(path, json.dumps(declaration._asdict(), sort_keys=True).encode())
                # an object without a row: its writer was killed in between; it was durable, so it counts
                self.ledger.declare(connection, declaration if mine else declaration_of(self.objects.read(path)))
                if mine:
                    return True
        return False

    def rebuild_ledger(self, report: Report = lambda _n_read, _n: None) -> Rebuilt:
        """Make the ledger agree with the home's objects, see `rebuilding`; harmless where it does.

        Raises:
            ArtifactError: an object that the ledger does not know cannot be read.
        """
        return rebuild(self.objects, self.ledger, report)


def artifact_path(key: ArtifactKey) -> str:
    """Where an artifact's object lies."""
    return f"{folder_of(key.kind, key.partition)}/{key.fingerprint}{KINDS[key.kind].suffix}"


def folder_of(kind: str, partition: str) -> str:
    """Where the objects of a partition lie, each under its fingerprint; every part of a key is safe in a path."""
    return "/".join(["artifacts", kind, *(part for part in partition.split("|") if part)])


def read_checked(objects: Objects, path: str, digest: str) -> bytes:
    """The bytes of an object.

    Raises:
        ArtifactError: their sha256 is not `digest`.
    """
    data = objects.read(path)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ArtifactError(
            f"object {path!r}",
            found=f"sha256 {found[:12]}…",
            expected=f"{digest[:12]}…, as it was committed",
            next_step="The disk or somebody changed it. Run `mediafm rebuild`, then `mediafm apply`: it is made again.",
        )
    return data


def provenance(libraries: Iterable[str] = ()) -> dict[str, str]:
    """The versions of the libraries that may move a result in its last digits, as far as they are installed.

    Args:
        libraries: those that this result hangs on, beside the ones that are told of every result.
    """
    found = {name: _version(name) for name in (*_LIBRARIES, *libraries)}
    return {name: told for name, told in found.items() if told}


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def now() -> float:
    """Seconds since the epoch; the one clock of manifests."""
    return time.time()
