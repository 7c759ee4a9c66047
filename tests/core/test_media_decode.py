"""The one decode of a title: whole, on one clock, or refused."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm_core.errors import MediaError
from mediafm_core.media.declared import probe
from mediafm_core.media.limits import Limits
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import WorkingSet

SOUND_S = 3.0
CONTAINERS = {
    "mp4": ("film.mp4", ("libx264", "aac"), {}),
    "fragmented mp4": ("film.mp4", ("libx264", "aac"), {"movflags": "frag_keyframe+empty_moov"}),
    "matroska": ("film.mkv", ("libx264", "pcm_s16le"), {}),
    "webm": ("film.webm", ("libvpx", "libopus"), {}),
    "webm without a declared length": ("film.webm", ("libvpx", "libopus"), {"live": "1"}),
    "mpeg-ts, which starts at 1.4 s": ("film.ts", ("libx264", "aac"), {}),
}


def clicks_s(audio: NDArray[np.int16]) -> list[float]:
    """When each burst of sound starts, in seconds."""
    loud = np.flatnonzero(np.abs(audio.astype(int)) > 5000) / 16_000
    return [float(at) for at, before in zip(loud, [-1.0, *loud[:-1]], strict=True) if at - before > 0.1]


@pytest.fixture(scope="session")
def decoded(film, tmp_path_factory: pytest.TempPathFactory) -> WorkingSet:
    return decode(film.path, tmp_path_factory.mktemp("work") / "set")


@pytest.fixture
def sound() -> NDArray[np.int16]:
    """(1, n) at 48 kHz: 3 s, a click at 1 s and at 2 s."""
    samples = np.zeros((1, round(SOUND_S * 48_000)), np.int16)
    for second in (1, 2):
        samples[0, second * 48_000 : second * 48_000 + 960] = (20_000 * np.sin(np.arange(960) / 8)).astype(np.int16)
    return samples


def test_every_frame_is_kept_with_its_time(decoded: WorkingSet, film) -> None:
    assert decoded.frames.shape == (film.n_frames, 27, 48, 3)
    assert decoded.frames.dtype == np.uint8
    np.testing.assert_allclose(decoded.frame_times, np.arange(film.n_frames) / 25)
    assert decoded.duration_s == pytest.approx(film.n_frames / 25)
    assert decoded.n_faults == 0


def test_stills_are_frames_at_a_quarter_of_a_second_and_keep_the_aspect(decoded: WorkingSet) -> None:
    assert decoded.stills.shape == (12, 224, 398, 3)
    assert set(decoded.still_times) <= set(decoded.frame_times)
    np.testing.assert_allclose(decoded.still_times, np.arange(12) / 4, atol=1 / 25)


def test_pictures_are_those_that_a_full_size_decode_shows(decoded: WorkingSet, film) -> None:
    with av.open(str(film.path)) as container:
        full = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    colours = np.array([picture.mean((0, 1)) for picture in full])  # (N, 3)
    np.testing.assert_allclose(decoded.frames.mean((1, 2)), colours, atol=3)
    of_stills = np.searchsorted(decoded.frame_times, decoded.still_times)
    np.testing.assert_allclose(decoded.stills.mean((1, 2)), colours[of_stills], atol=3)


@pytest.mark.parametrize("case", CONTAINERS)
def test_sound_and_picture_start_together_in_every_container(
    case: str, make_film: Callable, sound: NDArray[np.int16], tmp_path: Path
) -> None:
    name, codecs, options = CONTAINERS[case]
    film = make_film(tmp_path / name, sound=sound, codecs=codecs, options=options)
    decoded = decode(film.path, tmp_path / "set")
    assert decoded.frame_times[0] == 0.0
    assert len(decoded.frames) == film.n_frames
    assert clicks_s(decoded.audio) == pytest.approx([1.0, 2.0], abs=0.005)
    assert len(decoded.audio) <= round(decoded.duration_s * 16_000)


def test_sound_that_starts_late_is_padded_at_the_head(make_film: Callable, sound, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", sound=sound, sound_from_s=0.5, codecs=("libx264", "pcm_s16le"))
    decoded = decode(film.path, tmp_path / "set")
    assert clicks_s(decoded.audio) == pytest.approx([1.5, 2.5], abs=0.005)
    assert not decoded.audio[:7000].any()


def test_sound_may_end_before_the_picture(make_film: Callable, sound, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", sound=sound[:, :60_000])
    decoded = decode(film.path, tmp_path / "set")
    assert decoded.duration_s == pytest.approx(3.0)
    assert len(decoded.audio) / 16_000 == pytest.approx(1.25, abs=0.05)


def test_a_silent_film_has_no_samples(make_film: Callable, tmp_path: Path) -> None:
    decoded = decode(make_film(tmp_path / "film.mp4").path, tmp_path / "set")
    assert decoded.audio.shape == (0,)
    assert decoded.info.audio_codec is None


def test_a_turned_film_is_shown_upright(make_film: Callable, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4")
    plain = decode(film.path, tmp_path / "plain")
    turned_path = tmp_path / "turned.mp4"
    turned_path.write_bytes(_turned_quarter_clockwise(film.path.read_bytes()))
    turned = decode(turned_path, tmp_path / "turned")
    assert turned.info.rotation == 270
    assert turned.stills.shape[1:] == (398, 224, 3)
    np.testing.assert_array_equal(turned.stills, np.rot90(plain.stills, -1, axes=(1, 2)))


def _turned_quarter_clockwise(mp4: bytes) -> bytes:
    """The same file with a rotation in its track header, as phones write it."""
    matrix = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    at = mp4.index(b"tkhd") + 44
    assert mp4[at : at + 4] == struct.pack(">i", 0x10000)
    return mp4[:at] + matrix + mp4[at + 36 :]


@pytest.mark.parametrize(
    ("name", "codecs", "options"),
    [
        ("film.mp4", ("libx264", "aac"), {"movflags": "faststart"}),
        ("film.mkv", ("libx264", "aac"), {}),
        ("film.webm", ("libvpx", "libopus"), {}),
    ],
)
def test_a_file_that_is_cut_short_is_refused_and_leaves_nothing(
    name: str, codecs: tuple[str, str], options: dict[str, str], make_film: Callable, sound, tmp_path: Path
) -> None:
    film = make_film(tmp_path / name, sound=sound, codecs=codecs, options=options)
    whole = film.path.read_bytes()
    film.path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(MediaError, match=name):
        decode(film.path, tmp_path / "work" / "set")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_file_with_a_hole_is_refused(make_film: Callable, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", (25, 30, 20, 30, 20))
    data = bytearray(film.path.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = bytes(third)
    film.path.write_bytes(data)
    with pytest.raises(MediaError, match="damaged"):
        decode(film.path, tmp_path / "set")


def test_progress_rises_to_one(film, tmp_path: Path) -> None:
    seen: list[float] = []
    decode(film.path, tmp_path / "set", seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_working_set_that_stands_is_kept(film, decoded: WorkingSet) -> None:
    before = (decoded.folder / "frames.npy").stat().st_mtime_ns
    decode(film.path, decoded.folder)
    assert (decoded.folder / "frames.npy").stat().st_mtime_ns == before


def test_decoding_that_takes_too_long_is_stopped(film, tmp_path: Path) -> None:
    hurried = Limits(floor_s=1e-3, cpu_s_per_media_s=1, wall_s_per_media_s=1e-6)
    with pytest.raises(MediaError, match="wall seconds"):
        decode(film.path, tmp_path / "work" / "set", limits=hurried)
    assert list((tmp_path / "work").iterdir()) == []


def test_decoding_that_needs_too_much_memory_is_refused(film, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"film\.mp4"):
        decode(film.path, tmp_path / "set", limits=Limits(address_space_bytes=150 * 2**20))


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (Limits(max_pixels=1000), "pixels"),
        (Limits(max_duration_s=1.0), "3 seconds"),
        (Limits(max_aspect=1.5), "times as long"),
    ],
)
def test_a_file_above_a_limit_is_refused_before_it_is_decoded(limits: Limits, found: str, film) -> None:
    with pytest.raises(MediaError, match=found):
        probe(film.path, limits)


def test_probe_reads_what_the_header_declares(film) -> None:
    info = probe(film.path)
    assert (info.width, info.height, info.fps, info.rotation) == (96, 54, 25.0, 0)
    assert (info.video_codec, info.audio_codec, info.audio_channels) == ("h264", "aac", 1)
    assert info.duration_s == pytest.approx(3.0)


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{film}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {film}\n",
    "media.mp4": "#EXTM3U\n#EXTINF:3,\n{film}\n#EXT-X-ENDLIST\n",
    "notes.mkv": "This is no film.\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_nothing_but_a_media_file_is_opened(name: str, film, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format(film=film.path))
    with pytest.raises(MediaError, match=name):
        probe(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be opened"):
        decode(tmp_path / "absent.mp4", tmp_path / "set")


def test_sound_alone_is_no_title(sound, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(MediaError, match="no video stream"):
        probe(tmp_path / "song.mp4")
