"""How many processes train changes nothing but rounding, and none of them waits for ever for one that is gone."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import TrainingError
from mediafm_core.model.checkpoint import load, save
from mediafm_core.model.config import Precision
from mediafm_core.pretraining.config import Optimiser, PretrainingConfig
from mediafm_core.pretraining.peers import Peers, join, shares
from mediafm_core.pretraining.progress import Progress
from mediafm_core.pretraining.stepping import spread
from mediafm_core.pretraining.trainer import train
from mediafm_core.store.objects import Objects
from tests.trainings import Kept, config, titles

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["mediafm_core.pretraining.trainer", "tests.trainings"])


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny matrices are slower on many threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class Ended(NamedTuple):
    """What one process tells of its training."""

    encoder: bytes
    train_losses: list[float]
    held_out_losses: list[tuple[int, float]] | None
    states: list[bytes]
    steps: list[int]  # that were reported


class Stored(Kept):
    """Puts each state on the disk as well, where it outlives its process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._objects = Objects(str(folder))

    def save(self, state: bytes) -> None:
        super().save(state)
        self._objects.swap("state", state)


def _work(rank: int, made: PretrainingConfig, resume: bytes | None, meeting: Path, told: Connection) -> None:
    """Train as one of two processes, and tell how it ended; the process id comes first."""
    torch.set_num_threads(1)
    states = Stored(meeting.parent)
    steps: list[int] = []

    def report(at: Progress) -> None:
        steps.append(at.step)
        told.send(at.step)

    try:
        with join(init_method=f"file://{meeting}", rank=rank, size=2, timeout_s=30) as peers:
            done = train(titles(), made, seed=1, report=report, resume=resume, states=states, peers=peers)
        told.send(Ended(save(done.encoder, {}), done.train_losses, done.held_out_losses, [*states], steps))
    except TrainingError as error:
        told.send(error)


class Pair:
    """Two processes that train together."""

    def __init__(self, folder: Path, *made: PretrainingConfig, resume: tuple[bytes | None, ...] = (None, None)) -> None:
        self.told: list[Connection] = []
        self.children: list[BaseProcess] = []
        for rank in range(2):
            ours, theirs = _processes.Pipe(duplex=False)
            arguments = (rank, made[rank % len(made)], resume[rank], folder / "meeting", theirs)
            self.children.append(_processes.Process(target=_work, args=arguments))
            self.children[-1].start()
            theirs.close()
            self.told.append(ours)

    def end(self, rank: int) -> Ended | TrainingError:
        """Wait for one of them, past what it reports."""
        while True:
            assert self.told[rank].poll(60)
            said = self.told[rank].recv()
            if not isinstance(said, int):
                self.children[rank].join()
                return said


def _together(folder: Path, made: PretrainingConfig, resume: bytes | None = None) -> tuple[Ended, Ended]:
    pair = Pair(folder, made, resume=(resume, resume))
    first, second = pair.end(0), pair.end(1)
    assert isinstance(first, Ended), first
    assert isinstance(second, Ended), second
    return first, second


_LOSSES_APART = 1e-4  # of about 1

VARIANTS: dict[str, dict[str, Any]] = {
    "grouped otherwise": {"optimiser": Optimiser.ADAMW, "model": {"dropout": 0.0}},
    "muon": {"model": {"dropout": 0.0}},
    "bfloat16": {"max_padded_shots": 15, "precision": Precision.BFLOAT16},
    "average and patience": {"max_padded_shots": 15, "average_decay": 0.9, "patience": 2},
}
_HEADS = {"horizon_weight": 1.0, "metadata_weight": 0.5, "contrast_weight": 0.1}


def _weights_apart(made: PretrainingConfig) -> float:
    """Muon works in bfloat16 and lifts directions that hardly have a gradient: rounding comes out as large as a step.

    Two ways of grouping a step's pieces in one process differ by as much.
    """
    return 1e-5 if made.trainer.optimiser is Optimiser.ADAMW else made.trainer.muon_rate


def test_two_processes_equal_one_up_to_rounding_and_each_other_bit_for_bit(tmp_path: Path) -> None:
    """With dropout: a question loses the same states whoever computes it, where a step has enough of them."""
    _assert_equal_to_one(
        tmp_path, {"max_padded_shots": 15, "optimiser": Optimiser.ADAMW, "model": {"dropout": 0.3}, "objective": _HEADS}
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_so_do_they_under_every_option(name: str, tmp_path: Path) -> None:
    _assert_equal_to_one(tmp_path, VARIANTS[name])


def _assert_equal_to_one(tmp_path: Path, options: dict[str, Any]) -> None:
    made = config(steps=12, held_out_share=0.4, evaluate_every=4, **options)
    alone = train(titles(), made, seed=1)
    first, second = _together(tmp_path, made)
    assert first.encoder == second.encoder
    assert (first.train_losses, first.held_out_losses) == (second.train_losses, second.held_out_losses)
    np.testing.assert_allclose(first.train_losses, alone.train_losses, rtol=0, atol=_LOSSES_APART)
    assert first.held_out_losses == [
        (step, pytest.approx(loss, abs=1e-4)) for step, loss in alone.held_out_losses or []
    ]
    others = alone.encoder.state_dict()
    for weight, tensor in load(first.encoder).encoder.state_dict().items():
        torch.testing.assert_close(tensor, others[weight], rtol=0, atol=_weights_apart(made), msg=weight)


@pytest.mark.slow
def test_only_the_first_process_saves_and_reports(tmp_path: Path) -> None:
    first, second = _together(tmp_path, config(steps=4, checkpoint_every=2))
    assert (len(first.states), first.steps) == (2, [1, 2, 3, 4])
    assert (second.states, second.steps) == ([], [])


@pytest.mark.slow
def test_a_training_can_be_resumed_by_another_number_of_processes(tmp_path: Path) -> None:
    made = config(steps=14, checkpoint_every=4, model={"dropout": 0.3}, max_padded_shots=15)
    states = Kept()
    straight = train(titles(), made, seed=1, states=states)
    first, _ = _together(tmp_path, made, resume=states[0])
    np.testing.assert_allclose(first.train_losses, straight.train_losses, rtol=0, atol=_LOSSES_APART)
    assert first.train_losses[:4] == straight.train_losses[:4]
    again = train(titles(), made, seed=1, resume=first.states[0])  # two processes to step 8, one from there
    np.testing.assert_allclose(again.train_losses, straight.train_losses, rtol=0, atol=_LOSSES_APART)


def test_processes_that_begin_from_different_states_are_refused(tmp_path: Path) -> None:
    states = Kept()
    train(titles(), config(steps=4, checkpoint_every=2), seed=1, states=states)
    pair = Pair(tmp_path, config(steps=4, checkpoint_every=2), resume=(states[0], None))
    for rank in range(2):
        error = pair.end(rank)
        assert isinstance(error, TrainingError)
        assert "another saved state than in another process" in str(error)


def test_a_process_that_nobody_joins_ends_with_a_typed_error(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with (
        pytest.raises(TrainingError, match="another process is gone"),
        join(init_method=f"file://{tmp_path}/meeting", rank=0, size=2, timeout_s=1),
    ):
        pass
    assert time.monotonic() - began_s < 20


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_process_is_killed_the_other_ends_typed_and_the_saved_state_goes_on(
    killed: int, tmp_path: Path
) -> None:
    made = config(steps=4_000, checkpoint_every=1)
    pair = Pair(tmp_path, made)
    while pair.told[0].recv() < 5:
        pass
    pid = pair.children[killed].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    ended = pair.end(1 - killed)
    assert time.monotonic() - began_s < 60
    assert isinstance(ended, TrainingError)
    assert "another process is gone" in str(ended)
    _assert_goes_on(made, Objects(str(tmp_path)).read("state"))


def _assert_goes_on(made: PretrainingConfig, state: bytes) -> None:
    """Ten steps more, in one process."""
    losses: list[float] = []

    class EnoughError(Exception):
        pass

    def report(at: Progress) -> None:
        losses.append(at.msm)
        if len(losses) == 10:
            raise EnoughError

    with pytest.raises(EnoughError):
        train(titles(), made, seed=1, resume=state, report=report)


# Sharing out


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 6))
def test_every_question_is_computed_once_and_no_process_has_much_more_than_another(costs: list[int], n: int) -> None:
    taken = shares(costs, n)
    assert sorted(i for indices in taken for i in indices) == list(range(len(costs)))
    loads = [sum(costs[i] for i in indices) for indices in taken]
    assert max(loads) - min(loads) <= max(costs, default=0)


def test_one_process_computes_the_questions_in_their_order() -> None:
    assert shares([3, 9, 1], 1) == [[0, 1, 2]]


def test_a_step_is_cut_small_enough_for_every_process_and_no_smaller() -> None:
    made = config(shots_per_step=600, max_padded_shots=100)
    assert [spread(made, n).trainer.max_padded_shots for n in (1, 2, 3, 4, 6)] == [100, 100, 100, 75, 50]


def test_a_process_alone_needs_no_other() -> None:
    tensor = torch.ones(2)
    Peers().add_up(tensor)
    assert tensor.tolist() == [1.0, 1.0]
    assert Peers().gather(5) == [5]
    assert Peers().is_first
