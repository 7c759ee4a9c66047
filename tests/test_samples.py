"""The committed samples: what stands beside them is true of them."""

import colorsys
import importlib.util
import json
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
FOLDERS = sorted(path.name for path in SAMPLES.iterdir() if (path / "title.json").is_file())
DELIVERIES = [name for name in FOLDERS if (SAMPLES / name / "_COMPLETE").is_file()]
LENGTH_S = {"big-buck-bunny": 596.46, "bbb-trailer": 55.1, "bikes": 10.0, "bbb-clip": 5.28, "carphone": 4.0}
_CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})")


def script(name: str) -> ModuleType:
    """A script of samples/, loaded without running it."""
    spec = importlib.util.spec_from_file_location(name, SAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_cut = script("make_cut")
make_truth = script("make_trailer_truth")


def cues(name: str) -> list[tuple[float, float]]:
    text = (SAMPLES / name / "captions.ad.vtt").read_text()
    clocks = [[float(part) for part in found] for found in _CLOCK.findall(text)]
    return [(60 * m + s + 3600 * h, 60 * n + t + 3600 * k) for h, m, s, k, n, t in clocks]


def length_s(name: str) -> float:
    """A committed clip's length as the table of pieces has it; a fetched one's as measured once."""
    clip = make_cut.CLIPS.get(name)
    return LENGTH_S[name] if clip is None else sum(p.end - p.start for p in clip.pieces) / make_cut.FPS


@pytest.mark.parametrize("name", FOLDERS)
def test_a_description_goes_forward_and_stays_inside_its_film(name: str) -> None:
    spans = cues(name)
    assert spans
    assert all(start < end for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert spans[-1][1] <= length_s(name)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_film_says_what_it_is_and_whose(name: str) -> None:
    title = json.loads((SAMPLES / name / "title.json").read_text())
    assert title.keys() <= {"name", "synopsis", "tags", "year", "attribution", "licence", "source"}
    assert all(title[field] for field in ("name", "synopsis", "tags", "attribution", "licence", "source"))


def test_media_are_committed_under_a_stated_licence_alone() -> None:
    committed = {path.parent.name for path in SAMPLES.glob("*/media.*")}
    assert committed == set(DELIVERIES) == set(make_cut.CLIPS)
    for name in committed:
        title = json.loads((SAMPLES / name / "title.json").read_text())
        assert title["licence"] == "CC-BY-3.0"
        assert "Blender Foundation" in title["attribution"]


def test_the_media_are_as_small_as_promised_and_as_the_readme_says() -> None:
    readme = (SAMPLES / "README.md").read_text()
    for name in DELIVERIES:
        n_bytes = (SAMPLES / name / "media.webm").stat().st_size
        assert n_bytes <= (3_000_000 if name == "bbb-cut" else 700_000)
        assert f"{n_bytes:,} bytes" in readme


@pytest.mark.parametrize("name", DELIVERIES)
def test_a_clip_lasts_as_long_as_its_pieces_in_picture_and_sound(name: str) -> None:
    with av.open(str(SAMPLES / name / "media.webm")) as container:
        ends = {"video": 0.0, "audio": 0.0}
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                ends[packet.stream.type] = max(ends[packet.stream.type], end)
    assert ends["video"] == pytest.approx(length_s(name), abs=0.05)
    assert ends["audio"] == pytest.approx(length_s(name), abs=0.05)


def test_the_committed_truth_is_that_of_the_table_of_pieces() -> None:
    assert json.loads((SAMPLES / "bbb-cut.truth.json").read_text()) == make_cut.truth(make_cut.CUT)


def test_no_two_samples_share_a_frame_of_the_film() -> None:
    pieces = sorted(piece for clip in make_cut.CLIPS.values() for piece in clip.pieces)
    assert all(a.end <= b.start for a, b in pairwise(pieces))
    assert [p.start for p in make_cut.CUT] != sorted(p.start for p in make_cut.CUT)


def test_the_picture_of_the_cut_breaks_at_each_join() -> None:
    with av.open(str(SAMPLES / "bbb-cut" / "media.webm")) as container:
        frames = [f.reformat(48, 27, "rgb24").to_ndarray().astype(int) for f in container.decode(video=0)]
    joins = [round(row["cut"][0] * make_cut.FPS) for row in make_cut.truth(make_cut.CUT)][1:]
    changes = [float(np.abs(b - a).mean()) for a, b in pairwise(frames)]
    assert len(frames) == 1414
    assert all(changes[join - 1] > 25 for join in joins)
    assert all(changes[join - 1] == max(changes[join - 13 : join + 12]) for join in joins)


def test_hue_saturation_and_value_are_those_of_the_standard_library() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    picture[0, 0] = picture[0, 1] = 7  # grey, with no hue
    expected = [[colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in row] for row in picture]
    assert np.allclose(make_truth.hsv(picture), np.array(expected) * 255, atol=1e-2)


def planted(rate: float) -> tuple[np.ndarray, np.ndarray]:
    """A film of noise, and 40 frames taken from its frame 30 on at a rate, dimmed, with bright lettering in them."""
    rng = np.random.default_rng(1)
    film = rng.uniform(0, 200, (120, 400)).astype(np.float32)
    taken = film[30 + np.round(rate * np.arange(40)).astype(int)] * 0.5 + 10
    taken[:, 0] = 255
    return taken, film


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_planted_source_is_found_through_dimming_and_lettering(rate: float) -> None:
    trailer, film = planted(rate)
    lines = make_truth.sources(make_truth.correlations(trailer, film), (0, 40))
    assert [(line.offset, line.rate, len(line.frames)) for line in lines] == [(30, rate, 40)]


def test_a_shot_that_turns_into_another_has_two_sources() -> None:
    trailer, film = planted(1.0)
    trailer[20:] = film[80:100]
    lines = make_truth.sources(make_truth.correlations(trailer, film), (0, 40))
    assert [(line.offset, len(line.frames)) for line in lines] == [(30, 20), (60, 20)]


def test_frames_that_have_all_but_faded_and_foreign_frames_have_no_source() -> None:
    _, film = planted(1.0)
    faded = film[30:70] * 0.05
    foreign = np.random.default_rng(2).uniform(0, 200, (40, 400)).astype(np.float32)
    for trailer in (faded, foreign):
        assert make_truth.sources(make_truth.correlations(trailer, film), (0, 40)) == []
