"""Baselines of Masked Shot Modeling: none sees what is masked, each does as it says, and a verdict needs evidence."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mediafm_core.errors import ArtifactError, TrainingError
from mediafm_core.model.centring import Centring
from mediafm_core.model.config import ModelConfig
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.baselines import gru as gru_file
from mediafm_core.pretraining.baselines.compare import best_width, compare, measure
from mediafm_core.pretraining.baselines.gru import Gru
from mediafm_core.pretraining.baselines.gru_training import Watched, train_gru
from mediafm_core.pretraining.baselines.guesses import FIXED, Guesser, gaussian, nearest
from mediafm_core.pretraining.baselines.stand_in import StandIn
from mediafm_core.pretraining.baselines.verdict import MARGIN, MIN_TITLES, Learnt, TitleLosses, interval, judge
from mediafm_core.pretraining.config import Distance, ObjectiveConfig, PretrainingConfig, TrainerConfig
from mediafm_core.pretraining.corpus import InMemory, Reader, Split
from mediafm_core.pretraining.trainer import train
from mediafm_core.sequence.titles import TitleArrays

DIMS = (8, 6, 4)
LENGTHS = (23, 1, 40, 9, 70, 12)
GUESSES = {**FIXED, "Gaussian": gaussian(2.0)}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gru_file, "_WIDTH", 12)


def config(**trainer: object) -> PretrainingConfig:
    model = ModelConfig(
        video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=1, heads=2, dropout=0.0, window=32
    )
    fast = {"steps": 4, "shots_per_step": 60, "warm_up_steps": 1, "held_out_share": 0.5, "evaluate_every": 4}
    given = TrainerConfig(**{**fast, **trainer})  # pyright: ignore
    return PretrainingConfig(model=model, objective=ObjectiveConfig(), trainer=given)


def corpus(seed: int = 0, smooth: bool = False) -> InMemory:
    """Titles of noise, or of a slow walk, with text missing from many shots."""
    rng = np.random.default_rng(seed)
    made = []
    for i, n in enumerate(LENGTHS):
        fused = rng.normal(size=(n, sum(DIMS)))
        fused = np.cumsum(fused, axis=0) if smooth else fused
        fused[rng.random(n) < 0.4, 14:] = 0.0
        made.append(TitleArrays(f"title-{i}", fused.astype(np.float32), None))
    return InMemory(made)


def reader(**given: object) -> Reader:
    return Reader(corpus(**given), config().model)  # pyright: ignore


def stand_ins() -> list[StandIn]:
    centring = Centring(DIMS)
    gru = Gru.new(centring, torch.Generator().manual_seed(0)).eval()
    return [gru, *(Guesser(centring, guess) for guess in GUESSES.values())]


def said(stand_in: StandIn, fused: Tensor, real: Tensor, masked: Tensor) -> Tensor:
    """(B, S, F) predictions."""
    nothing = torch.zeros(len(fused), 5)
    return stand_in.output_proj(stand_in.encode(fused, real, real.float(), nothing, masked).shots).detach()


# Laws


@pytest.mark.parametrize("stand_in", stand_ins(), ids=["GRU", *GUESSES])
def test_a_masked_shot_is_never_seen(stand_in: StandIn) -> None:
    torch.manual_seed(0)
    fused, masked = torch.randn(2, 20, 18), torch.rand(2, 20) < 0.3
    real = torch.ones(2, 20, dtype=torch.bool)
    other = torch.where(masked[..., None], torch.randn(2, 20, 18), fused)
    assert torch.equal(said(stand_in, fused, real, masked), said(stand_in, other, real, masked))


@pytest.mark.parametrize("stand_in", stand_ins(), ids=["GRU", *GUESSES])
def test_padding_changes_nothing(stand_in: StandIn) -> None:
    torch.manual_seed(0)
    fused, masked = torch.randn(2, 20, 18), torch.rand(2, 20) < 0.3
    real = torch.arange(20) < torch.tensor([[20], [12]])
    masked &= real
    alone = said(stand_in, fused[1:, :12], real[1:, :12], masked[1:, :12])
    torch.testing.assert_close(said(stand_in, fused, real, masked)[1, :12], alone[0])


def test_the_corpus_mean_is_at_a_right_angle_from_every_shot_that_has_anything() -> None:
    mean = {"mean": Guesser(Centring(DIMS), FIXED["corpus mean"]).as_encoder()}
    (found,) = measure(mean, reader(), [0, 2, 4], config(), seed=0).values()
    np.testing.assert_allclose(found.mean, 1.0, rtol=1e-6)


@pytest.mark.parametrize("distance", Distance)
@pytest.mark.parametrize("others", [{}, {"modality_share": 0.3, "horizon_weight": 1.0, "metadata_weight": 0.5}])
def test_the_encoder_is_measured_as_in_training(distance: Distance, others: dict[str, Any]) -> None:
    given = config()
    given = replace(given, objective=replace(given.objective, distance=distance, **others))
    trained = train(corpus(), given, seed=3)
    assert trained.held_out_losses is not None
    generator = torch.Generator().manual_seed(3)
    order = torch.randperm(len(LENGTHS), generator=generator).tolist()
    found = measure({"it": trained.encoder}, reader(), sorted(order[:3]), given, seed=3)
    assert found["it"].overall == pytest.approx(trained.held_out_losses[-1][1], abs=1e-6)
    assert len(found["it"].mean) == 3


def test_every_row_is_measured_on_the_same_masks() -> None:
    twice = {str(i): Guesser(Centring(DIMS), nearest).as_encoder() for i in range(2)}
    first, second = measure(twice, reader(), [0, 2], config(), seed=0).values()
    np.testing.assert_array_equal(first.mean, second.mean)
    (other,) = measure({"0": twice["0"]}, reader(), [0, 2], config(), seed=1).values()
    assert not np.array_equal(first.mean, other.mean)


# Guesses against brute force


def brute_force(block: Tensor, readable: Tensor, guess: str) -> Tensor:
    """Shot by shot, in plain loops."""
    seen = [j for j in range(len(block)) if readable[j]]
    rows = []
    for i in range(len(block)):
        before, after = [j for j in seen if j <= i], [j for j in seen if j >= i]
        if not seen or guess == "corpus mean":
            rows.append(torch.zeros(block.shape[1]))
        elif guess == "nearest":
            rows.append(block[min(seen, key=lambda j: (abs(i - j), j))])
        elif guess == "Gaussian":
            weights = torch.tensor([np.exp(-((i - j) ** 2) / 8) for j in seen], dtype=torch.float32)
            rows.append((weights[:, None] * block[seen]).sum(0) / weights.sum())
        elif before and after and before[-1] != after[0]:
            share = (i - before[-1]) / (after[0] - before[-1])
            rows.append((1 - share) * block[before[-1]] + share * block[after[0]])
        else:
            rows.append(block[before[-1]] if before else block[after[0]])
    return torch.stack(rows)


@pytest.mark.parametrize("name", GUESSES)
def test_a_guess_is_what_plain_loops_make_of_it(name: str) -> None:
    torch.manual_seed(0)
    for chance in (0.0, 0.1, 0.5, 1.0):
        block, readable = torch.randn(3, 15, 4), torch.rand(3, 15) < chance
        found = GUESSES[name](block, readable)
        expected = torch.stack([brute_force(b, r, name) for b, r in zip(block, readable, strict=True)])
        torch.testing.assert_close(found, expected)


def test_a_narrow_gaussian_reaches_as_far_as_it_has_to() -> None:
    block, readable = torch.randn(1, 300, 4), torch.arange(300)[None] == 0
    torch.testing.assert_close(gaussian(0.5)(block, readable), block[:, :1].expand(1, 300, 4))


def test_a_modality_is_guessed_from_shots_that_have_it() -> None:
    fused = torch.randn(1, 5, 18)
    fused[0, 1, 14:] = 0.0  # the nearest shot says nothing
    centring = Centring(DIMS)
    guessed = said(Guesser(centring, nearest), fused, torch.ones(1, 5).bool(), torch.tensor([[1, 0, 0, 0, 0]]).bool())
    centred = centring(fused).shots
    torch.testing.assert_close(guessed[0, 0, :14], centred[0, 1, :14])
    torch.testing.assert_close(guessed[0, 0, 14:], centred[0, 2, 14:])


def test_the_width_follows_how_slowly_titles_change() -> None:
    """A slow walk is best guessed from near by, noise around a title's own mean from far and wide."""
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=18) + 2 * rng.normal(size=(n, 18)) for n in LENGTHS]
    around_means = InMemory([TitleArrays(str(i), rows.astype(np.float32), None) for i, rows in enumerate(noise)])
    model = config().model
    widths = [
        best_width(Centring(DIMS), Reader(titles, model), [0, 2, 4, 5], config(), seed=0)
        for titles in (corpus(smooth=True), around_means)
    ]
    assert widths[0] <= 2.0 < 8.0 <= widths[1]


# The GRU


def test_the_gru_learns_and_is_the_same_each_time() -> None:
    given = config(gru_steps=60, adamw_rate=0.01)
    told: list[tuple[int, int]] = []
    centring = Centring(DIMS)

    def trained() -> Gru:
        return train_gru(reader(smooth=True), [0, 2, 4], centring, given, 0, Watched(lambda *at: told.append(at)))

    first, second = trained(), trained()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert told[:2] == [(1, 60), (2, 60)]
    fresh = Gru.new(centring, torch.Generator().manual_seed(0)).eval()
    asked = {"fresh": fresh.as_encoder(), "trained": first.as_encoder()}
    found = measure(asked, reader(smooth=True), [0, 2, 4], given, seed=0)
    assert found["trained"].overall < found["fresh"].overall - 0.2


def test_a_killed_training_of_the_gru_goes_on_bit_for_bit() -> None:
    given, centring = config(gru_steps=9, checkpoint_every=4), Centring(DIMS)
    states: list[bytes] = []
    straight = train_gru(reader(), [0, 2], centring, given, 0, Watched(save=states.append))
    assert len(states) == 3
    told: list[int] = []
    for state in states:
        following = Watched(lambda done, _: told.append(done), resume=state)
        again = train_gru(reader(), [0, 2], centring, given, 0, following)
        assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), again.parameters(), strict=True))
    assert told == [5, 6, 7, 8, 9, 9]
    with pytest.raises(TrainingError, match="another seed"):
        train_gru(reader(), [0, 2], centring, given, 1, Watched(resume=states[0]))
    with pytest.raises(ArtifactError, match="GRU"):
        train_gru(reader(), [0, 2], centring, given, 0, Watched(resume=states[0][:-1]))


def test_a_full_disk_ends_the_training_of_the_gru_by_name() -> None:
    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    given = config(gru_steps=9, checkpoint_every=4)
    with pytest.raises(TrainingError, match=r"GRU among the baselines, step 4: .*No space left on device.*Free space"):
        train_gru(reader(), [0, 2], Centring(DIMS), given, 0, Watched(save=full))


def test_the_gru_is_trained_on_the_encoders_objective_whatever_heads_that_has() -> None:
    given = config(gru_steps=2)
    objective = ObjectiveConfig(horizon_weight=1.0, metadata_weight=1.0, modality_share=0.2, contrast_weight=1.0)
    train_gru(reader(), [0, 2], Centring(DIMS), replace(given, objective=objective), 0)


# The table and its verdict


def compared(**trainer: object):
    given = config(**trainer)
    encoder = MediaFM.new(given.model, torch.Generator().manual_seed(0)).eval()
    split = Split([0, 2, 4], [1, 3, 5]) if given.trainer.held_out_share else Split([0, 1, 2, 3, 4, 5], [])
    return compare(encoder, reader(smooth=True), split, given, seed=0)


@pytest.mark.parametrize("gru_steps", [0, 1])
def test_a_gru_is_among_the_baselines_where_it_has_steps_alone(gru_steps: int) -> None:
    assert ("GRU" in {row.name for row in compared(gru_steps=gru_steps).rows}) == (gru_steps > 0)


def test_a_fresh_encoder_has_not_learnt() -> None:
    found = compared(gru_steps=1)
    assert [row.name.split(",")[0] for row in found.rows] == [*FIXED, "Gaussian", "GRU", "encoder"]
    assert found.verdict.learnt is Learnt.NO
    assert found.verdict.best in {row.name for row in found.rows}
    fitted = {row.name: row.n_parameters for row in found.rows}
    assert fitted["nearest"] == 0 < fitted["GRU"] < fitted["encoder"]


def test_without_steps_for_it_there_is_no_gru() -> None:
    assert "GRU" not in [row.name for row in compared().rows]


def test_without_held_out_titles_nothing_is_judged() -> None:
    found = compared(held_out_share=0.0)
    assert found.rows == []
    assert found.verdict.learnt is Learnt.NOT_JUDGED
    assert "held out" in found.verdict.why


def losses(*means: float) -> TitleLosses:
    return TitleLosses(np.array(means), np.full(len(means), 10.0))


def better_by(gain: float, n_titles: int, noise: float = 0.0) -> Learnt:
    rng = np.random.default_rng(0)
    base = 0.7 + 0.1 * rng.random(n_titles)
    gains = gain + noise * rng.normal(size=n_titles)
    return judge(losses(*(base - gains)), {"good": losses(*base), "bad": losses(*(base + 0.1))}).learnt


def test_a_verdict_says_if_the_one_baseline_that_is_trained_is_not_among_them() -> None:
    few, many = {"good": losses(0.7, 0.8)}, {"good": losses(0.7, 0.8), "GRU": losses(0.7, 0.9)}
    assert "trainer.gru_steps=0" in judge(losses(0.6, 0.7), few).why
    assert "gru_steps" not in judge(losses(0.6, 0.7), many).why


def test_an_encoder_has_learnt_if_it_is_clearly_better_on_enough_titles() -> None:
    assert better_by(2 * MARGIN, MIN_TITLES) is Learnt.YES
    assert better_by(2 * MARGIN, MIN_TITLES - 1) is Learnt.UNDECIDED
    assert better_by(0.9 * MARGIN, MIN_TITLES) is Learnt.NO  # better, not by enough
    assert better_by(2 * MARGIN, 20, noise=20 * MARGIN) is Learnt.NO  # by enough, not surely
    assert better_by(-MARGIN, MIN_TITLES - 1) is Learnt.NO  # few titles excuse nothing
    assert better_by(-MARGIN, 1) is Learnt.NO


def test_the_comparison_is_paired_by_title() -> None:
    """Titles differ far more than the two do; only title by title the gain is sure."""
    assert better_by(2 * MARGIN, 12, noise=0.1 * MARGIN) is Learnt.YES


def test_the_interval_weighs_titles_by_their_masked_shots() -> None:
    apart, n_masked = np.array([0.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, 997.0])
    low, high = interval(apart, n_masked)
    assert low == 0.0  # the long title may be missing from a resample
    assert high > 0.99
    assert interval(apart, n_masked) == (low, high)
