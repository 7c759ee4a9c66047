"""How often quiet days alarm, and which drifts are caught: the simulation of docs/drift.md, smaller."""

from dataclasses import replace

import pytest

from mediafm_core.drift.limits import N_QUIET, STATED
from mediafm_core.drift.simulation import DRIFTS, Assumed, caught, first_days, quiet_alarms, world
from mediafm_core.drift.statistics import distances

SMALL = Assumed(dims=96)


def test_quiet_days_do_not_alarm() -> None:
    assert sum(quiet_alarms(SMALL, 40, seed=seed) for seed in range(3)) == 0


@pytest.mark.parametrize(
    ("drift", "distance"),
    [("all inputs, each its own way", 1e-4), ("a tenth of the inputs", 1e-4), ("all along a head's weights", 5e-5)],
)
def test_the_drifts_that_must_be_caught_are(drift: str, distance: float) -> None:
    assert caught(SMALL, DRIFTS[drift], distance, 30, seed=1, n_worlds=3).by_any >= 0.95


def test_an_offset_along_weights_is_caught_by_the_scores_alone() -> None:
    assert caught(SMALL, DRIFTS["all along a head's weights"], 5e-5, 20, seed=2, n_worlds=2).by_scores == 1.0


def test_a_drift_below_the_noise_is_not_claimed() -> None:
    assert caught(SMALL, DRIFTS["all inputs, each its own way"], 1e-7, 20, seed=3, n_worlds=2).by_any == 0.0


def test_a_drift_moves_each_input_by_just_the_distance_that_is_asked() -> None:
    import numpy as np

    of = world(SMALL, np.random.default_rng(0))
    for name, drift in DRIFTS.items():
        moved = distances(of.true, drift(of, 1e-4, np.random.default_rng(1)))
        n_moved = 16 if name == "a tenth of the inputs" else 160
        assert ((moved > 0.99e-4) & (moved < 1.01e-4)).sum() == n_moved


def test_an_encoder_of_little_noise_is_calibrated_without_an_alarm() -> None:
    found = first_days(replace(SMALL, noise=1e-5), seed=0)
    assert (found.alarms, found.days, found.limits.rule) == (0, N_QUIET, "calibrated")
    assert found.limits.sees_tenth <= STATED


@pytest.mark.parametrize("noise", [5e-5, 1e-4, 1e-3])
def test_one_too_noisy_to_watch_says_so_once_and_is_then_calibrated_to_what_it_can_still_see(noise: float) -> None:
    for seed in range(3):
        found = first_days(replace(SMALL, noise=noise), seed=seed, at_most=60)
        assert found.alarms == found.accepted == 1
        assert found.limits.rule == "calibrated"
        assert found.limits.sees_tenth > STATED


@pytest.mark.parametrize("noise", [4e-6, 3e-5])
def test_what_limits_say_they_see_is_seen(noise: float) -> None:
    assumed = replace(SMALL, noise=noise)
    sees = [first_days(assumed, seed=seed).limits for seed in range(2)]
    in_all, in_a_tenth = max(each.sees_all for each in sees), max(each.sees_tenth for each in sees)
    assert caught(assumed, DRIFTS["all inputs, each its own way"], in_all, 20, seed=1, n_worlds=2).by_vectors >= 0.95
    assert caught(assumed, DRIFTS["a tenth of the inputs"], in_a_tenth, 20, seed=1, n_worlds=2).by_vectors >= 0.95
