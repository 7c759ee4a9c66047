"""Features: a clip's row is what a plain loop over its shots gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import DimensionError, LabelsError, SpanError
from mediafm_core.probes.features import Origin, TitleShots
from mediafm_core.probes.labels import label_set
from mediafm_core.probes.parts import N_SLOTS, WIDTHS
from mediafm_core.probes.reads import READS, read_clips, read_label_set
from mediafm_core.probes.tasks import TASKS

ORIGIN = Origin("v1", "tiny")


def title(name: str = "alpha", n_shots: int = 40, origin: Origin = ORIGIN, seed: int = 0) -> TitleShots:
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.uniform(0.5, 6, n_shots))
    starts = np.concatenate([[0.0], ends[:-1]])
    vectors = rng.normal(size=(n_shots, 5)).astype(np.float32) + 3
    return TitleShots(
        title=name, origin=origin, start_s=starts, end_s=ends, vectors=vectors, title_vector=vectors[0] * 2
    )


def by_loop(shots: TitleShots, start: float, end: float) -> dict[str, np.ndarray]:
    shared = np.array([max(0, min(end, e) - max(start, s)) for s, e in zip(shots.start_s, shots.end_s, strict=True)])
    inside = np.flatnonzero(shared > 0)
    clip, mean = (shots.vectors * shared[:, None]).sum(axis=0) / shared.sum(), shots.vectors.mean(axis=0)
    found, cosines = {"clip": clip, "title mean": mean, "title vector": shots.vectors[0] * 2}, []
    for k in WIDTHS:
        before, after = shots.vectors[max(0, inside[0] - k) : inside[0]], shots.vectors[inside[-1] + 1 :][:k]
        near = np.concatenate([before, after])
        sides = {f"{k} before": before, f"{k} after": after, f"within {k}": near}
        found |= {name: side.mean(axis=0) if len(side) else clip for name, side in sides.items()}
        own, left, right = (v - mean for v in (clip, found[f"{k} before"], found[f"{k} after"]))
        cosines += [cosine(own, left), cosine(own, right), cosine(left, right)]
    slots = [inside[int((i + 0.5) * len(inside) / N_SLOTS)] for i in range(N_SLOTS)]
    return found | {"cosines": np.array(cosines), "slots": shots.vectors[slots].ravel()}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))


@given(st.integers(1, 60), st.floats(0, 0.98), st.floats(0.001, 1))
def test_every_read_is_what_a_loop_over_the_shots_gives(n_shots: int, low: float, share: float) -> None:
    shots = title(n_shots=n_shots)
    start = low * shots.end_s[-1]
    end = start + share * (shots.end_s[-1] - start)
    expected = by_loop(shots, start, end)
    for read in READS.values():
        if "position" not in read.parts:
            found = read_clips(read, shots, np.array([start]), np.array([end]))
            np.testing.assert_allclose(found.values[0], np.concatenate([expected[p] for p in read.parts]), atol=2e-4)
            assert found.values.dtype == np.float32


@pytest.mark.parametrize("read", READS.values(), ids=lambda read: read.name)
def test_a_clips_row_is_the_same_whatever_else_is_read_with_it(read) -> None:
    starts, ends = np.array([0.0, 30.0, 31.0]), np.array([9.0, 40.0, 33.0])
    together = read_clips(read, title(), starts, ends).values
    alone = [read_clips(read, title(), starts[i : i + 1], ends[i : i + 1]).values[0] for i in range(3)]
    np.testing.assert_array_equal(together, alone)


def test_position_reads_no_vector_and_tells_the_ends_of_a_title_apart() -> None:
    shots = title()
    blank = TitleShots(
        title="alpha", origin=ORIGIN, start_s=shots.start_s, end_s=shots.end_s, vectors=np.zeros((40, 1), np.float32)
    )
    starts, ends = np.array([0.0, shots.end_s[-1] - 1]), np.array([1.0, shots.end_s[-1]])
    found = read_clips(READS["position"], shots, starts, ends).values
    np.testing.assert_array_equal(found, read_clips(READS["position"], blank, starts, ends).values)
    assert np.abs(found[0] - found[1]).max() > 0.9


@pytest.mark.parametrize(("start", "end"), [(1e6, 1e6 + 1), (5.0, 5.0), (6.0, 5.0)])
def test_a_clip_that_overlaps_no_shot_is_refused(start: float, end: float) -> None:
    with pytest.raises(SpanError, match="overlaps no shot"):
        read_clips(READS["clip"], title(), np.array([0.0, start]), np.array([1.0, end]))


def test_fused_vectors_have_no_title_vector() -> None:
    shots = title()
    bare = TitleShots(title="a", origin=ORIGIN, start_s=shots.start_s, end_s=shots.end_s, vectors=shots.vectors)
    with pytest.raises(DimensionError, match="no vector of the title"):
        read_clips(READS["clip + title vector"], bare, np.array([0.0]), np.array([1.0]))


def test_vectors_and_spans_must_be_of_one_number() -> None:
    with pytest.raises(DimensionError, match="3 starts"):
        TitleShots(title="a", origin=ORIGIN, start_s=np.zeros(3), end_s=np.ones(2), vectors=np.zeros((2, 4), "f"))


def test_a_label_set_is_read_in_its_order_from_one_origin_and_from_every_title() -> None:
    labels = label_set(TASKS["tone"], ["beta", "alpha"], [1, 2], [3, 4], labels=[["x"], []])
    titles = {"alpha": title(), "beta": title("beta", seed=1), "unlabelled": title("unlabelled", n_shots=1)}
    found = read_label_set(READS["clip"], titles, labels)
    expected = read_clips(READS["clip"], titles["beta"], np.array([1.0]), np.array([3.0])).values[0]
    np.testing.assert_array_equal(found.values[1], expected)
    with pytest.raises(LabelsError, match="'beta', which has no vectors"):
        read_label_set(READS["clip"], {"alpha": title()}, labels)
    with pytest.raises(DimensionError, match="vectors of"):
        read_label_set(READS["clip"], {**titles, "beta": title("beta", origin=Origin("v2", "tiny"))}, labels)
