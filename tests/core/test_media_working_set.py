"""What a working set gives to those who look and listen."""

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mediafm_core.errors import MediaError
from mediafm_core.identity import Span
from mediafm_core.media.declared import MediaInfo
from mediafm_core.media.growing import GrowingArray
from mediafm_core.media.limits import Limits
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import WorkingSet, audio_of, stills_of

INFO = MediaInfo(
    container="mp4",
    container_s=10.0,
    video_s=None,
    audio_s=None,
    fps=25.0,
    width=8,
    height=4,
    pixel_aspect=1.0,
    rotation=0,
    video_codec="h264",
    audio_codec=None,
    audio_channels=None,
    audio_rate_hz=None,
)


def numbered(duration_s: float = 10.0) -> WorkingSet:
    """Stills at each quarter of a second, each filled with its own number; samples that count up."""
    n_stills = round(duration_s * 4)
    numbers = np.arange(n_stills, dtype=np.uint8)
    return WorkingSet(
        folder=Path(),
        info=INFO,
        duration_s=duration_s,
        n_faults=0,
        frames=np.zeros((1, 27, 48, 3), np.uint8),
        frame_times=np.zeros(1),
        stills=np.broadcast_to(numbers[:, None, None, None], (n_stills, 4, 8, 3)),
        still_times=np.arange(n_stills) / 4,
        audio=np.arange(round(duration_s * 16_000)).astype(np.int16),
    )


spans = st.tuples(st.floats(0, 9.9), st.floats(0.01, 5)).map(lambda pair: Span(pair[0], sum(pair)))


@given(spans, st.integers(1, 10))
def test_stills_lie_in_the_span_rise_and_are_as_many_as_asked_for_or_there_are(span: Span, at_most: int) -> None:
    decoded = numbered()
    times = decoded.still_times[stills_of(decoded, span, at_most)[:, 0, 0, 0]]
    within = (decoded.still_times >= span.start_s) & (decoded.still_times < span.end_s)
    if within.any():
        assert len(times) == min(at_most, within.sum())
        assert ((times >= span.start_s) & (times < span.end_s)).all()
        assert (np.diff(times) > 0).all()
    else:
        assert abs(times[0] - span.middle_s) == np.abs(decoded.still_times - span.middle_s).min()


def test_stills_are_evenly_spaced() -> None:
    chosen = stills_of(numbered(), Span(0.0, 8.0), at_most=4)[:, 0, 0, 0]
    assert chosen.tolist() == [4, 12, 20, 28]


def test_one_still_is_from_the_middle() -> None:
    assert stills_of(numbered(), Span(2.0, 4.0), at_most=1)[0, 0, 0, 0] == 12


@given(st.lists(st.floats(0.05, 9.95), max_size=5, unique=True))
def test_sound_of_spans_that_tile_the_title_is_the_sound_of_the_title(cuts: list[float]) -> None:
    decoded = numbered()
    edges = [0.0, *sorted(cuts), 10.0]
    parts = [audio_of(decoded, Span(a, b)) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), decoded.audio)


def test_sound_behind_its_end_is_empty() -> None:
    assert audio_of(numbered(), Span(11.0, 12.0)).shape == (0,)


@given(st.lists(arrays.arrays(np.int16, st.tuples(st.integers(0, 4), st.just(3))), max_size=5))
def test_an_array_that_grew_reads_as_if_it_was_saved_whole(parts: list[np.ndarray]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        with GrowingArray(path, np.int16, (3,)) as rows:
            for part in parts:
                rows.append(part)
        np.testing.assert_array_equal(
            np.load(path, mmap_mode="r"), np.concatenate([np.empty((0, 3), np.int16), *parts])
        )


def test_the_header_has_room_for_any_length(tmp_path: Path) -> None:
    with GrowingArray(tmp_path / "rows.npy", np.uint8) as rows:
        empty = len(rows._header())
        rows._n_rows = 10**12
        assert len(rows._header()) == empty
        rows._n_rows = 0


@pytest.fixture(scope="module")
def whole(film, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return decode(film.path, tmp_path_factory.mktemp("work") / "set").folder


@pytest.mark.parametrize("name", ["info.json", "stills.npy", "audio.npy"])
def test_a_working_set_with_a_file_missing_or_cut_short_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "set"))
    WorkingSet.open(folder)
    with (folder / name).open("r+b") as file:
        file.truncate((folder / name).stat().st_size // 2)
    with pytest.raises(MediaError, match="decode the title again"):
        WorkingSet.open(folder)
    (folder / name).unlink()
    with pytest.raises(MediaError, match="decode the title again"):
        WorkingSet.open(folder)


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="max_pixels"):
        Limits(max_pixels=0)


@given(st.floats(0, 1e6))
def test_a_longer_file_may_cost_more_and_one_without_a_length_the_most(declared_s: float) -> None:
    limits = Limits()
    assert limits.floor_s <= limits.wall_s(declared_s) <= limits.wall_s(declared_s + 1) <= limits.wall_s(None)
