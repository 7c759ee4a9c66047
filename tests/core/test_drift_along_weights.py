"""An offset in one encoder's vectors that only a head notices: caught behind fusion, MediaFM and the head itself."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import SERVER, Modality, Suite
from mediafm_core.drift.scores import Scored, scored
from mediafm_core.drift.statistics import distances
from mediafm_core.stock import read_state
from tests import catalogue
from tests.canary_homes import Watched, few_canaries, go_live
from tests.fakes import make_home

TITLES = (catalogue.SILENT, catalogue.ONE_SHOT, catalogue.LONG)
N, WIDTH, TASK = 80, 8, "tone"
QUIET, OFFSET = 4e-6, 5e-5
"""Distances: of two answers on a quiet day, and of the drift: cosine 0.99995."""
Vectors = NDArray[np.float32]


def remote_suite() -> Suite:
    """Three encoders behind a server: what differs by less than their noise is no drift of theirs."""
    settings = {SERVER: "https://models.example"}
    specs = {m: catalogue.SUITE.spec(m) for m in Modality}
    remote = {
        m.value: replace(s, dims=WIDTH, instrument=replace(s.instrument, settings=settings)) for m, s in specs.items()
    }
    return replace(catalogue.SUITE, **remote)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A home where an encoder and its heads are live on such a suite, measured once."""
    suite = remote_suite()
    home = make_home(tmp_path_factory.mktemp("live") / "home", TITLES, suites=(suite,), encoders=(), production=None)
    home.declare("labels", TASK, asdict(catalogue.labels(TASK, *TITLES)))
    home.declare("encoder", "v1", asdict(catalogue.encoder("v1", TITLES, suite)))
    go_live(home, "v1")
    found = Watched(home, suite)
    found.declare(few_canaries(n=N))
    quiet(found, day=0)
    found.run()
    yield found
    home.ledger.close()


def quiet(watched: Watched, day: int) -> None:
    """Let the encoders answer as on a quiet day."""
    watched.disturbed = {m: lambda vectors, seed=(day, i): noisy(vectors, seed) for i, m in enumerate(Modality)}


def noisy(vectors: Vectors, seed: tuple[int, int]) -> Vectors:
    way = np.random.default_rng(seed).normal(size=vectors.shape)
    return (vectors + np.sqrt(QUIET / WIDTH) * np.linalg.norm(vectors, axis=1, keepdims=True) * way).astype(np.float32)


def moved(vectors: Vectors, way: Vectors, distance: float) -> Vectors:
    """Each turned by just this distance towards what of `way` is at right angles to it, its length kept."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / length
    across = way - (unit @ way)[:, None] * unit
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return (length * ((1 - distance) * unit + np.sqrt(1 - (1 - distance) ** 2) * across)).astype(np.float32)


def said_by_heads(watched: Watched, vectors: dict[Modality, Vectors]) -> Scored:
    release = read_state(watched.home).release
    assert release is not None
    return scored(watched.home, release, watched.suite, vectors)


def along_weights(watched: Watched, modality: Modality) -> Vectors:
    """(WIDTH,): which way one label's mean score rises fastest, through fusion, MediaFM and the head, by trying."""
    watched.disturbed, canaries = {}, few_canaries(n=N)
    plain = {
        m: watched.encoder_of(watched.suite.spec(m)).encode([c.value for c in canaries if c.modality is m])
        for m in Modality
    }
    before, rises = said_by_heads(watched, plain).scores[TASK][:, 0].mean(), []
    for step in 0.05 * np.eye(WIDTH, dtype=np.float32):
        tried = {**plain, modality: plain[modality] + step}
        rises.append(said_by_heads(watched, tried).scores[TASK][:, 0].mean() - before)
    return np.array(rises, np.float32)


@pytest.mark.parametrize("modality", Modality)
def test_an_offset_of_one_modality_along_a_heads_weights_is_seen_by_its_scores(
    live: Watched, modality: Modality
) -> None:
    way = along_weights(live, modality)
    quiet(live, day=1)
    assert live.measured().verdict == "steady"
    answers = live.disturbed[modality]
    live.disturbed |= {modality: lambda vectors: answers(moved(vectors, way, OFFSET))}
    found = live.measured()
    assert f"scores of {TASK}" in {each.what for each in found.found}


def test_the_offset_is_as_small_as_it_is_said_to_be() -> None:
    vectors = np.random.default_rng(0).normal(1, 1, (N, WIDTH)).astype(np.float32)
    np.testing.assert_allclose(distances(vectors, moved(vectors, vectors[0] ** 2, OFFSET)), OFFSET, rtol=0.01)
