"""What the statistics of drift tell apart, and what leaves them alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.drift.limits import EXACT, EXACTLY, N_QUIET, PROVISIONAL, calibrated, limits_from
from mediafm_core.drift.statistics import Movement, Shift, distances, head_shift, movement
from mediafm_core.drift.verdicts import How, how_moved, modality_finding, scores_finding
from mediafm_core.errors import DimensionError

N, D = 160, 48
STILL = Movement(n=N, median=0, upper=0, largest=0, gram=0, offset=0, together=0, twist=0)


def vectors(seed: int = 0, *, alike: float = 0.0) -> np.ndarray:
    """(N, D) of different lengths; any two have a cosine of about `alike`."""
    random = np.random.default_rng(seed)
    both = np.sqrt(alike) * random.normal(size=D) + np.sqrt(1 - alike) * random.normal(size=(N, D))
    return both * random.uniform(0.1, 10, (N, 1))


def rotation(seed: int = 1) -> np.ndarray:
    """(D, D) orthogonal."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0]


def moved_by(way: np.ndarray, distance: float, before: np.ndarray) -> np.ndarray:
    """Every row turned by this distance towards `way`."""
    unit = before / np.linalg.norm(before, axis=1, keepdims=True)
    across = way - (way * unit).sum(axis=1, keepdims=True) * unit
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return (1 - distance) * unit + np.sqrt(1 - (1 - distance) ** 2) * across


# Distances


def test_nothing_moved_is_all_zero() -> None:
    assert movement(vectors(), vectors()) == STILL


@given(st.floats(1e-3, 1e3), st.integers(0, 5))
def test_the_length_of_a_vector_moves_nothing(times: float, seed: int) -> None:
    assert distances(vectors(seed), times * vectors(seed)).max() < 1e-15


def test_a_distance_is_one_minus_the_cosine() -> None:
    a, b = vectors(0), vectors(1)
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(distances(a, b), 1 - cosine, atol=1e-12)


@pytest.mark.parametrize("distance", [1e-4, 1e-7, 1e-10, 1e-13])
def test_a_tiny_distance_keeps_its_digits(distance: float) -> None:
    before = vectors()
    after = moved_by(vectors(9), distance, before)
    np.testing.assert_allclose(distances(before, after), distance, rtol=0.02)


def test_a_single_precision_round_trip_is_no_movement() -> None:
    before = vectors()
    assert movement(before, before.astype(np.float32)).largest < EXACT / 1e6


def test_what_appears_or_vanishes_is_far_and_what_stays_absent_is_not() -> None:
    before, now = vectors()[:3], vectors()[:3]
    before[0], now[1] = 0, 0
    np.testing.assert_array_equal(distances(before, now), [1, 1, 0])
    before[2], now[2] = 0, 0
    assert distances(before, now)[2] == 0


@pytest.mark.parametrize("now", [np.zeros((3, D)), np.zeros((N, D + 1)), np.full((N, D), np.nan)])
def test_what_cannot_be_compared_is_refused(now: np.ndarray) -> None:
    with pytest.raises(DimensionError, match="canaries"):
        movement(vectors(), now)


def test_numbers_as_large_and_as_small_as_floats_go_are_compared() -> None:
    assert movement(vectors() * 1e300, vectors() * 1e-300).largest < 1e-15


# Gram, offset, and the words for them


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_a_rotation_leaves_gram_and_moves_everything_else(alike: float) -> None:
    before = vectors(alike=alike)
    found = movement(before, before @ rotation())
    assert found.gram < 1e-12
    assert found.median > 0.1
    assert how_moved(found, EXACTLY) is How.ROTATED


def test_swapped_coordinates_are_a_rotation() -> None:
    assert how_moved(movement(vectors(), vectors()[:, ::-1]), EXACTLY) is How.ROTATED


@pytest.mark.parametrize("alike", [0.0, 0.9])
@pytest.mark.parametrize("distance", [1e-5, 1e-3])
def test_an_offset_is_told_from_noise(alike: float, distance: float) -> None:
    before = vectors(alike=alike)
    random = np.random.default_rng(4)
    one_way = moved_by(np.broadcast_to(random.normal(size=D), (N, D)), distance, before)
    own_ways = moved_by(random.normal(size=(N, D)), distance, before)
    assert how_moved(movement(before, one_way), EXACTLY) is How.OFFSET
    assert how_moved(movement(before, own_ways), EXACTLY) is How.NOISY


def test_another_space_of_the_same_width_is_noise() -> None:
    assert how_moved(movement(vectors(0), vectors(1)), EXACTLY) is How.NOISY


def test_a_part_of_the_inputs_is_said_and_counted() -> None:
    now = vectors()
    now[:12] = moved_by(vectors(3), 1e-3, vectors())[:12]
    found = modality_finding("text", movement(vectors(), now), EXACTLY, 12)
    assert found is not None
    assert found.how == "part of the inputs"
    assert "12 of 160 inputs" in found.figures
    assert "mediafm canaries accept" in found.advice


def test_steady_is_no_finding() -> None:
    assert modality_finding("text", STILL, EXACTLY, 0) is None
    assert how_moved(STILL, EXACTLY) is How.STEADY


# Heads


def test_a_linear_heads_shift_is_the_mean_offset_along_its_weights() -> None:
    before, now = vectors(0), vectors(0) + np.random.default_rng(3).normal(size=D)
    weights = np.random.default_rng(5).normal(size=(D, 4))
    projected = np.abs((now - before).mean(axis=0) @ weights) / (before @ weights).std(axis=0)
    found = head_shift(before @ weights, now @ weights, tuple("abcd"))
    np.testing.assert_allclose(found.shift, projected.max())
    assert found.label == "abcd"[projected.argmax()]


def test_an_offset_that_hardly_shows_as_a_distance_shows_in_the_scores() -> None:
    before = vectors() / np.linalg.norm(vectors(), axis=1, keepdims=True)
    weights = np.random.default_rng(5).normal(size=(D, 1))
    now = moved_by(np.broadcast_to(weights.T, (N, D)), 5e-5, before)
    assert movement(before, now).largest < 6e-5
    found = head_shift(before @ weights, now @ weights, ("only",))
    assert found.shift > 0.05
    assert scores_finding("tone", found) is not None


def test_flipped_is_the_share_on_the_other_side_of_the_median_of_before() -> None:
    before = np.arange(10.0)[:, None]
    now = before.copy()
    now[[4, 5]] = now[[5, 4]]
    assert head_shift(before, now, ("x",)) == Shift(0.0, "x", 0.2)


def test_equal_scores_are_no_shift_and_a_constant_head_divides_by_nothing() -> None:
    scores = np.ones((5, 2))
    assert head_shift(scores, scores, ("a", "b")) == Shift(0.0, "a", 0.0)
    assert scores_finding("tone", Shift(0.0, "a", 0.0)) is None


def test_scores_of_other_clips_are_refused() -> None:
    with pytest.raises(DimensionError, match="canary clips"):
        head_shift(np.ones((5, 2)), np.ones((4, 2)), ("a", "b"))


# Limits


def quiet(level: float) -> Movement:
    """A quiet day of a remote encoder."""
    return STILL._replace(median=level, upper=2 * level, largest=3 * level, gram=level, offset=level)


def test_a_local_encoder_is_held_to_a_millionth_whatever_was_measured_before() -> None:
    limits = limits_from([quiet(1e-5)] * 50, is_remote=False)
    assert limits == EXACTLY
    assert limits.exceeded(STILL._replace(largest=1.1e-6)) == ("largest",)
    assert limits.exceeded(STILL._replace(largest=0.9e-6, gram=1.0, offset=1.0)) == ()


def test_a_remote_encoder_has_provisional_limits_until_there_are_enough_quiet_days() -> None:
    days = [quiet(1e-6 * (1 + i % 3)) for i in range(N_QUIET)]
    assert limits_from(days[:-1], is_remote=True) is PROVISIONAL
    assert limits_from(days, is_remote=True).rule == "calibrated"


def test_the_provisional_limits_see_a_drift_at_cosine_0_9999() -> None:
    found = movement(vectors(), moved_by(vectors(2), 1e-4, vectors()))
    assert how_moved(found, PROVISIONAL) is How.NOISY
    part = vectors()
    part[:16] = moved_by(vectors(2), 1e-4, vectors())[:16]
    assert how_moved(movement(vectors(), part), PROVISIONAL) is How.PART


def test_days_after_the_first_quiet_ones_move_no_limit() -> None:
    days = [quiet(1e-6 * (1 + i % 3)) for i in range(N_QUIET)]
    assert limits_from([*days, *[quiet(2e-5)] * 40], is_remote=True) == limits_from(days, is_remote=True)


def test_a_day_that_is_not_quiet_gives_no_limit() -> None:
    days = [quiet(1e-6 * (1 + i % 3)) for i in range(N_QUIET)]
    assert limits_from([quiet(1e-2), *days], is_remote=True) == limits_from(days, is_remote=True)


def test_limits_lie_above_every_day_that_they_were_taken_from() -> None:
    days = [quiet(1e-6 * (1 + i % 7)) for i in range(N_QUIET)]
    assert all(calibrated(days).exceeded(day) == () for day in days)


def test_a_remote_that_repeats_itself_exactly_is_held_to_a_millionth() -> None:
    limits = calibrated([STILL] * N_QUIET)
    assert (limits.median, limits.upper, limits.largest) == (EXACT, EXACT, EXACT)
