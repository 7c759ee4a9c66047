"""What it costs to keep things: vectors, ledger, delivered bytes."""

import io
import shutil
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bench.harness import Figure
from bench.measuring import cpu_s, fresh_folder, interleaved, repeated, shown_s
from bench.synthetic import filled_home, manifest_of
from mediafm_core.identity import Span
from mediafm_core.stock import read_state
from mediafm_core.store.blobs import Blobs, file_sha256
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.manifest import serialise
from mediafm_core.store.objects import Objects
from mediafm_core.store.vectors import vector_table, vectors_of

N_SHOTS, DIMS = 500, 2048
_BLOB_BYTES = 64 * 2**20
_N_COMMITS = 200
N_TITLES = 10_000

Format = tuple[Callable[[], bytes], Callable[[bytes], np.ndarray]]
"""How one title's vectors become bytes, and float32 again."""


def vectors_write(peer: str) -> Figure:
    """One title's vectors to a durable object, against a peer's bytes written the same way."""
    objects, names = Objects(str(fresh_folder())), count()
    (ours, _), (theirs, _) = _formats()["parquet"], _formats()[peer]
    pair = interleaved(
        lambda: objects.create(f"ours/{next(names)}", ours()),
        lambda: objects.create(f"peer/{next(names)}", theirs()),
        rounds=25,
    )
    return pair.as_figure("ours", peer)


def vectors_read(peer: str) -> Figure:
    """An object to one title's vectors as float32, against a peer's."""
    objects = Objects(str(fresh_folder()))
    (write, read), (write_theirs, read_theirs) = _formats()["parquet"], _formats()[peer]
    objects.create("ours", write())
    objects.create("peer", write_theirs())
    pair = interleaved(
        lambda: read(objects.read("ours")), lambda: read_theirs(objects.read("peer")), rounds=50, clock=cpu_s
    )
    return pair.as_figure("ours", peer)


def _formats() -> dict[str, Format]:
    import safetensors.numpy

    half = np.random.default_rng(0).standard_normal((N_SHOTS, DIMS)).astype(np.float16)
    spans = [Span(float(i), i + 1.0) for i in range(N_SHOTS)]
    manifest = manifest_of("fused_embeddings", "s|t", "vectors")
    return {
        "parquet": (
            lambda: serialise(vector_table(spans, half), manifest),
            lambda data: vectors_of(pq.read_table(io.BytesIO(data))),
        ),
        "npy": (lambda: _npy(half), lambda data: np.load(io.BytesIO(data)).astype(np.float32)),
        "safetensors": (
            lambda: safetensors.numpy.save({"vector": half}),
            lambda data: safetensors.numpy.load(data)["vector"].astype(np.float32),
        ),
    }


def _npy(vectors: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, vectors)
    return buffer.getvalue()


@cache
def full_home() -> Home:
    """The home of 10,000 titles whose ledger has 100,002 artifacts; filled once."""
    return filled_home(fresh_folder(), N_TITLES)


def ledger_state() -> Figure:
    """From the ledger's rows to what the planner reads."""
    home = full_home()
    times_s = repeated(lambda: read_state(home), rounds=3)
    n_rows = len(home.ledger.committed_in_order())
    return Figure(sorted(times_s)[1], f"{n_rows:,} artifacts of {N_TITLES:,} titles; {min(times_s):.2f} s at best")


def ledger_commits() -> Figure:
    """Commits one by one, each on the disk before the next begins."""
    ledger = Home.create(fresh_folder()).ledger
    rows = [_row(i) for i in range(2 * _N_COMMITS)]
    (first_s, second_s) = (
        repeated(lambda part=part: [ledger.commit(row) for row in part], rounds=1, warm_up=False)[0]
        for part in (rows[:_N_COMMITS], rows[_N_COMMITS:])
    )
    ledger.close()
    return Figure(_N_COMMITS / second_s, f"{_N_COMMITS} commits in {second_s:.2f} s, after as many in {first_s:.2f} s")


def _row(number: int) -> ArtifactRow:
    manifest = manifest_of("shots", f"t{number}", str(number))
    return ArtifactRow(manifest.key, f"artifacts/{number}", "0" * 64, 1000, manifest)


def blob_keep() -> Figure:
    """64 MiB taken in: hashed on the way, made durable; against a bare copy that does neither."""
    source, names, folder = _blob(), count(), fresh_folder()
    digest = file_sha256(source)
    pair = interleaved(
        lambda: Blobs(folder / str(next(names))).keep(source, digest),
        lambda: shutil.copyfile(source, folder / f"copy-{next(names)}"),
        rounds=5,
    )
    shutil.rmtree(folder)
    return pair.as_figure("kept", "copied")


def blob_sha256() -> Figure:
    """MiB hashed in a second."""
    source = _blob()
    times_s = sorted(repeated(lambda: file_sha256(source), rounds=5))
    return Figure(_BLOB_BYTES / 2**20 / times_s[2], f"64 MiB in {shown_s(times_s)}")


def _blob() -> Path:
    path = fresh_folder() / "blob"
    path.write_bytes(np.random.default_rng(0).bytes(_BLOB_BYTES))
    return path
