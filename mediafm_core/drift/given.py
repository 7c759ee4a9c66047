"""The user's own canaries: pictures, sounds, texts, and films, from which a few moments are taken.

Media are decoded by the sandboxed room `media`; what is kept is what came out of it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from mediafm_core.catalogue.suite import Modality
from mediafm_core.drift.canaries import Canary
from mediafm_core.errors import MediaError
from mediafm_core.identity import Span
from mediafm_core.media.sandbox import decode, decode_single
from mediafm_core.media.single import PICTURES, SOUNDS
from mediafm_core.media.working_set import audio_of, stills_of

FILMS: Final = (".mp4", ".mov", ".mkv", ".webm", ".ts")
TEXTS: Final = (".txt",)
N_MOMENTS = 8
MOMENT_S = 2.0
_N_STILLS = 4
_MAX_LINES = 1000


def given_canaries(path: Path) -> tuple[Canary, ...]:
    """The canaries in a file: a picture, a sound, a text for each line, or eight moments of a film.

    Raises:
        MediaError: the file is of no such kind, cannot be decoded, or holds nothing.
    """
    suffix = path.suffix.lower()
    read = next((read for suffixes, read in _READERS if suffix in suffixes), None)
    if read is None:
        known = " ".join(suffix for suffixes, _ in _READERS for suffix in suffixes)
        raise _refused(path, f"a name that ends in {suffix!r}", f"one of {known}")
    found = read(path)
    if not found:
        raise _refused(path, "nothing in it", "at least one input")
    return found


def _single(path: Path) -> tuple[Canary, ...]:
    value = decode_single(path)
    modality = Modality.VIDEO if value.ndim > 1 else Modality.AUDIO
    return (Canary(path.name, modality, value),) if value.size else ()


def _lines(path: Path) -> tuple[Canary, ...]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"it cannot be read ({error})", "text in UTF-8") from error
    if len(lines) > _MAX_LINES:
        raise _refused(path, f"{len(lines)} lines", f"at most {_MAX_LINES}")
    return tuple(Canary(f"{path.name} {i}", Modality.TEXT, line) for i, line in enumerate(lines, 1))


def _film(path: Path) -> tuple[Canary, ...]:
    with tempfile.TemporaryDirectory(prefix="mediafm-canaries-") as folder:
        decoded = decode(path, Path(folder) / "film")
        starts = np.linspace(0.0, max(0.0, decoded.duration_s - MOMENT_S), N_MOMENTS)
        spans = [Span(start, min(start + MOMENT_S, decoded.duration_s)) for start in starts.tolist()]
        named = [(f"{path.name} {span.start_s:.3f} s", span) for span in spans]
        stills = [Canary(name, Modality.VIDEO, stills_of(decoded, span, _N_STILLS)) for name, span in named]
        sounds = [Canary(name, Modality.AUDIO, audio_of(decoded, span)) for name, span in named]
    return (*stills, *(sound for sound in sounds if sound.shape[0]))


_READERS: Final[tuple[tuple[tuple[str, ...], Callable[[Path], tuple[Canary, ...]]], ...]] = (
    ((*PICTURES, *SOUNDS), _single),
    (TEXTS, _lines),
    (FILMS, _film),
)


def _refused(path: Path, found: str, expected: str) -> MediaError:
    return MediaError(
        f"canary file {path.name!r}", found=found, expected=expected, next_step="Nothing of it was taken; leave it out."
    )
