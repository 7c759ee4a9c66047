"""A training that is killed at any moment, again and again, ends where an undisturbed one does."""

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from mediafm_core.model.checkpoint import save
from mediafm_core.pretraining.progress import Progress
from mediafm_core.pretraining.state_files import StateFiles
from mediafm_core.pretraining.trainer import train
from tests.trainings import config, titles

_LONG = config(
    steps=80,
    checkpoint_every=3,
    held_out_share=0.4,
    evaluate_every=5,
    average_decay=0.9,
    patience=100,
    max_padded_shots=30,
    objective={"horizon_weight": 1.0},
)
_N_KILLS = 6

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["mediafm_core.pretraining.trainer", "mediafm_core.pretraining.state_files"])


def _train_into(folder: Path, told: Connection) -> None:
    """Train from what is saved in a folder, and save there; every step is told, and the end."""
    torch.set_num_threads(1)
    files = StateFiles(folder / "newest", folder / "good")

    def tell(at: Progress) -> None:
        told.send(at.step)

    done = train(
        titles(),
        _LONG,
        seed=1,
        report=tell,
        resume=files.read(),
        states=files,
    )
    told.send((save(done.encoder, {}), done.train_losses, done.held_out_losses, done.kept_step, files.read()))


def _started(folder: Path) -> tuple[BaseProcess, Connection]:
    ours, theirs = _processes.Pipe(duplex=False)
    child = _processes.Process(target=_train_into, args=(folder, theirs))
    child.start()
    theirs.close()
    return child, ours


def _to_the_end(folder: Path) -> object:
    """Encoder, losses, kept step and last state of a training that nobody disturbs from here on."""
    _, told = _started(folder)
    while isinstance(said := told.recv(), int):
        pass
    return said


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_bit_for_bit_where_an_undisturbed_one_ends(tmp_path: Path) -> None:
    rng = random.Random(0)
    reached = 0
    for _ in range(_N_KILLS):
        child, told = _started(tmp_path / "killed")
        reached += rng.randint(4, 12)
        while told.recv() < reached:
            pass
        time.sleep(rng.uniform(0.0, 0.05))  # into a step, or into the writing of a state
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert _to_the_end(tmp_path / "killed") == _to_the_end(tmp_path / "undisturbed")
