"""Cues to shots, and speech to cues."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.captions import Cue
from mediafm_core.errors import DimensionError, SpanError
from mediafm_core.identity import Span
from mediafm_core.timed_text.alignment import text_of_shots
from mediafm_core.timed_text.recognition import RECOGNISER, as_cues, pieces, recognise

SHOTS = [Span(0, 4), Span(4, 4.4), Span(4.4, 10), Span(10, 12)]

times = st.integers(0, 120).map(lambda tenths: tenths / 10)
some_cues = st.lists(st.tuples(times, st.integers(1, 60)), max_size=10).map(
    lambda pairs: [cue(start, start + tenths / 10, f"cue{n}") for n, (start, tenths) in enumerate(pairs)]
)
some_shots = st.sets(st.integers(1, 119), max_size=15).map(
    lambda cuts: [Span(a / 10, b / 10) for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 120], strict=True)]
)


def cue(start_s: float, end_s: float, text: str) -> Cue:
    return Cue(Span(start_s, end_s), text, "captions")


@given(some_cues, some_shots)
def test_shots_take_what_the_rule_gives_them_by_brute_force(cues: list[Cue], shots: list[Span]) -> None:
    lines = text_of_shots(cues, shots)
    for each in cues:
        overlaps = [each.span.overlap_s(shot) for shot in shots]
        shorter = [min(each.span.duration_s, shot.duration_s) for shot in shots]
        taken = {i for i, s in enumerate(overlaps) if s > 0 and s >= 0.5 * shorter[i]}
        if not taken and max(overlaps) > 0:
            taken = {int(np.argmax(overlaps))}
        assert {i for i, line in enumerate(lines) if each.text in line.split()} == taken


@given(some_cues, some_shots)
def test_the_order_of_cues_in_the_file_changes_nothing(cues: list[Cue], shots: list[Span]) -> None:
    distinct = list({each.span: each for each in cues}.values())
    assert text_of_shots(distinct, shots) == text_of_shots(distinct[::-1], shots)


@pytest.mark.parametrize(
    ("span", "heard_in", "why"),
    [
        (Span(1, 3), [0], "it lies in one shot"),
        (Span(3, 5), [0, 1], "half of it lies in the first shot, and it fills the second"),
        (Span(3.8, 8), [1, 2], "it begins only just before the cut"),
        (Span(6, 10.3), [2], "it lingers only just behind the cut"),
        (Span(0, 12), [0, 1, 2, 3], "it fills every shot"),
        (Span(12, 13), [], "the title is over"),
    ],
)
def test_a_cue_that_crosses_a_cut_stands_where_it_is_mostly_heard(span: Span, heard_in: list[int], why: str) -> None:
    lines = text_of_shots([Cue(span, "words", "captions")], SHOTS)
    assert [i for i, line in enumerate(lines) if line] == heard_in, why


def test_words_of_a_shot_are_one_line_in_the_order_of_time() -> None:
    cues = [cue(2, 3, "and\n then "), cue(0, 1, "  first"), cue(3, 3.5, "last")]
    assert text_of_shots(cues, SHOTS) == ["first and then last", "", "", ""]


def test_a_shot_where_nothing_is_said_has_no_words() -> None:
    assert text_of_shots([], SHOTS) == ["", "", "", ""]


def test_shots_out_of_order_are_refused() -> None:
    with pytest.raises(SpanError, match="before the shot before it ends"):
        text_of_shots([], SHOTS[::-1])


@pytest.mark.parametrize("n_seconds", [0, 599, 600, 1700])
def test_pieces_tile_the_sound_and_are_cut_where_it_is_quiet(n_seconds: int) -> None:
    audio = np.full(n_seconds * 16_000, 1000, np.int16)
    audio[590 * 16_000 : 591 * 16_000] = 0
    ranges = list(pieces(audio))
    assert [start for start, _ in ranges] == [0, *(end for _, end in ranges)][:-1]
    assert (ranges[-1][1] if ranges else 0) == len(audio)
    assert all(0 < end - start <= 600 * 16_000 for start, end in ranges)
    if len(ranges) > 1:
        assert 590 <= ranges[0][1] / 16_000 <= 591


def test_what_is_heard_in_a_piece_is_placed_in_the_title() -> None:
    heard = [(0.5, 2.0, " Good  morning."), (3.0, 9.0, " Tea?"), (4.0, 4.5, " "), (6.0, 7.0, " too late")]
    assert list(as_cues(heard, start_s=600.0, length_s=5.0)) == [
        Cue(Span(600.5, 602.0), "Good morning.", "speech_recognition"),
        Cue(Span(603.0, 605.0), "Tea?", "speech_recognition"),
    ]


def test_nothing_is_recognised_where_nobody_speaks() -> None:
    random = np.random.default_rng(0)
    noise = (random.normal(size=5 * 16_000) * 3000).astype(np.int16)
    tone = (8000 * np.sin(np.arange(5 * 16_000) / 10)).astype(np.int16)
    hiss = (random.normal(size=10 * 16_000) * 100).astype(np.int16)  # full stops, where no voice is asked for
    for audio in (np.zeros(0, np.int16), np.zeros(100, np.int16), np.zeros(5 * 16_000, np.int16), noise, tone, hiss):
        assert recognise(audio) == []


@pytest.mark.parametrize("audio", [np.zeros(10, np.float32), np.zeros((2, 10), np.int16)])
def test_only_mono_samples_of_16_bits_are_recognised(audio: np.ndarray) -> None:
    with pytest.raises(DimensionError):
        recognise(audio)


def test_the_recogniser_says_what_its_words_depend_on() -> None:
    assert len(RECOGNISER.weights_sha256) == 64
    assert RECOGNISER.settings["beam"] == 1
