"""What it costs to show readers a catalogue: our one immutable table against Delta Lake, and a whole publication.

Ours is written uncompressed, flushed to the disk and hashed; Delta Lake compresses, and leaves the flushing to the
system. Writes are timed on the wall, which shows that; reads in CPU seconds.
"""

import hashlib
from dataclasses import asdict, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bench.harness import Figure
from bench.measuring import cpu_s, fresh_folder, interleaved, seconds
from bench.store import N_TITLES, full_home
from bench.synthetic import manifest_of, sha256, snapshot_table, title
from mediafm_core.execution import carry_out
from mediafm_core.planning.desired import desired
from mediafm_core.snapshots import make_snapshot, open_snapshot, publish
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, artifact_path
from mediafm_core.store.manifest import serialise
from mediafm_core.store.objects import Objects
from mediafm_core.store.pointer import Pointer, swap_pointer
from mediafm_core.workbench import LogReporter, Stage, Status

_ROUNDS = 10
_NUMBERS = count()


class _Both(NamedTuple):
    """The same catalogue, published in both ways."""

    table: pa.Table
    ours: Objects
    delta: Path


def snapshot_append(n_titles: int) -> Figure:
    """One title more: ours writes the table whole, Delta Lake one more file."""
    both = _both(n_titles)
    pair = interleaved(
        lambda: _publish(both.ours, pa.concat_tables([both.table, _row(n_titles)])),
        lambda: _append(both.delta, _row(n_titles)),
        rounds=_ROUNDS,
    )
    return pair.as_figure("ours", "Delta")


def snapshot_replace(n_titles: int) -> Figure:
    """One title's row replaced: ours writes the table whole, Delta Lake by a predicate on the title."""
    both, row = _both(n_titles), _row(n_titles // 2)
    pair = interleaved(
        lambda: _publish(both.ours, _replaced(both.table, row)), lambda: _overwrite(both.delta, row), rounds=_ROUNDS
    )
    return pair.as_figure("ours", "Delta")


def snapshot_read(n_titles: int) -> Figure:
    """From a folder to a table in memory, after ten titles came one by one."""
    from deltalake import DeltaTable

    both = _both(n_titles)
    for number in range(n_titles, n_titles + 10):
        _publish(both.ours, pa.concat_tables([both.table, _row(number)]))
        _append(both.delta, _row(number))
    pair = interleaved(
        lambda: open_snapshot(both.ours.url),
        lambda: DeltaTable(both.delta).to_pyarrow_table(),
        rounds=_ROUNDS,
        clock=cpu_s,
    )
    return pair.as_figure("ours", "Delta")


def _both(n_titles: int) -> _Both:
    table = _table(n_titles)
    both = _Both(table, Objects(str(fresh_folder())), fresh_folder())
    _publish(both.ours, table)
    _append(both.delta, table)
    return both


@cache
def _table(n_titles: int) -> pa.Table:
    return snapshot_table(map(title, range(n_titles)), (f"artifacts/contextual/{i}" for i in range(n_titles)))


def _row(number: int) -> pa.Table:
    return snapshot_table([title(number)], [sha256(f"contextual {number} {next(_NUMBERS)}")])


def _publish(objects: Objects, table: pa.Table) -> None:
    manifest = manifest_of("snapshot", "", str(next(_NUMBERS)))
    path, data = artifact_path(manifest.key), serialise(table, manifest)
    objects.create(path, data)
    swap_pointer(objects, Pointer(manifest.key.fingerprint, path, hashlib.sha256(data).hexdigest(), "v0"))


def _replaced(table: pa.Table, row: pa.Table) -> pa.Table:
    others = table.filter(pc.field("title") != row["title"][0].as_py())
    return pa.concat_tables([others, row])


def _append(folder: Path, table: pa.Table) -> None:
    from deltalake import write_deltalake

    write_deltalake(folder, _for_delta(table), mode="append")


def _overwrite(folder: Path, row: pa.Table) -> None:
    from deltalake import write_deltalake

    predicate = f"title = '{row['title'][0].as_py()}'"
    write_deltalake(folder, _for_delta(row), mode="overwrite", predicate=predicate)


def _for_delta(table: pa.Table) -> pa.Table:
    """Delta Lake has no binaries of a fixed size."""
    at = table.schema.get_field_index("title_vector")
    return table.set_column(at, "title_vector", table["title_vector"].cast(pa.binary()))


def snapshot_publication() -> Figure:
    """A synopsis is edited and readers see it: the ledger is read, every row found, the pointer swapped."""
    home = full_home()
    _publish_all(home)
    edited = title(0)
    edited = replace(edited, metadata=replace(edited.metadata, synopsis="It ends otherwise."))
    home.declare("title", edited.id, asdict(edited))
    took_s = seconds(lambda: _carry_out(home), cpu_s)
    return Figure(took_s, f"{N_TITLES:,} titles, of which one was edited; nothing else is made")


def _publish_all(home: Home) -> None:
    """A first snapshot of a home that has no objects: its rows name the artifacts that the ledger has."""
    state = read_state(home)
    steps = desired(state).encoders["v0"].contextual
    paths = (artifact_path(steps[name].key) for name in state.titles)
    row = home.commit(manifest_of("snapshot", "", "first"), snapshot_table(state.titles.values(), paths))
    swap_pointer(home.objects, Pointer(row.key.fingerprint, row.path, row.digest, "v0"))


def _carry_out(home: Home) -> None:
    stages = {"snapshot": Stage(make_snapshot, settle=publish)}
    (outcome,) = carry_out(home, [("snapshot", "")], stages, LogReporter())
    assert outcome.status is Status.MADE, outcome
    assert open_snapshot(str(home.root)).table["synopsis"][0].as_py() == "It ends otherwise."
