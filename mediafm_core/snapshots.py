"""Snapshots: what readers read. One immutable table with a row for each title, and a pointer that names it.

A row holds the paths and digests of artifacts of one lineage: the contextual embeddings, and the very fused embeddings,
shots and text that they were made from. So a reader never sees two versions mixed, and needs a URL and no database.
"""

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.kinds import UNPARTITIONED, ArtifactKey
from mediafm_core.catalogue.title import Metadata
from mediafm_core.errors import SnapshotError
from mediafm_core.planning.desired import Shown, desired
from mediafm_core.planning.plan import snapshot_step, visible
from mediafm_core.planning.state import Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, artifact_path, read_checked
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.objects import Objects
from mediafm_core.store.pointer import POINTER, Pointer, read_pointer, swap_pointer
from mediafm_core.workbench import Bench, Draft

TITLE_VECTOR = b"title_vector"
"""The entry in a contextual table's metadata that holds the title's vector: fp16, in base64."""

_LINEAGE = {
    "contextual": ((),),
    "fused": (("fused",),),
    "shots": (("fused", "video", "shots"), ("fused", "shots")),  # the second where embeddings were delivered
    "timed_text": (("fused", "text", "timed_text"),),
}
"""For each role the ways that lead to it from the contextual embeddings; a title may lack all of a role's."""


class Snapshot(NamedTuple):
    """An open snapshot: where its objects are, who made its embeddings, and its table."""

    objects: Objects
    encoder: str
    table: pa.Table
    release: str | None = None  # the release that is live; None where the encoder went live without heads


def open_snapshot(url: str) -> Snapshot:
    """The snapshot that the pointer of a home names now; later publications do not change it.

    Raises:
        SnapshotError: nothing was published there, or its pointer is damaged.
        ArtifactError: the snapshot's bytes are not those that were published.
    """
    objects = Objects.existing(url)
    pointer = read_pointer(objects)
    if pointer is None:
        raise SnapshotError(
            f"home {url!r}",
            found=f"no {POINTER}",
            expected="a published snapshot",
            next_step="Train an encoder with `mediafm encoder train NAME`, then run `mediafm apply`.",
        )
    return open_at(objects, pointer)


def open_at(objects: Objects, pointer: Pointer) -> Snapshot:
    """The snapshot that a pointer names, whether or not readers see it now.

    Raises:
        ArtifactError: its bytes are gone, or are not those that were published.
    """
    data = read_checked(objects, pointer.path, pointer.digest)
    return Snapshot(objects, pointer.encoder, pq.read_table(BytesIO(data)), pointer.release)


def make_snapshot(bench: Bench, _step: Step) -> Draft:
    """A row for each title that has embeddings of the production encoder, and predictions of its release."""
    state, home = bench.state, bench.home
    assert state.production is not None
    rows = _rows(home, [found for _, found in sorted(visible(state, bench.wanted).items())])
    width = len(rows[0]["title_vector"])
    schema = pa.schema([*_SCHEMA, pa.field("title_vector", pa.binary(width))])
    table = pa.Table.from_pylist(rows, schema=schema)
    facts = {
        "encoder": state.production,
        "release": state.release.name if state.release else None,
        "n_titles": len(rows),
        "n_shots": sum(row["n_shots"] for row in rows),
        "duration_s": sum(row["duration_s"] for row in rows),
    }
    return Draft(table, facts)


def publish(bench: Bench, step: Step) -> None:
    """Let readers see this snapshot, unless the catalogue has moved on since and another one is due."""
    home, key = bench.home, step.key
    with home.ledger.writing():  # publishers wait for one another, so an older snapshot never replaces a newer one
        state, wanted = bench.state, bench.wanted
        if home.ledger.as_of() != state.as_of:  # something happened since the step was derived
            state = read_state(home)
            wanted = desired(state)
        due = snapshot_step(state, wanted)
        if due is None or due.key != key:
            return
        row = home.ledger.artifact(key)
        assert row is not None, "it was just committed"
        assert state.production is not None
        live = state.release.name if state.release else None
        pointer = Pointer(key.fingerprint, row.path, row.digest, state.production, live)
        if pointer != read_pointer(home.objects):
            swap_pointer(home.objects, pointer)


_SCHEMA = [
    pa.field("title", pa.string()),
    pa.field("name", pa.string()),
    pa.field("synopsis", pa.string()),
    pa.field("tags", pa.list_(pa.string())),
    pa.field("attribution", pa.string()),
    pa.field("n_shots", pa.int64()),
    pa.field("duration_s", pa.float64()),
    *(pa.field(f"{role}_{what}", pa.string()) for role in (*_LINEAGE, "predictions") for what in ("path", "digest")),
]


def _published_rows(home: Home) -> list[dict[str, Any]]:
    """The rows that readers see now; none where the snapshot is no longer committed, so that a lost one can be made."""
    pointer = read_pointer(home.objects)
    if pointer is None or home.ledger.artifact(ArtifactKey("snapshot", UNPARTITIONED, pointer.snapshot)) is None:
        return []
    return open_snapshot(str(home.root)).table.to_pylist()


def _rows(home: Home, shown: list[Shown]) -> list[dict[str, Any]]:
    """A row for each title; what the rows that readers see now say of the same artifacts is taken over."""
    before = {row["contextual_path"]: row for row in _published_rows(home)}
    unknown = [each.contextual for each in shown if artifact_path(each.contextual) not in before]
    made = before | dict(zip(map(artifact_path, unknown), _made(home, unknown), strict=True))
    found = [(each, made[artifact_path(each.contextual)]) for each in shown]
    new = home.ledger.rows(each.predictions for each, row in found if each.predictions and not _is_scored(row, each))
    return [_row(each, row, new) for each, row in found]


def _is_scored(row: Mapping[str, Any], shown: Shown) -> bool:
    """Whether a row has just these predictions."""
    return bool(shown.predictions) and row.get("predictions_path") == artifact_path(shown.predictions)


def _row(shown: Shown, made: Mapping[str, Any], new: Mapping[ArtifactKey, ArtifactRow]) -> dict[str, Any]:
    scores = {} if _is_scored(made, shown) else _place("predictions", shown.predictions and new[shown.predictions])
    return {**made, **scores, "title": shown.record.id, **_described(shown.record.metadata)}


def _described(metadata: Metadata) -> dict[str, Any]:
    return {
        "name": metadata.name,
        "synopsis": metadata.synopsis,
        "tags": list(metadata.tags),
        "attribution": metadata.attribution,
    }


def _made(home: Home, keys: list[ArtifactKey]) -> list[dict[str, Any]]:
    """Of contextual embeddings all that a row shows of them and of what they were made from."""
    start = home.ledger.rows(keys)
    lineages = {role: _follow(home, start, ways) for role, ways in _LINEAGE.items()}
    return [_lineage(home, key, lineages) for key in keys]


def _lineage(home: Home, key: ArtifactKey, lineages: Mapping[str, Mapping[ArtifactKey, ArtifactRow]]) -> dict[str, Any]:
    columns: dict[str, Any] = {"title_vector": _title_vector(home, lineages["contextual"][key])}
    for role, found in lineages.items():
        columns |= _place(role, found.get(key))
    shots = lineages["shots"][key].manifest.facts  # embeddings are about shots
    return columns | {"n_shots": shots["n_shots"], "duration_s": shots["duration_s"]}


def _follow(
    home: Home, start: Mapping[ArtifactKey, ArtifactRow], ways: tuple[tuple[str, ...], ...]
) -> dict[ArtifactKey, ArtifactRow]:
    """The artifact that the first way which goes through leads to, from each start; many by one query."""
    ends: dict[ArtifactKey, ArtifactRow] = {}
    for way in reversed(ways):
        here = dict(start)
        for role in way:
            inputs = {key: row.manifest.inputs[role] for key, row in here.items() if role in row.manifest.inputs}
            rows = home.ledger.rows(inputs.values())
            here = {key: rows[read] for key, read in inputs.items()}
        ends |= here
    return ends


def _place(role: str, row: ArtifactRow | None) -> dict[str, Any]:
    return {f"{role}_path": row.path if row else None, f"{role}_digest": row.digest if row else None}


def _title_vector(home: Home, contextual: ArtifactRow) -> bytes:
    schema = pq.read_schema(BytesIO(read_checked(home.objects, contextual.path, contextual.digest)))
    return base64.b64decode(schema.metadata[TITLE_VECTOR])
