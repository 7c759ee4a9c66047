"""A training that was killed goes on bit for bit: ten steps later its losses, weights and state are the same."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mediafm_core.errors import ArtifactError, TrainingError
from mediafm_core.model.config import Positions, Precision
from mediafm_core.model.container import pack, unpack
from mediafm_core.pretraining.config import Optimiser
from mediafm_core.pretraining.corpus import InMemory
from mediafm_core.pretraining.state import FORMAT
from mediafm_core.pretraining.trainer import train
from tests.trainings import LENGTHS, Kept, config, differing, titles


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny matrices are slower on many threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


VARIANTS: dict[str, dict[str, Any]] = {
    "muon": {},
    "adamw": {"optimiser": Optimiser.ADAMW},
    "bfloat16": {"precision": Precision.BFLOAT16},
    "average": {"average_decay": 0.9, "held_out_share": 0.4, "evaluate_every": 3},
    "patience": {"patience": 50, "held_out_share": 0.4, "evaluate_every": 3},
    "average and patience": {"average_decay": 0.9, "patience": 50, "held_out_share": 0.4, "evaluate_every": 3},
    "several questions, dropout": {"max_padded_shots": 30, "model": {"dropout": 0.3}},
    "learned positions": {"model": {"positions": Positions.LEARNED}},
    "heads": {"objective": {"horizon_weight": 1.0, "metadata_weight": 0.5}},
    "crops": {"min_crop_share": 0.3},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_killed_and_resumed_equals_straight_through_bit_for_bit(name: str) -> None:
    states = Kept()
    made = config(steps=14, checkpoint_every=1, **VARIANTS[name])
    straight = train(titles(), made, seed=1, states=states)
    assert len(states) == 14
    killed_after = 4  # ten more steps: a momentum that is lost shows only later
    resumed_states = Kept()
    resumed = train(titles(), made, seed=1, resume=states[killed_after - 1], states=resumed_states)
    assert differing(straight.encoder, resumed.encoder) == []
    assert straight.train_losses == resumed.train_losses
    assert straight.held_out_losses == resumed.held_out_losses
    assert straight.kept_step == resumed.kept_step
    assert resumed_states == states[killed_after:]


def test_any_step_can_be_the_last_one_before_a_kill() -> None:
    states = Kept()
    made = config(steps=7, checkpoint_every=1, held_out_share=0.4, evaluate_every=2, patience=9, average_decay=0.5)
    straight = train(titles(), made, seed=1, states=states)
    for state in states:
        assert differing(straight.encoder, train(titles(), made, seed=1, resume=state).encoder) == []


def test_a_finished_state_resumes_to_the_finished_encoder_without_a_step() -> None:
    states = Kept()
    steps: list[int] = []
    made = config(steps=40, held_out_share=0.4, evaluate_every=1, patience=2, adamw_rate=0.3, muon_rate=0.3)
    done = train(titles(), made, seed=1, states=states)
    assert len(done.train_losses) < 40  # stopped early
    again = train(titles(), made, seed=1, resume=states[-1], report=lambda at: steps.append(at.step))
    assert steps == []
    assert differing(again.encoder, done.encoder) == []
    assert (again.kept_step, again.train_losses) == (done.kept_step, done.train_losses)


def test_a_resumed_training_reads_no_title_for_its_centring() -> None:
    states = Kept()
    train(titles(), config(steps=1), seed=1, states=states)

    class Unreadable(InMemory):
        def read(self, index: int) -> Any:
            raise AssertionError(index)

    train(Unreadable([titles().read(i) for i in range(len(LENGTHS))]), config(steps=1), seed=1, resume=states[0])


@pytest.mark.parametrize("what", ["seed", "configuration", "corpus"])
def test_a_state_of_another_training_is_refused_by_name(what: str) -> None:
    states = Kept()
    train(titles(), config(steps=1), seed=1, states=states)
    other_titles = InMemory([titles().read(0)]) if what == "corpus" else titles()
    other_config = config(steps=2 if what == "configuration" else 1)
    with pytest.raises(TrainingError, match=f"another {what}"):
        train(other_titles, other_config, seed=2 if what == "seed" else 1, resume=states[0])


def test_a_damaged_state_and_one_of_an_earlier_version_are_refused_with_the_advice_to_start_afresh() -> None:
    states = Kept()
    train(titles(), config(steps=1), seed=1, states=states)
    tensors, manifest = unpack(states[0], "a state", FORMAT)
    earlier = pack(tensors, manifest | {"format": FORMAT - 1})
    for data in (states[0][:-9], earlier):
        with pytest.raises(ArtifactError, match=r"training state.*Start this training afresh"):
            train(titles(), config(steps=1), seed=1, resume=data)


def test_a_state_says_in_json_which_training_it_is_of() -> None:
    states = Kept()
    train(titles(), config(steps=1), seed=1, states=states)
    identity = unpack(states[0], "a state", FORMAT).manifest["identity"]
    assert identity["seed"] == 1
    assert identity["corpus"] == [[f"title-{i}", n] for i, n in enumerate(LENGTHS)]
    assert identity["configuration"] == json.loads(json.dumps(config(steps=1).to_json()))
