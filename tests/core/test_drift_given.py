"""The user's own canaries: what is taken from a file, and what is refused."""

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediafm_core.catalogue.suite import Modality
from mediafm_core.drift.given import N_MOMENTS, given_canaries
from mediafm_core.errors import MediaError
from mediafm_core.media.limits import Limits
from mediafm_core.media.sandbox import decode_single
from tests.media_files import clicks, write_film


def write_wav(path: Path, seconds: float, rate_hz: int = 48_000, channels: int = 2) -> Path:
    """A tone of 440 Hz."""
    tone = 9000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(tone.astype(np.int16), channels).tobytes())
    return path


def write_picture(path: Path, size: tuple[int, int] = (600, 300)) -> Path:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_is_one_still_with_a_short_side_of_224(tmp_path: Path, suffix: str) -> None:
    (canary,) = given_canaries(write_picture(tmp_path / f"a.{suffix}"))
    assert (canary.name, canary.modality) == (f"a.{suffix}", Modality.VIDEO)
    assert canary.shape == (1, 224, 448, 3)
    assert isinstance(canary.value, np.ndarray)
    assert canary.value[0, 100, 50, 0] > 200 > 60 > canary.value[0, 100, 50, 2]


def test_a_sound_is_mono_at_16_khz(tmp_path: Path) -> None:
    (canary,) = given_canaries(write_wav(tmp_path / "a.wav", 0.5))
    assert canary.modality is Modality.AUDIO
    assert isinstance(canary.value, np.ndarray)
    assert canary.value.dtype == np.int16
    assert abs(len(canary.value) - 8000) <= 32
    spectrum = np.abs(np.fft.rfft(canary.value.astype(float)))
    assert abs(spectrum.argmax() / (len(canary.value) / 16_000) - 440) < 5


def test_each_line_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\n  Zwei, drei. \n", encoding="utf-8")
    assert [(c.name, c.value) for c in given_canaries(tmp_path / "a.txt")] == [
        ("a.txt 1", "One."),
        ("a.txt 2", "Zwei, drei."),
    ]


def test_a_film_gives_moments_with_pictures_and_sound(tmp_path: Path) -> None:
    film = tmp_path / "a.mp4"
    write_film(film, (25, 25, 25), sound=clicks(3.0))
    found = given_canaries(film)
    assert [c.modality for c in found] == [Modality.VIDEO] * N_MOMENTS + [Modality.AUDIO] * N_MOMENTS


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.exe", b"MZ", "ends in"),
        ("a.png", b"not a picture", "cannot be decoded"),
        ("a.wav", b"RIFF....", "cannot be decoded"),
        ("a.txt", b"\xff\xfe\x00", "cannot be read"),
        ("b.txt", b"\n \n", "nothing in it"),
        ("c.txt", b"x\n" * 1001, "1001 lines"),
        ("gone.png", None, "cannot be decoded"),
    ],
)
def test_what_is_no_canary_is_refused(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=said):
        given_canaries(tmp_path / name)


def test_a_picture_in_another_files_clothes_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    with pytest.raises(MediaError, match="cannot be decoded"):
        decode_single(tmp_path / "a.png")


def test_a_picture_and_a_sound_over_their_limits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="600 x 300 pixels"):
        decode_single(write_picture(tmp_path / "a.png"), Limits(max_pixels=1000))
    with pytest.raises(MediaError, match="more than 30 s"):
        decode_single(write_wav(tmp_path / "a.wav", 30.5, 16_000, 1))


def test_a_cut_picture_is_refused(tmp_path: Path) -> None:
    whole = write_picture(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="cannot be decoded"):
        decode_single(tmp_path / "a.jpg")
