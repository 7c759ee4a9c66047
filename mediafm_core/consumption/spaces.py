"""How far the spaces of two encoders agree, for whoever keeps vectors of the old one when a new one goes live.

Vectors of two encoders are never compared with one another. What is compared is what each makes of the same shots: who
is near whom, and what is left of one space after the best rotation of the other onto it.

Shape letters: n shots, X and Y the widths of the two spaces.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import PlanError
from mediafm_core.planning.desired import desired, encoder_steps
from mediafm_core.probes.stage import contextual_shots
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home

N_NEIGHBOURS = 10
MAX_TITLES = 100
MAX_SHOTS = 3000
"""So many are drawn at most: a square of cosines of this side fits a laptop."""

Vectors = NDArray[np.float32]
Owners = NDArray[np.int64]
"""(n,) which title each shot is of."""


class Agreement(NamedTuple):
    """Of two encoders on the same shots; beside each figure the same with the second's shots shuffled."""

    first: str
    second: str
    n_titles: int
    n_shots: int
    n_neighbours: int
    overlap: float  # share of a shot's nearest shots in other titles that both encoders name; 1: the same
    overlap_shuffled: float
    residual: float  # share of the variance that the best rotation and scale leaves, on titles they were not fitted on
    residual_shuffled: float  # about 1: no better than the mean; above where it overfits


def compare_encoders(home: Home, first: str, second: str, *, seed: int = 0) -> Agreement:
    """Compare two encoders, of whatever suites, on a sample of the titles that both have embedded.

    Args:
        home: an open home.
        first: an encoder's name.
        second: another's.
        seed: of the sample and the shuffling.

    Raises:
        PlanError: there is no such encoder, or they share fewer than two titles.
    """
    generator = np.random.default_rng(seed)
    x, y, of = _shared(home, first, second, generator)
    shuffled = generator.permutation(len(of))
    n_neighbours = min(N_NEIGHBOURS, int(len(of) - np.bincount(of).max()))
    near_x, near_y = nearest(x, of, n_neighbours), nearest(y, of, n_neighbours)
    n_named = len(of) * n_neighbours
    return Agreement(
        first=first,
        second=second,
        n_titles=len(np.unique(of)),
        n_shots=len(of),
        n_neighbours=n_neighbours,
        overlap=float((near_x & near_y).sum() / n_named),
        overlap_shuffled=float((near_x & near_y[shuffled][:, shuffled]).sum() / n_named),
        residual=rotation_residual(x, y, of),
        residual_shuffled=rotation_residual(x, y[shuffled], of),
    )


def nearest(vectors: Vectors, of: Owners, n_neighbours: int) -> NDArray[np.bool_]:
    """(n, n) which shots of other titles are a shot's nearest ones, by cosine; `n_neighbours` in each row."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T  # (n, n)
    cosines[of[:, None] == of] = -np.inf
    found = np.zeros(cosines.shape, bool)
    best = np.argpartition(-cosines, n_neighbours - 1, axis=1)[:, :n_neighbours]
    np.put_along_axis(found, best, values=True, axis=1)
    return found


def rotation_residual(x: Vectors, y: Vectors, of: Owners) -> float:
    """What the best rotation and scale (orthogonal Procrustes) leaves, fitted on half of the titles, on the other half.

    Args:
        x: (n, X) one space.
        y: (n, Y) the other.
        of: at least two titles.

    Returns:
        Squared distance over variance: 0 where one space is the other one turned; the mean of both halves and of both
        directions.
    """
    half = of % 2 == 0
    left = [_left(a[fit], b[fit], a[~fit], b[~fit]) for fit in (half, ~half) for a, b in ((x, y), (y, x))]
    return float(np.mean(left))


def _left(x: Vectors, y: Vectors, x_held_out: Vectors, y_held_out: Vectors) -> float:
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    turned, strengths, back = np.linalg.svd((x - mean_x).T @ (y - mean_y), full_matrices=False)
    scale = strengths.sum() / max(float(np.square(x - mean_x).sum()), 1e-12)
    expected = y_held_out - mean_y
    found = scale * (x_held_out - mean_x) @ (turned @ back)
    return float(np.square(found - expected).sum() / max(float(np.square(expected).sum()), 1e-12))


def _shared(home: Home, first: str, second: str, generator: np.random.Generator) -> tuple[Vectors, Vectors, Owners]:
    """Vectors of the same shots by both encoders, and their titles by number."""
    pairs = _pairs(home, first, second)
    chosen = [pairs[i] for i in generator.permutation(len(pairs))[:MAX_TITLES]]
    suites = {spec.name: spec.suite for spec in read_state(home).encoders}
    rows: list[tuple[Vectors, Vectors]] = []
    for one, other in chosen:
        a, b = contextual_shots(home, one, suites[first]), contextual_shots(home, other, suites[second])
        if np.array_equal(a.start_s, b.start_s) and np.array_equal(a.end_s, b.end_s):
            shown = generator.permutation(len(a.vectors))[: max(1, MAX_SHOTS // len(chosen))]
            rows.append((a.vectors[shown], b.vectors[shown]))
    if len(rows) < 2:
        raise PlanError(
            f"encoders {first!r} and {second!r}",
            found=f"{len(rows)} titles with the same shots that both have embedded",
            expected="at least two",
            next_step="Run `mediafm apply`.",
        )
    of = np.repeat(np.arange(len(rows)), [len(a) for a, _ in rows])
    return np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows]), of


def _pairs(home: Home, first: str, second: str) -> list[tuple[ArtifactKey, ArtifactKey]]:
    state = read_state(home)
    wanted = desired(state)
    one, other = (encoder_steps(wanted, name).contextual for name in (first, second))
    both = [(one[title].key, other[title].key) for title in one if title in other]
    return [pair for pair in both if state.committed.issuperset(pair)]
