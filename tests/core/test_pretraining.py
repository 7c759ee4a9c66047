"""Laws of Masked Shot Modeling and of the trainer: nothing hidden leaks, and a killed run goes on bit for bit."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm_core.errors import ArtifactError, DimensionError, TrainingError
from mediafm_core.model.config import ModelConfig
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import ObjectiveConfig, PretrainingConfig, TrainerConfig
from mediafm_core.pretraining.optimisers import optimisers, split
from mediafm_core.pretraining.presets import PRESETS, preset_config
from mediafm_core.pretraining.trainer import Trained, train
from mediafm_core.sequence.titles import TitleArrays

DIMS = (8, 6, 4)
LENGTHS = (23, 1, 5, 9, 40)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny matrices are slower on many threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def config(**trainer: object) -> PretrainingConfig:
    model = ModelConfig(
        video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=2, heads=2, dropout=0.1, window=32
    )
    fast = {"steps": 20, "shots_per_step": 60, "warm_up_steps": 3, "checkpoint_every": 10, "held_out_share": 0.0}
    return PretrainingConfig(
        model=model,
        objective=ObjectiveConfig(),
        trainer=TrainerConfig(**{**fast, **trainer}),  # pyright: ignore
    )


def titles() -> list[TitleArrays]:
    rng = np.random.default_rng(0)
    made = []
    for i, n in enumerate(LENGTHS):
        fused = rng.normal(size=(n, 18)).astype(np.float32)
        fused[rng.random(n) < 0.4, 14:] = 0.0
        made.append(TitleArrays(f"title-{i}", fused, None if i == 2 else rng.normal(size=5).astype(np.float32)))
    return made


def assert_same_weights(a: MediaFM, b: MediaFM) -> None:
    differing = [n for n, t in a.state_dict().items() if not torch.equal(t, b.state_dict()[n])]
    assert differing == []


# The optimisers


def test_muon_takes_the_blocks_matrices_and_adamw_all_else_each_once() -> None:
    encoder = MediaFM.new(config().model, torch.Generator())
    hidden, other = split(encoder)
    names = {id(p): n for n, p in encoder.named_parameters()}
    assert sorted(names[id(p)] for p in hidden + other) == sorted(names.values())
    suffixes = ("qkv.weight", "attention_out.weight", "mlp_in.weight", "mlp_out.weight")
    assert {names[id(p)] for p in hidden} == {
        n for n in names.values() if n.startswith("blocks.") and n.endswith(suffixes)
    }


def test_weight_decay_is_the_configured_one_in_both() -> None:
    both = optimisers(MediaFM.new(config().model, torch.Generator()), TrainerConfig(weight_decay=0.03))
    assert [g["weight_decay"] for o in both for g in o.param_groups] == [0.03, 0.03]


def test_rates_rise_then_fall_and_never_reach_below_zero() -> None:
    trainer = TrainerConfig(steps=100, warm_up_steps=10)
    factors = [trainer.rate_factor(step) for step in range(100)]
    assert factors[:11] == sorted(factors[:11])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert max(factors) == 1.0
    assert min(factors) > 0.0


# The trainer


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (train(titles(), config(steps=5), seed=s) for s in (1, 1, 2))
    assert_same_weights(first.encoder, again.encoder)
    assert first.train_losses == again.train_losses
    assert not torch.equal(first.encoder.cls, other.encoder.cls)


@pytest.mark.parametrize("kept", [{}, {"held_out_share": 0.4, "evaluate_every": 3, "min_crop_share": 0.3}])
def test_killed_and_resumed_equals_straight_through_bit_for_bit(kept: dict[str, float]) -> None:
    states: list[bytes] = []
    straight = train(titles(), config(**kept), seed=1, checkpoint=states.append)
    assert len(states) == 2  # after 10 steps and at the end
    resumed_states: list[bytes] = []
    resumed = train(titles(), config(**kept), seed=1, resume=states[0], checkpoint=resumed_states.append)
    assert_same_weights(straight.encoder, resumed.encoder)
    assert straight.train_losses == resumed.train_losses
    assert straight.held_out_losses == resumed.held_out_losses
    assert resumed_states == states[1:]  # so do both optimisers, the generator and the order


def test_a_finished_state_resumes_to_the_finished_encoder() -> None:
    states: list[bytes] = []
    done = train(titles(), config(steps=3), seed=1, checkpoint=states.append)
    assert_same_weights(train(titles(), config(steps=3), seed=1, resume=states[-1]).encoder, done.encoder)


@pytest.mark.parametrize("what", ["seed", "configuration", "corpus"])
def test_a_state_of_another_training_is_refused_by_name(what: str) -> None:
    states: list[bytes] = []
    train(titles(), config(steps=1), seed=1, checkpoint=states.append)
    other_titles = titles()[:-1] if what == "corpus" else titles()
    other_config = config(steps=2 if what == "configuration" else 1)
    with pytest.raises(TrainingError, match=f"another {what}"):
        train(other_titles, other_config, seed=2 if what == "seed" else 1, resume=states[0])
    with pytest.raises(ArtifactError, match="training state"):
        train(titles(), config(steps=1), seed=1, resume=states[0][:-9])


def test_training_learns_what_can_be_learnt() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.normal(size=(8, 18)).astype(np.float32)
    repeated = [TitleArrays(f"t{i}", scenes[i : i + 1].repeat(12, axis=0), None) for i in range(8)]
    trained = train(repeated, config(steps=40, shots_per_step=96), seed=0)
    assert np.mean(trained.train_losses[-5:]) < 0.5 * np.mean(trained.train_losses[:3])


def test_how_pieces_share_batches_changes_nothing_but_rounding() -> None:
    one, many = (train(titles(), _without_dropout(config(steps=2, max_padded_shots=n)), seed=1) for n in (4096, 1))
    np.testing.assert_allclose(one.train_losses[0], many.train_losses[0], rtol=1e-5)


def _without_dropout(made: PretrainingConfig) -> PretrainingConfig:
    return replace(made, model=replace(made.model, dropout=0.0))


def test_held_out_losses_exist_only_where_a_title_is_held_out() -> None:
    assert _held_out(titles(), 0.0) is None
    assert _held_out(titles()[:1], 0.4) is None
    got = _held_out(titles(), 0.4)
    assert got is not None
    assert [step for step, _ in got] == [2, 4]


def _held_out(corpus: list[TitleArrays], share: float) -> list[tuple[int, float]] | None:
    trained: Trained = train(corpus, config(steps=4, held_out_share=share, evaluate_every=2), seed=1)
    return trained.held_out_losses


def test_progress_is_reported_after_each_step() -> None:
    seen: list[tuple[int, int, float, float]] = []
    trained = train(titles(), config(steps=3), seed=1, report=lambda *told: seen.append(told))
    assert [(step, total) for step, total, _, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert [loss for _, _, loss, _ in seen] == trained.train_losses
    assert all(rate > 0 for *_, rate in seen)


def test_the_corpus_mean_is_inside_the_trained_encoder() -> None:
    assert train(titles(), config(steps=1), seed=1).encoder.centring.mean.norm() > 0


def test_divergence_names_the_step() -> None:
    with pytest.raises(TrainingError, match="step 2"):
        train(titles(), config(adamw_rate=1e25, warm_up_steps=0), seed=1)


def test_training_leaves_the_global_generator_alone() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20_260_223)  # a state that no other test leaves behind
        before = torch.random.get_rng_state()
        train(titles(), config(steps=2), seed=1)
        assert torch.equal(torch.random.get_rng_state(), before)


def test_a_corpus_without_titles_and_a_title_that_does_not_fit_are_refused() -> None:
    with pytest.raises(TrainingError, match="no title"):
        train([], config(), seed=1)
    with pytest.raises(DimensionError, match="title 'odd'"):
        train([TitleArrays("odd", np.zeros((3, 17), np.float32), None)], config(), seed=1)


# Configurations


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name: str) -> None:
    made = preset_config(name, modality_dims=(1280, 384, 384), metadata_dims=384)
    assert PretrainingConfig.from_json(json.loads(json.dumps(made))).to_json() == made


def test_an_unknown_preset_and_an_impossible_configuration_are_refused() -> None:
    with pytest.raises(TrainingError, match="no such preset"):
        preset_config("huge", modality_dims=DIMS, metadata_dims=5)
    made = config().to_json()
    for part, change in (
        ("trainer", {"steps": 0}),
        ("trainer", {"speed": 1}),
        ("objective", {"mask_share": 1.0}),
        ("objective", {"distance": "euclid"}),
    ):
        with pytest.raises(TrainingError, match="pre-training configuration"):
            PretrainingConfig.from_json(made | {part: made[part] | change})
