"""Caption files as they come."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.captions import Cue, read_cues
from mediafm_core.errors import CaptionError
from mediafm_core.identity import Span

VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { color: lime }

NOTE This is a note.
It has two lines.

intro
00:02.000 --> 00:04.500 align:start position:10%
<v Roger><i>Good</i> morning,</v>
it is&nbsp;1984

NOTE Another note.

2
00:00:05.000 --> 00:00:06.000
<c.yellow>Tea &amp; &lt;milk&gt;</c> <00:00:05.500>now

00:00:01.000 --> 00:00:01.500
first in time, last in the file
"""

SRT = """1
00:00:01,000 --> 00:00:02,000
{\\an8}<font color="#fff">In</font>
1984

2
00:00:03,000 --> 00:00:04,000

with a blank line before it
and after it

and a < b > c

3
00:00:05,5 --> 00:00:06,25
<b>Tea &amp; milk</b>
"""


def read(text: str | bytes, name: str, folder: Path) -> list[Cue]:
    path = folder / "delivered"  # the name on disk says nothing
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_cues(path, name)


def timed(cues: list[Cue]) -> list[tuple[float, float, str]]:
    return [(cue.span.start_s, cue.span.end_s, cue.text) for cue in cues]


def test_webvtt_gives_the_words_alone_by_time(tmp_path: Path) -> None:
    assert timed(read(VTT, "captions.vtt", tmp_path)) == [
        (1.0, 1.5, "first in time, last in the file"),
        (2.0, 4.5, "Good morning, it is 1984"),
        (5.0, 6.0, "Tea & <milk> now"),
    ]


def test_subrip_gives_the_words_alone_by_time(tmp_path: Path) -> None:
    assert timed(read(SRT, "captions.srt", tmp_path)) == [
        (1.0, 2.0, "In 1984"),
        (3.0, 4.0, "with a blank line before it and after it and a < b > c"),
        (5.5, 6.25, "Tea & milk"),
    ]


words = st.text(st.characters(whitelist_categories=["Lu", "Ll", "Nd"], max_codepoint=0x2FF), min_size=1, max_size=12)
cues = st.lists(
    st.tuples(st.integers(0, 3_000_000), st.integers(1, 9_000), st.lists(words, min_size=1, max_size=3)),
    min_size=1,
    max_size=8,
)


def clock(ms: int, comma: str) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{comma}{ms % 1000:03}"


@given(cues, st.sampled_from(["srt", "vtt"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.booleans())
def test_what_is_written_is_read(written: list, suffix: str, encoding: str, windows: bool) -> None:
    comma = "," if suffix == "srt" else "."
    blocks = [
        f"{n}\n{clock(start, comma)} --> {clock(start + ms, comma)}\n" + "\n".join(lines)
        for n, (start, ms, lines) in enumerate(written, 1)
    ]
    text = "\n\n".join(["WEBVTT", *blocks] if suffix == "vtt" else blocks)
    data = (text.replace("\n", "\r\n") if windows else text).encode(encoding)
    expected = sorted(
        [(start / 1000, (start + ms) / 1000, " ".join(lines)) for start, ms, lines in written], key=lambda cue: cue[:2]
    )
    with tempfile.TemporaryDirectory() as folder:
        assert timed(read(data, f"captions.{suffix}", Path(folder))) == expected


def test_what_is_no_utf_8_is_read_as_latin_1(tmp_path: Path) -> None:
    data = "1\n00:00:01,000 --> 00:00:02,000\nDéjà vu… «naïf»\n".encode("cp1252")
    assert read(data, "captions.srt", tmp_path)[0].text == "Déjà vu… «naïf»"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("captions.vtt", "captions"),
        ("captions.en.vtt", "captions"),
        ("captions.ad.vtt", "audio_description"),
        ("captions.en.AD.VTT", "audio_description"),
        ("mad.vtt", "captions"),
    ],
)
def test_the_name_says_what_it_is(name: str, source: str, tmp_path: Path) -> None:
    assert {cue.source for cue in read(VTT, name, tmp_path)} == {source}


def test_a_cue_that_no_player_shows_is_left_out(tmp_path: Path) -> None:
    text = (
        "WEBVTT\n\n00:03.000 --> 00:02.000\nbackwards\n\n00:04.000 --> 00:04.000\nno time\n\n"
        "00:05.000 --> 00:06.000\n<i> </i>\n\n00:07.000 --> 00:08.000\nshown\n"
    )
    assert [cue.text for cue in read(text, "captions.vtt", tmp_path)] == ["shown"]


def test_a_webvtt_file_may_be_empty_of_cues(tmp_path: Path) -> None:
    assert read("WEBVTT\n\nNOTE nothing is said\n", "captions.vtt", tmp_path) == []


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("captions.ttml", b"<tt/>", "another format"),
        ("captions", b"WEBVTT", "another format"),
        ("captions.srt", b"", "not one cue"),
        ("captions.srt", b"Dear diary\n", "not one cue"),
        ("captions.srt", b"1\n-00:00:05,000 --> 00:00:06,000\nbefore the start\n", "timing line"),
        ("captions.srt", b"1\n00:00:05,000 --> 00:00:1x,000\nmistyped\n", "timing line"),
        ("captions.vtt", b"WEBVTT\n\n00:05,000 --> 00:06,000\ncommas\n", "timing line"),
        ("captions.vtt", bytes(range(256)) * 8, "no text"),
        ("captions.srt", b"1\n00:00:05,000 --> 00:00:06,000\n" + b"{" * 100_000, "characters"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_delivered_name(
    name: str, data: bytes, found: str, tmp_path: Path
) -> None:
    with pytest.raises(CaptionError, match=f"(?s)'{name}'.*{found}"):
        read(data, name, tmp_path)


@given(st.binary(max_size=400), st.sampled_from(["captions.srt", "captions.vtt"]))
def test_any_bytes_are_cues_or_a_caption_error(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read(b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + data, name, Path(folder))
        except CaptionError:
            return
    assert all(isinstance(cue.span, Span) and cue.text for cue in found)
