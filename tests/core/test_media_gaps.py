"""A hole in the middle of a title is missed; a still that was meant is not taken for one."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import MediaError
from mediafm_core.media.gaps import missing_s
from mediafm_core.media.sandbox import decode
from tests.media_files import scene

SAMPLE = Path(__file__).parents[2] / "samples" / "bbb-butterfly" / "media.webm"
jitter = st.lists(st.floats(0.03, 0.05), min_size=40, max_size=200)


def write_timed(path: Path, milliseconds: list[int], codec: str) -> Path:
    """A silent film whose frames are shown at these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=96, height=54, pix_fmt="yuv420p")
        stream.codec_context.time_base = Fraction(1, 1000)
        for pixels, at in zip(scene(0, len(milliseconds)), milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def with_zeros(path: Path, into: Path) -> Path:
    """The file with the middle third of its bytes set to zero."""
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = bytes(third)
    into.write_bytes(data)
    return into


@given(jitter)
def test_a_steady_stream_misses_nothing(spacings: list[float]) -> None:
    assert missing_s(spacings, sum(spacings)) == 0.0
    assert missing_s(spacings, 0.0) == 0.0


@given(jitter, st.floats(1.5, 60), st.integers(0, 39))
def test_what_was_lost_from_a_steady_stream_is_missing(spacings: list[float], gap_s: float, at: int) -> None:
    holed = [*spacings[:at], gap_s, *spacings[at:]]
    declared_s = sum(spacings) + 0.04
    assert missing_s(holed, declared_s) == pytest.approx(gap_s - 0.04)


@given(jitter, st.floats(1.5, 60))
def test_a_still_that_its_frame_declares_is_not_missing(spacings: list[float], still_s: float) -> None:
    held = [*spacings, still_s]
    assert missing_s(held, sum(held)) == pytest.approx(0.0, abs=1e-9)


def test_in_a_stream_of_variable_rate_a_gap_is_a_still() -> None:
    uneven = [0.04, 0.2, 0.5, 0.04, 0.9, 0.1, 0.04, 0.3] * 5
    assert missing_s([*uneven, 30.0], 2.0) == 0.0


def test_slides_are_no_gaps() -> None:
    assert missing_s([5.0] * 10, 0.4) == 0.0
    assert missing_s([], 0.0) == 0.0


def test_a_webm_with_a_hole_is_refused(tmp_path: Path) -> None:
    """The demuxer goes on at the next cluster and counts no fault: 273 of 437 frames, and the declared length."""
    with pytest.raises(MediaError, match=r"gaps of 6\.\d+ s in all, in 18\.2"):
        decode(with_zeros(SAMPLE, tmp_path / "media.webm"), tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("live", ["0", "1"])
def test_a_matroska_with_a_hole_is_refused(make_film: Callable, live: str, tmp_path: Path) -> None:
    options = {"live": live, "cluster_time_limit": "200"}
    film = make_film(tmp_path / "film.mkv", (50, 50, 50, 50), codecs=("libvpx", "libopus"), options=options)
    with pytest.raises(MediaError, match=r"gaps of|damaged"):
        decode(with_zeros(film.path, tmp_path / "holed.mkv"), tmp_path / "set")


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "libx264"), ("film.mp4", "mpeg4")])
def test_a_still_of_many_seconds_is_taken(name: str, codec: str, tmp_path: Path) -> None:
    """MP4 says how long each frame is shown, also where frames are stored out of order."""
    times = [*range(0, 2000, 40), *range(12_000, 14_000, 40)]
    decoded = decode(write_timed(tmp_path / name, times, codec), tmp_path / "set")
    np.testing.assert_allclose(decoded.frame_times, np.array(times) / 1000)


def test_a_recording_of_a_screen_with_long_stills_is_taken(tmp_path: Path) -> None:
    """WebM does not say how long a frame is shown; the rhythm of the others tells that its rate varies."""
    times = np.cumsum([0, *([40, 90, 300, 40, 700, 160, 40, 500] * 6), 9000, 40, 300, 40]).tolist()
    assert len(decode(write_timed(tmp_path / "film.webm", times, "libvpx"), tmp_path / "set").frames) == len(times)
