"""What the limits catch and how often they cry wolf, on drawn vectors: nothing here is measured on a real encoder.

The noise of quiet days, as assumed: whoever computes elsewhere answers a little differently from call to call. Of each
input the vector is off by an isotropic Gaussian whose expected distance (1 - cosine) is `noise`, times a factor of the
day and one of the input, both log-normal; and one answer in a hundred comes from another machine, off by four times as
much. The first measurement, the reference, is noisy too. Vectors are anisotropic, as real ones are: any two have a
cosine of about `alike`.

Shape letters: n inputs, D width, L labels of all heads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.drift.limits import FLIPPED, HEAD_SHIFT, N_QUIET, Limits, calibrated, limits_from
from mediafm_core.drift.statistics import Movement, Shift, head_shift, movement
from mediafm_core.drift.verdicts import How, how_moved

Vectors = NDArray[np.float64]
Drift = Callable[["World", float, np.random.Generator], Vectors]
"""A world, the distance that each drifted input is to move, randomness: (n, D), the vectors as they are then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is assumed of an encoder and of quiet days."""

    n: int = 160  # inputs
    dims: int = 768
    alike: float = 0.3  # cosine of two inputs
    n_labels: int = 5  # of heads that read these vectors
    noise: float = 4e-6  # expected distance on a quiet day: cosine 0.999996
    day_spread: float = 0.2  # of the logarithm of a day's factor
    input_spread: float = 0.3  # of the logarithm of an input's factor
    other_machine: float = 0.01  # share of answers that are off by more
    other_times: float = 4.0  # so much more, as a distance


class World(NamedTuple):
    """One encoder: its true vectors, its heads, its reference and its limits."""

    assumed: Assumed
    true: Vectors  # (n, D) of unit length
    weights: Vectors  # (D, L)
    reference: Vectors  # (n, D), measured
    limits: Limits


class FirstDays(NamedTuple):
    """What the first quiet days of an encoder bring, until its limits are calibrated; noise is accepted at once."""

    alarms: int
    accepted: int  # of these, how often the alarm was that it is too noisy, and was accepted
    days: int
    limits: Limits


class Caught(NamedTuple):
    """Of many measurements under one drift the shares in which it was seen."""

    by_vectors: float
    by_scores: float
    by_any: float


def world(assumed: Assumed, random: np.random.Generator) -> World:
    """Draw an encoder, measure its reference, and take its limits from quiet days."""
    common, own = random.normal(size=assumed.dims), random.normal(size=(assumed.n, assumed.dims))
    true = _unit(np.sqrt(assumed.alike) * common + np.sqrt(1 - assumed.alike) * own)
    weights = random.normal(size=(assumed.dims, assumed.n_labels))
    reference = noisy(true, assumed, random)
    quiet = [movement(reference, noisy(true, assumed, random)) for _ in range(N_QUIET)]
    return World(assumed, true, weights, reference, calibrated(quiet))


def noisy(vectors: Vectors, assumed: Assumed, random: np.random.Generator) -> Vectors:
    """(n, D): what one day answers where the encoder itself gives `vectors`."""
    day = np.exp(random.normal(0, assumed.day_spread))
    each = np.exp(random.normal(0, assumed.input_spread, len(vectors)))
    other = np.where(random.random(len(vectors)) < assumed.other_machine, assumed.other_times, 1.0)
    # a reference and a measurement each carry half of the distance between them
    length = np.sqrt(assumed.noise * day * each * other)
    return _unit(vectors + length[:, None] * random.normal(size=vectors.shape) / np.sqrt(vectors.shape[1]))


def seen(of: World, now: Vectors) -> tuple[bool, bool]:
    """Whether a measurement alarms: by its vectors, by its heads' scores."""
    found: Movement = movement(of.reference, now)
    labels = tuple(map(str, range(of.weights.shape[1])))
    scores: Shift = head_shift(of.reference @ of.weights, now @ of.weights, labels)
    return bool(of.limits.exceeded(found)), scores.shift > HEAD_SHIFT or scores.flipped > FLIPPED


def quiet_alarms(assumed: Assumed, n_days: int, *, seed: int) -> int:
    """How many of so many quiet days alarm, held to the limits of one encoder."""
    random = np.random.default_rng(seed)
    of = world(assumed, random)
    return sum(any(seen(of, noisy(of.true, assumed, random))) for _ in range(n_days))


def first_days(assumed: Assumed, *, seed: int, at_most: int = 200) -> FirstDays:
    """Watch an encoder that does not drift from its reference on, by the rule that measurements keep to."""
    random = np.random.default_rng(seed)
    of = world(assumed, random)
    reference, days, noise, alarms, accepted = of.reference, list[Movement](), None, 0, 0
    for day in range(1, at_most + 1):
        limits = limits_from(days, is_remote=True, noise=noise)
        if limits.rule == "calibrated":
            return FirstDays(alarms, accepted, day - 1, limits)
        found = movement(reference, noisy(of.true, assumed, random))
        days.append(found)
        how = how_moved(found, limits, days[0])
        alarms += how is not How.STEADY
        if how is How.TOO_NOISY:
            accepted, noise, days, reference = accepted + 1, found, [], noisy(of.true, assumed, random)
    return FirstDays(alarms, accepted, at_most, limits_from(days, is_remote=True, noise=noise))


def caught(assumed: Assumed, drift: Drift, distance: float, n_days: int, *, seed: int, n_worlds: int = 10) -> Caught:
    """The shares of `n_days` days, spread over several encoders, in which a drift is seen."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n_worlds):
        of = world(assumed, random)
        days = range(n_days // n_worlds)
        found += [seen(of, noisy(drift(of, distance, random), assumed, random)) for _ in days]
    return Caught(*np.mean([(vectors, scores, vectors or scores) for vectors, scores in found], axis=0).tolist())


def all_inputs(of: World, distance: float, random: np.random.Generator) -> Vectors:
    """Every input moves its own way."""
    return _moved(of.true, random.normal(size=of.true.shape), distance)


def some_inputs(of: World, distance: float, random: np.random.Generator) -> Vectors:
    """A tenth of the inputs move, each its own way."""
    chosen = random.permutation(len(of.true)) < len(of.true) // 10
    return np.where(chosen[:, None], all_inputs(of, distance, random), of.true)


def along_weights(of: World, distance: float, random: np.random.Generator) -> Vectors:
    """Every input moves along the weights of one label."""
    return _moved(
        of.true, np.broadcast_to(of.weights[:, random.integers(of.weights.shape[1])], of.true.shape), distance
    )


DRIFTS: Final[Mapping[str, Drift]] = {
    "all inputs, each its own way": all_inputs,
    "a tenth of the inputs": some_inputs,
    "all along a head's weights": along_weights,
}


def _moved(vectors: Vectors, way: Vectors, distance: float) -> Vectors:
    """Unit vectors turned by just this distance towards what of `way` is at right angles to them."""
    across = _unit(way - (way * vectors).sum(axis=1, keepdims=True) * vectors)
    cosine = 1 - distance
    return cosine * vectors + np.sqrt(1 - cosine**2) * across


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
