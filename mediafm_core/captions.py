"""Caption files to cues: SubRip and WebVTT, as they are delivered."""

import codecs
import html
import re
from pathlib import Path
from typing import NamedTuple

import pysubs2
from pysubs2.exceptions import Pysubs2Error

from mediafm_core.errors import CaptionError
from mediafm_core.identity import Span

CAPTIONS = "captions"
AUDIO_DESCRIPTION = "audio_description"

_MAX_BYTES = 20 * 2**20
_MAX_CUE = 5_000  # characters; a parser's regular expressions crawl over longer ones
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CLOCK = {".srt": r"\d{1,2}:\d{2}:\d{2}[,.]\d{1,3}", ".vtt": r"(?:\d{1,4}:)?\d{2}:\d{2}\.\d{3}"}
_ARROW = "-->"
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</?\d[\d:.]*>|\{[\\=][^{}]*\}")


class Cue(NamedTuple):
    """One caption."""

    span: Span
    """When it is shown, in seconds from the title's first frame."""
    text: str
    """What it says: one line, without tags, never empty."""
    source: str
    """Where it comes from: `captions`, `audio_description`, or `speech_recognition`."""


def read_cues(path: Path, name: str) -> list[Cue]:
    """Read a caption file.

    Text is UTF-8, UTF-16 or, where it is neither, Latin-1 in its Windows form. Tags go, entities become characters, all
    white space becomes single spaces. A cue without text, and one that does not end after it starts, is never shown by
    a player and is left out.

    Args:
        path: the file.
        name: as it was delivered: `.srt` or `.vtt` tells the format, and a part `.ad` before it audio description
            (`captions.ad.vtt`, `captions.en.ad.srt`).

    Returns:
        The cues by start, then end, then place in the file. Empty where a WebVTT file has none.

    Raises:
        CaptionError: another format; a file that is too large or no text; a timing line that cannot be read; no cue.
    """
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if not suffixes or suffixes[-1] not in _CLOCK:
        raise _refusal(name, "another format", "a name that ends in .srt or .vtt", "Convert it to WebVTT.")
    text = _text(path, name)
    blocks = _cue_blocks(text, name, suffixes[-1])
    for block in blocks:
        if sum(map(len, block)) > _MAX_CUE:
            raise _refusal(name, f"a cue of over {_MAX_CUE:,} characters", "captions", "Split it into cues.")
    source = AUDIO_DESCRIPTION if is_audio_description(name) else CAPTIONS
    cues = _cues(blocks, source, name, suffixes[-1])
    if not cues and not text.startswith("WEBVTT"):
        raise _refusal(name, "not one cue", "timed text", "Check that the file is what its name says.")
    return sorted(cues, key=lambda cue: cue.span)


def is_audio_description(name: str) -> bool:
    """Whether a caption file's name marks it as audio description: `.ad` before the suffix."""
    return [suffix.lower() for suffix in Path(name).suffixes][-2:-1] == [".ad"]


def _text(path: Path, name: str) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise _refusal(name, f"{path.stat().st_size:,} bytes", f"at most {_MAX_BYTES:,}", "Deliver a caption file.")
    text = _decoded(path.read_bytes())
    if "\0" in text:
        raise _refusal(name, "bytes that are no text", "UTF-8, UTF-16 or Latin-1", "Save the file as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip()


def _decoded(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _cue_blocks(text: str, name: str, suffix: str) -> list[list[str]]:
    """The lines of each cue, its timing line first; identifiers, notes and style sheets are left behind.

    In WebVTT a blank line ends a cue. In SubRip it may stand inside the text, and the number before the next timing
    line is no text.
    """
    timing = re.compile(rf"\s*{_CLOCK[suffix]}\s*{_ARROW}\s*{_CLOCK[suffix]}(\s.*)?")
    blocks: list[list[str]] = []
    block: list[str] = []  # lines before the first timing line are gathered here, and forgotten
    for line in text.split("\n"):
        if _ARROW in line and (":" in line or suffix == ".vtt"):
            if not timing.fullmatch(line):
                raise _refusal(name, f"timing line {line[:80]!r}", f"two times around {_ARROW!r}", "Mend that line.")
            if suffix == ".srt" and block and block[-1].strip().isdigit():
                block.pop()
            block = [line]
            blocks.append(block)
        elif line.strip():
            block.append(line)
        elif suffix == ".vtt":
            block = []
        else:
            block.append("")
    return blocks


def _cues(blocks: list[list[str]], source: str, name: str, suffix: str) -> list[Cue]:
    """The cues that are shown and say something.

    The blocks go to pysubs2 each behind a number of its own and without blank lines: it takes a last line of digits for
    the next cue's number, and whatever follows a blank line for text.
    """
    numbered = "".join(
        f"{number}\n" + "\n".join(line for line in block if line) + "\n\n" for number, block in enumerate(blocks, 1)
    )
    try:
        events = pysubs2.SSAFile.from_string(f"{numbered}{len(blocks) + 1}\n", format_=suffix[1:], keep_html_tags=True)
    except (Pysubs2Error, ValueError, KeyError, NotImplementedError) as error:
        raise _refusal(name, f"it cannot be parsed ({error})", "SubRip or WebVTT", "Mend or convert it.") from error
    return [
        Cue(Span(event.start / 1000, event.end / 1000), line, source)
        for event in events
        if event.end > event.start and (line := _line(event.text))
    ]


def _line(marked_up: str) -> str:
    """Text on one line, without tags and entities. Tags go first: what an entity spells is never a tag."""
    text = marked_up.replace("\\N", " ").replace("\\h", " ")
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _refusal(name: str, found: str, expected: str, next_step: str) -> CaptionError:
    return CaptionError(f"captions {name!r}", found=found, expected=expected, next_step=next_step)
