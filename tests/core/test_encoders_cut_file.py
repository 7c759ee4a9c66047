"""A file whose head was cut off: what remains of it is heard as it was, whoever listens."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm_core.encoders import speech_tower
from mediafm_core.encoders.protocol import UnimodalEncoder
from mediafm_core.encoders.speech_tower import SpeechTower
from mediafm_core.encoders.suites import embedded_suite, load
from mediafm_core.identity import Span
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import audio_of
from mediafm_core.weights.folders import read_folder
from tests import model_folders

SAMPLE = Path(__file__).parents[2] / "samples" / "bbb-climb" / "media.webm"
FPS, RATE_HZ = 24, 48_000
PACKET, PRE_SKIP = 960, 312  # samples of Opus
EDGES = (12.0, 13.1, 14.75, 16.0, 17.3, 19.9)
"""Of shots, in seconds of the whole film."""
ON_GRID_S, OFF_GRID_S = 11.375, 11.3
"""Heads: behind the first one sound is brought to 16 kHz on the same grid as in the whole film."""
SAME, OTHER = 0.9, 0.75
"""Off the grid, of vectors less their mean: the least cosine of a shot in both files, the most of two shots."""


def written_anew(path: Path, into: Path, head_s: float) -> float:
    """Write a film as MP4, whose times are exact, from the first picture at or after `head_s` on.

    Its sound is copied packet by packet; pictures are encoded anew, for few can stand first. Returns the time of the
    first one in `path`.
    """
    with av.open(str(path)) as film:
        heard = [packet for packet in film.demux(film.streams.audio[0]) if packet.size]
        film.seek(0)
        seen = list(film.decode(film.streams.video[0]))
        n_before = sum(1 for frame in seen if frame.time is not None and frame.time < head_s)
        with av.open(str(into), "w") as new:
            pictures = new.add_stream("libx264", rate=FPS, width=seen[0].width, height=seen[0].height)
            sounds = new.add_stream_from_template(film.streams.audio[0])
            for n, frame in enumerate(seen[n_before:]):
                frame.pts, frame.time_base = n, Fraction(1, FPS)
                new.mux(pictures.encode(frame))
            new.mux(pictures.encode(None))
            for n, packet in enumerate(heard):
                packet.pts = packet.dts = n * PACKET - PRE_SKIP - n_before * RATE_HZ // FPS
                packet.time_base, packet.stream = Fraction(1, RATE_HZ), sounds
                if packet.pts >= -PACKET:
                    new.mux(packet)
    return n_before / FPS


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[float, list[NDArray[np.int16]]]:
    """By head: the sound of each shot, decoded from a file without it."""
    work = tmp_path_factory.mktemp("cut")
    found = {}
    for head_s in (0.0, ON_GRID_S, OFF_GRID_S):
        film = work / f"{head_s}.mp4"
        start_s = written_anew(SAMPLE, film, head_s)
        decoded = decode(film, work / f"set-{head_s}")
        found[head_s] = [audio_of(decoded, Span(a - start_s, b - start_s)) for a, b in pairwise(EDGES)]
    return found


@pytest.fixture(scope="module", params=["whisper", "wav2vec2"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> UnimodalEncoder[Any]:
    if request.param == "whisper":
        return load(embedded_suite().audio)
    root = tmp_path_factory.mktemp("model")
    folder = read_folder(model_folders.speech(root / "wav2vec2"), root / "stamps")
    return SpeechTower(speech_tower.spec(folder), folder)


def test_a_shot_is_heard_to_the_bit_as_before_where_the_head_of_its_file_was_cut_off(
    heard: dict[float, list[NDArray[np.int16]]], encoder: UnimodalEncoder[Any]
) -> None:
    whole, cut = (encoder.encode(heard[head_s]) for head_s in (0.0, ON_GRID_S))
    np.testing.assert_array_equal(cut, whole)


def test_a_cut_between_two_samples_moves_a_shot_less_than_another_shot_is_away(
    heard: dict[float, list[NDArray[np.int16]]], encoder: UnimodalEncoder[Any]
) -> None:
    """A third of a sample: it is another recording of the same sound."""
    whole, cut = (encoder.encode(heard[head_s]) for head_s in (0.0, OFF_GRID_S))
    assert (whole != cut).any()
    a, b = (each - whole.mean(axis=0) for each in (whole, cut))
    cosines = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    same = np.eye(len(cosines), dtype=bool)
    assert cosines[same].min() > SAME
    assert cosines[~same].max() < OTHER
