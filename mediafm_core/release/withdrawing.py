"""A title that must go: nothing is planned for it, readers lose sight of it, then all that was derived from it goes.

First the declaration, by which no plan, no new corpus, no new training set and no snapshot has it. Then a snapshot
without it is published, by the command or by the next plan. What the title owns is deleted as soon as no reader can
reach it: after each run `free_withdrawn` looks, so a killed command and a late worker leave nothing for long.
"""

import shutil
import time
from collections.abc import Collection, Container
from dataclasses import asdict
from io import BytesIO
from itertools import product

import pyarrow.parquet as pq

from mediafm_core.catalogue.declared import TRAINING, WITHDRAWN, TrainingSet
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, join_partition, split_partition
from mediafm_core.catalogue.title import Title
from mediafm_core.errors import PlanError
from mediafm_core.identity import TitleId
from mediafm_core.release.freeing import Freed, free
from mediafm_core.release.history import Actor
from mediafm_core.snapshots import open_at
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, folder_of
from mediafm_core.store.pointer import POINTER, read_pointer

_FREED = "freed"
"""The subject of declarations that what a withdrawn title owned is deleted, and of which withdrawal."""

_OF_TITLE = tuple(kind for kind in KINDS.values() if "title" in kind.axes)


def withdraw(home: Home, title: str, *, why: str = "", by: Actor = Actor()) -> None:  # noqa: B008 it never changes
    """Take a title out of the catalogue. Readers see it until a snapshot without it is published.

    Raises:
        PlanError: there is no such title.
    """
    state = read_state(home, [title])
    if title not in state.titles and title not in state.withdrawn:
        raise PlanError(
            f"title {title!r}",
            found="no such title",
            expected="an active one",
            next_step="Look at `mediafm titles`.",
        )
    if title not in state.withdrawn:
        home.declare(WITHDRAWN, title, {"at": time.time(), "why": why, "by": asdict(by)})


def learnt_from(home: Home, title: str) -> tuple[str, ...]:
    """The encoders whose corpus holds a title; their weights stand when it is withdrawn."""
    encoders = read_state(home, []).encoders
    return tuple(spec.name for spec in encoders if any(member.title == title for member in spec.corpus))


def freed_of(home: Home, title: str) -> tuple[int, int] | None:
    """How many objects and bytes a withdrawn title's deletion came to; None where it is still to come."""
    withdrawn, freed = (home.ledger.declared_one(subject, title) or {} for subject in (WITHDRAWN, _FREED))
    is_done = bool(withdrawn) and freed.get("withdrawn_at") == withdrawn["at"]
    return (freed["objects"], freed["bytes"]) if is_done else None


def free_withdrawn(home: Home) -> dict[TitleId, Freed]:
    """Delete what withdrawn titles own, where readers no longer see them: artifacts, delivered bytes, old snapshots.

    Returns:
        What was deleted, by title; nothing for those of which nothing was left, or which readers still see.
    """
    withdrawn = {TitleId(title): body["at"] for title, body in home.ledger.declared(WITHDRAWN).items() if body}
    if not withdrawn:
        return {}
    places = _places(home, withdrawn)  # where a worker that was late may have committed
    late = {_title_of(key) for key in home.ledger.committed_in_order(places)}
    freed = {title: body["withdrawn_at"] for title, body in home.ledger.declared(_FREED).items()}
    failed = {_title_of(key) for key in home.ledger.failures()}
    left = [title for title, at in withdrawn.items() if freed.get(title) != at or title in failed | late]
    if not left:
        return {}
    seen = _seen(home, withdrawn)
    done = {title: _free(home, title) for title in left if title not in seen}
    if done:
        _free_snapshots(home, done)
    for title, what in done.items():
        said = {"withdrawn_at": withdrawn[title], "objects": what.total, "bytes": what.n_bytes}
        home.declare(_FREED, title, said)
    return done


def _places(home: Home, titles: Collection[str]) -> dict[str, list[str]]:
    """By asset, every partition that these titles have or had."""
    named = {axis: list(home.ledger.declared(axis)) for kind in _OF_TITLE for axis in kind.axes if axis != "title"}
    named["title"] = list(titles)
    rows = {kind: product(*(named[axis] for axis in kind.axes)) for kind in _OF_TITLE}
    return {
        kind.name: [join_partition(**dict(zip(kind.axes, row, strict=True))) for row in of_kind]
        for kind, of_kind in rows.items()
    }


def _seen(home: Home, withdrawn: Container[str]) -> frozenset[str]:
    """The titles that readers see now. Where all of these are withdrawn, readers see none from here on."""
    with home.ledger.writing():  # publishers wait for one another
        pointer = read_pointer(home.objects)
        shown = frozenset(open_at(home.objects, pointer).table["title"].to_pylist()) if pointer else frozenset[str]()
        if all(title in withdrawn for title in shown):
            home.objects.delete(POINTER)
            return frozenset()
        return shown


def _free(home: Home, title: TitleId) -> Freed:
    home.ledger.forgive(key for key in home.ledger.failures() if _title_of(key) == title)
    _thaw(home, title)
    folders = {
        kind: [folder_of(kind, partition) for partition in partitions]
        for kind, partitions in _places(home, [title]).items()
    }
    freed = free(home, lambda key: _title_of(key) == title, folders)
    blobs = {sha256: home.blobs.delete(sha256) for sha256 in _own_files(home, title)}
    for sha256 in blobs:
        shutil.rmtree(home.work / sha256, ignore_errors=True)  # the working set that was decoded from it
    (home.reports / f"{title}.html").unlink(missing_ok=True)
    n_delivered = sum(1 for n_bytes in blobs.values() if n_bytes)
    return Freed({**freed.n_objects, "delivered files": n_delivered}, freed.n_bytes + sum(blobs.values()))


def _thaw(home: Home, title: TitleId) -> None:
    """Let no training set name vectors that go: where the title comes back, heads are fitted on its new ones."""
    for name, body in home.ledger.declared(TRAINING).items():
        if body and title in dict(TrainingSet.from_json(body).members):
            home.declare(TRAINING, name, {})


def _title_of(key: ArtifactKey) -> str | None:
    return split_partition(key.kind, key.partition).get("title")


def _own_files(home: Home, title: str) -> set[str]:
    """The delivered bytes that no other title was ever delivered with."""
    own, others = set[str](), set[str]()
    for declared in home.ledger.declarations("title"):
        files = {file.sha256 for file in Title.from_json(declared.body).files}
        own, others = (own | files, others) if declared.name == title else (own, others | files)
    return own - others


def _free_snapshots(home: Home, titles: Collection[str]) -> None:
    """Delete the snapshots that show one of these titles. Readers see another one, and no rollback can want them."""
    pointer = read_pointer(home.objects)
    rows = [row for row in home.ledger.artifacts("snapshot") if pointer is None or row.path != pointer.path]
    stale = {row.key: row.path for row in rows if not _shown(home, row.path).isdisjoint(titles)}
    home.ledger.forget(stale)
    for path in stale.values():
        home.objects.delete(path)


def _shown(home: Home, path: str) -> frozenset[str]:
    return frozenset(pq.read_table(BytesIO(home.objects.read(path)), columns=["title"])["title"].to_pylist())
