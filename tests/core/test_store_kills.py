"""After a kill at any moment an artifact, a declaration and the pointer are old or new, and never half."""

import itertools
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.identity import Span, fingerprint
from mediafm_core.store.home import Home, artifact_path
from mediafm_core.store.manifest import Manifest, read_manifest, serialise
from mediafm_core.store.pointer import Pointer, read_pointer, swap_pointer
from mediafm_core.store.vectors import vector_table
from tests.fakes import safetensors

N_SHOTS, N_DIMS = 200, 256  # 100 kB: long enough for a kill to fall into a write

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["mediafm_core.store.home", "mediafm_core.store.vectors"])


def _manifest(kind: str, n: int) -> Manifest:
    made_from = {"n": n}
    key = ArtifactKey(kind, f"t{n % 3}", fingerprint(kind, made_from))
    return Manifest(key=key, ingredients=made_from, inputs={}, made_at=float(n))


def _write_for_ever(root: Path, first: int, started: Connection) -> None:
    """Commit, declare and point in a loop, until killed."""
    home = Home.create(root)
    table = vector_table([Span(i, i + 1) for i in range(N_SHOTS)], np.ones((N_SHOTS, N_DIMS), np.float32))
    for n in itertools.count(first):
        row = home.commit(_manifest("shots", n), table)
        home.commit(_manifest("mediafm_encoder", n), safetensors())
        home.declare("title", f"t{n}", {"n": n})
        swap_pointer(home.objects, Pointer(row.key.fingerprint, row.path, row.digest, "v1"))
        if n == first:
            started.send("started")


def _kill(root: Path, first: int, after_s: float) -> None:
    ours, theirs = _processes.Pipe()
    child = _processes.Process(target=_write_for_ever, args=(root, first, theirs))
    child.start()
    assert ours.poll(60)
    time.sleep(after_s)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL


def _check_whole(home: Home, n_deaths: int = 1) -> None:
    paths = set(home.objects.paths("artifacts"))
    committed = {row.path for row in home.ledger.artifacts()}
    assert committed <= paths
    for path in paths:
        key = read_manifest(path, home.objects.read(path)).key
        assert artifact_path(key) == path
        if path in committed:
            home.read(key)  # raises where a byte is not as it was committed
    assert len(paths - committed) <= n_deaths  # each at most one object whose row was not written any more
    pointer = read_pointer(home.objects)
    assert pointer is not None
    assert pointer.path in committed


def _check_rebuilds(home: Home) -> None:
    held = set(home.ledger.committed_in_order())
    home.rebuild_ledger()
    assert held <= set(home.ledger.committed_in_order())
    assert {row.path for row in home.ledger.artifacts()} == set(home.objects.paths("artifacts"))
    assert len(home.ledger.declarations()) == len(list(home.objects.paths("declarations")))


def _kill_often(root: Path, n_kills: int, seed: int) -> Home:
    delays = random.Random(seed)
    for kill in range(n_kills):
        _kill(root, first=kill * 10_000, after_s=delays.uniform(0, 0.08))
        home = Home.open(root)
        _check_whole(home, n_deaths=kill + 1)
        home.ledger.close()
    return Home.open(root)


def _check_all(root: Path, n_kills: int, seed: int) -> None:
    home = _kill_often(root, n_kills, seed)
    _check_rebuilds(home)
    home.objects.sweep(older_than_s=-1.0)
    assert list(root.rglob(".partial-*")) == []
    assert home.commit(_manifest("shots", 5), vector_table([Span(0, 1)], np.ones((1, 2)))).n_bytes > 0
    home.ledger.close()


def test_a_kill_leaves_everything_old_or_new(tmp_path: Path) -> None:
    _check_all(tmp_path, n_kills=8, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_kills_leave_everything_old_or_new(tmp_path: Path, seed: int) -> None:
    _check_all(tmp_path, n_kills=60, seed=seed)


# The same by a kill at each point where it could tear something, one after another


class _KilledError(BaseException):
    """Stands for the end of the process: no handler of ours may take it for a failure."""


def _dying_at(n_calls: int, real: Callable) -> Callable:
    left = [n_calls]

    def call(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise _KilledError
        return real(*args, **kwargs)

    return call


@pytest.mark.parametrize("call", ["fsync", "link", "open"])
@pytest.mark.parametrize("at", range(3))
def test_a_death_at_any_call_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int
) -> None:
    home = Home.create(tmp_path)
    old = home.commit(_manifest("shots", 1), vector_table([Span(0, 1)], np.ones((1, 2))))
    swap_pointer(home.objects, Pointer(old.key.fingerprint, old.path, old.digest, "v1"))
    monkeypatch.setattr(os, call, _dying_at(at, getattr(os, call)))
    try:
        row = home.commit(_manifest("shots", 2), vector_table([Span(0, 1)], np.zeros((1, 2))))
        swap_pointer(home.objects, Pointer(row.key.fingerprint, row.path, row.digest, "v1"))
    except _KilledError:
        pass
    monkeypatch.undo()
    _check_whole(home)
    again = home.commit(_manifest("shots", 2), vector_table([Span(0, 1)], np.zeros((1, 2))))
    assert home.read(again.key) == serialise(vector_table([Span(0, 1)], np.zeros((1, 2))), _manifest("shots", 2))
    home.ledger.close()
