"""How long a reader waits for the titles that are like one of theirs."""

import hashlib

import numpy as np
import pyarrow as pa

from bench.harness import Figure
from bench.measuring import fresh_folder, repeated
from bench.synthetic import HIDDEN, manifest_of, sha256, snapshot_table, title
from mediafm_core.catalogue.title import Title
from mediafm_core.consumption.catalogue import open_catalogue
from mediafm_core.consumption.similarity import similar_titles
from mediafm_core.identity import Fingerprint, Span
from mediafm_core.store.home import artifact_path
from mediafm_core.store.manifest import serialise
from mediafm_core.store.objects import Objects
from mediafm_core.store.pointer import Pointer, swap_pointer
from mediafm_core.store.vectors import span_columns, vector_table

N_SHOTS = 150


def titles_like_one(n_titles: int) -> Figure:
    """Milliseconds of a query over made-up titles of 150 shots, whose every vector is read from disk and compared."""
    catalogue = open_catalogue(_published(n_titles))
    times_s = repeated(lambda: similar_titles(catalogue, title(0).id), rounds=5)
    return Figure(1000 * sorted(times_s)[2], f"{n_titles} made-up titles of {N_SHOTS} shots, files in the page cache")


def _published(n_titles: int) -> str:
    """A folder with a snapshot of made-up titles, and the objects that a query opens."""
    url = str(fresh_folder())
    objects, titles = Objects(url), [title(i) for i in range(n_titles)]
    paths = [_write(objects, "contextual_embeddings", each) for each in titles]
    table = snapshot_table(titles, (path for path, _ in paths), n_shots=N_SHOTS)
    said = [_write(objects, "timed_text", each) for each in titles]
    for role, written in (("contextual", paths), ("timed_text", said)):
        for i, what in enumerate(("path", "digest")):
            name = f"{role}_{what}"
            column = pa.array([pair[i] for pair in written], pa.string())
            table = table.set_column(table.schema.get_field_index(name), name, column)
    data = serialise(table, manifest_of("snapshot", "", url))
    objects.create("snapshot.parquet", data)
    swap_pointer(objects, Pointer(Fingerprint("0" * 64), "snapshot.parquet", _digest(data), "v0"))
    return url


def _write(objects: Objects, kind: str, of: Title) -> tuple[str, str]:
    """The path and the digest of a title's made-up artifact."""
    spans = [Span(float(i), i + 1.0) for i in range(N_SHOTS)]
    random = np.random.default_rng(int(sha256(of.id)[:8], 16))
    if kind == "timed_text":
        table = pa.table({**span_columns(spans), "text": ["Somebody says something here."] * N_SHOTS})
        manifest = manifest_of(kind, of.id, of.id)
    else:
        table = vector_table(spans, random.standard_normal((N_SHOTS, HIDDEN)))
        manifest = manifest_of(kind, f"v0|{of.id}", of.id)
    data, path = serialise(table, manifest), artifact_path(manifest.key)
    objects.create(path, data)
    return path, _digest(data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
