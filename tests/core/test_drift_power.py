"""How often quiet days alarm, and which drifts are caught: the simulation of docs/drift.md, smaller."""

import pytest

from mediafm_core.drift.simulation import DRIFTS, Assumed, caught, quiet_alarms, world
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
