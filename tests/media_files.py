"""Tiny media that the tests make themselves: a few still scenes with hard cuts, and a sound with one click a second."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

FPS = 25
SIZE = (96, 54)  # width, height
RATE_HZ = 48_000


class Film(NamedTuple):
    """What a test film is made of."""

    path: Path
    cut_frames: tuple[int, ...]
    """The first frame of each scene but the first."""
    n_frames: int


def scene(seed: int, n_frames: int) -> NDArray[np.uint8]:
    """(n, 54, 96, 3): coarse coloured tiles, with a little noise that moves."""
    random = np.random.default_rng(seed)
    tiles = random.integers(0, 256, (6, 8, 3)).repeat(9, 0).repeat(12, 1)
    noise = random.integers(-6, 7, (n_frames, *tiles.shape))
    return np.clip(tiles + noise, 0, 255).astype(np.uint8)


def clicks(duration_s: float) -> NDArray[np.int16]:
    """(1, n) at 48 kHz: silence with a burst of 20 ms at each full second but 0."""
    sound = np.zeros(round(duration_s * RATE_HZ), np.int16)
    burst = (20_000 * np.sin(np.arange(round(0.02 * RATE_HZ)) * 2 * np.pi * 1000 / RATE_HZ)).astype(np.int16)
    for second in range(1, int(duration_s)):
        sound[second * RATE_HZ : second * RATE_HZ + len(burst)] = burst
    return sound[None]


def write_film(
    path: Path,
    scene_frames: tuple[int, ...] = (25, 30, 20),
    *,
    sound: NDArray[np.int16] | None = None,
    sound_from_s: float = 0.0,
    codecs: tuple[str, str] = ("libx264", "aac"),
    options: dict[str, str] | None = None,
) -> Film:
    """Write a film: its first frame is shown at 0 s, its sound starts at `sound_from_s` (not below 0)."""
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codecs[0], rate=FPS, width=SIZE[0], height=SIZE[1], pix_fmt="yuv420p")
        audio = container.add_stream(codecs[1], rate=RATE_HZ, layout="mono") if sound is not None else None
        frames = np.concatenate([scene(seed, n) for seed, n in enumerate(scene_frames)])
        for packet in _interleaved(_pictures(video, frames), _sounds(audio, sound, sound_from_s)):
            container.mux(packet)
    cuts = tuple(int(n) for n in np.cumsum(scene_frames)[:-1])
    return Film(path, cuts, sum(scene_frames))


def _interleaved(*packets: Iterator[av.Packet]) -> list[av.Packet]:
    return sorted((p for each in packets for p in each), key=lambda p: p.dts * p.time_base)


def _pictures(stream, frames: NDArray[np.uint8]) -> Iterator[av.Packet]:
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = number
        yield from (packet for packet in stream.encode(frame) if packet.size)
    yield from (packet for packet in stream.encode(None) if packet.size)


def _sounds(stream, sound: NDArray[np.int16] | None, from_s: float) -> Iterator[av.Packet]:
    if stream is None or sound is None:
        return
    for start in range(0, sound.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(sound[:, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = start + round(from_s * RATE_HZ)
        yield from (packet for packet in stream.encode(frame) if packet.size)
    yield from (packet for packet in stream.encode(None) if packet.size)
