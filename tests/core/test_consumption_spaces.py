"""How far two encoders agree is asked of the same shots, and vectors of two encoders are never mixed."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from mediafm_core.consumption.catalogue import open_catalogue
from mediafm_core.consumption.similarity import similar_shots
from mediafm_core.consumption.spaces import N_NEIGHBOURS, compare_encoders, nearest, rotation_residual
from mediafm_core.errors import EncoderMismatchError, PlanError
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, V2, encoder
from tests.fakes import apply, make_home

N, WIDTH, N_TITLES = 120, 6, 6
OF = np.repeat(np.arange(N_TITLES), N // N_TITLES)


@pytest.fixture
def space() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)


def rotation(width: int, to: int, seed: int = 1) -> np.ndarray:
    """(width, to): lengths and angles stay as they are."""
    square = np.random.default_rng(seed).normal(size=(max(width, to), max(width, to)))
    return np.linalg.qr(square)[0][:width, :to].astype(np.float32)


# Laws


@pytest.mark.parametrize("to", [WIDTH, WIDTH + 3])
def test_a_space_that_is_only_turned_and_scaled_is_the_same(space: np.ndarray, to: int) -> None:
    turned = 3.0 * space @ rotation(WIDTH, to)
    assert np.array_equal(nearest(space, OF, 5), nearest(turned, OF, 5))
    assert rotation_residual(space, turned, OF) == pytest.approx(0.0, abs=1e-5)


def test_spaces_without_anything_in_common_agree_as_little_as_shuffled_ones(space: np.ndarray) -> None:
    other = np.random.default_rng(9).normal(size=(N, WIDTH)).astype(np.float32)
    overlap = (nearest(space, OF, 10) & nearest(other, OF, 10)).sum() / (10 * N)
    assert overlap == pytest.approx(10 / (N - N // N_TITLES), abs=0.05)  # by chance
    assert rotation_residual(space, other, OF) > 0.95


def test_noise_raises_the_residual_by_its_share_of_the_variance(space: np.ndarray) -> None:
    noise = np.random.default_rng(9).normal(size=(N, WIDTH)).astype(np.float32)
    assert rotation_residual(space, space + noise, OF) == pytest.approx(0.5, abs=0.12)


def test_neighbours_are_those_of_a_search_through_all_other_titles(space: np.ndarray) -> None:
    found = nearest(space, OF, 3)
    unit = space / np.linalg.norm(space, axis=1, keepdims=True)
    for i in range(N):
        others = [j for j in range(N) if OF[j] != OF[i]]
        best = sorted(others, key=lambda j, i=i: -float(unit[i] @ unit[j]))[:3]
        assert set(np.flatnonzero(found[i])) == set(best)


def test_the_rotation_is_the_one_of_scipy(space: np.ndarray) -> None:
    other = (space + 0.3 * np.random.default_rng(9).normal(size=(N, WIDTH))).astype(np.float32)
    half, left = OF % 2 == 0, []
    for fit in (half, ~half):
        for x, y in ((space, other), (other, space)):
            a, b = x[fit] - x[fit].mean(0), y[fit] - y[fit].mean(0)
            turn, strength = orthogonal_procrustes(a, b)
            found = strength / np.square(a).sum() * (x[~fit] - x[fit].mean(0)) @ turn
            expected = y[~fit] - y[fit].mean(0)
            left.append(np.square(found - expected).sum() / np.square(expected).sum())
    assert rotation_residual(space, other, OF) == pytest.approx(np.mean(left), rel=1e-4)


# In a home


def test_an_encoder_agrees_with_itself_and_shuffled_shots_do_not(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", (LONG, SILENT, NO_ID), encoders=(encoder("v1"), V2))
    apply(home)
    same = compare_encoders(home, "v1", "v1")
    assert (same.n_titles, same.n_shots) == (3, 521)
    assert same.overlap == 1.0
    assert same.residual == pytest.approx(0.0, abs=1e-4)
    assert same.overlap_shuffled < 0.8
    assert same.residual_shuffled > 0.9
    other = compare_encoders(home, "v1", "v2")
    assert other.overlap < 1.0
    assert other.n_neighbours == min(N_NEIGHBOURS, 8)  # as many as the shots beside the longest title
    assert json.loads(json.dumps(other._asdict())) == other._asdict()
    assert compare_encoders(home, "v1", "v2") == other


def test_without_two_shared_titles_nothing_is_compared(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", (ONE_SHOT,), encoders=(encoder("v1"), V2))
    apply(home)
    with pytest.raises(PlanError, match="1 titles with the same shots"):
        compare_encoders(home, "v1", "v2")
    with pytest.raises(PlanError, match="encoder 'v9'"):
        compare_encoders(home, "v1", "v9")


def test_encoders_of_one_name_in_two_homes_are_two_encoders(tmp_path: Path) -> None:
    shots = []
    for name, seed in (("here", 0), ("there", 7)):
        home = make_home(tmp_path / name, (SILENT, LONG), encoders=(encoder("v1", seed=seed),))
        apply(home)
        home.ledger.close()
        shots.append(open_catalogue(str(tmp_path / name)).shots("silent"))
    assert shots[0].encoder == shots[1].encoder
    here = open_catalogue(str(tmp_path / "here"))
    assert similar_shots(here, shots[0], within=["long"])
    with pytest.raises(EncoderMismatchError, match="mediafm encoder compare"):
        similar_shots(here, shots[1], within=["long"])


def test_a_copy_of_a_home_is_of_the_same_encoder(tmp_path: Path) -> None:
    for name in ("here", "there"):
        home = make_home(tmp_path / name, (SILENT, LONG))
        apply(home)
        home.ledger.close()
    query = open_catalogue(str(tmp_path / "there")).shots("silent")
    assert similar_shots(open_catalogue(str(tmp_path / "here")), query, within=["long"])
