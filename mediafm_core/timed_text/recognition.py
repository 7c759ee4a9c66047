"""Speech to cues, for titles that arrive without captions."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediafm_core import weights
from mediafm_core.captions import Cue
from mediafm_core.catalogue.suite import Instrument
from mediafm_core.errors import DimensionError
from mediafm_core.identity import Span
from mediafm_core.media.working_set import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SPEECH_RECOGNITION = "speech_recognition"

_WEIGHTS = "whisper-tiny-en"
_BEAM = 1
_PIECE_S = 600  # recognised at a time: the spectrogram of a whole film would take gigabytes
_SEARCH_S = 30  # a piece is cut at the quietest moment of its last so many seconds
_QUIET_S = 0.25  # the length of the moments that are compared

RECOGNISER = Instrument(
    name=_WEIGHTS,
    weights_sha256=weights.sha256(_WEIGHTS),
    settings={"precision": "int8", "beam": _BEAM, "vad": "silero", "language": "en", "piece_s": _PIECE_S},
)
"""The speech recogniser. It hears English only."""


def recognise(audio: NDArray[np.int16], report: Callable[[float], None] | None = None) -> list[Cue]:
    """What is said in a title, as cues.

    Only stretches in which a voice was detected are read: without that, music becomes words. Words in other languages
    than English come out as English nonsense.

    Args:
        audio: (n,) int16, 16 kHz mono, sample 0 at the title's first frame; may be empty.
        report: takes the share that is done, rising to 1.

    Returns:
        Cues by start, `source` speech_recognition; none where no voice is heard.

    Raises:
        DimensionError: samples of another shape or dtype.
        WeightsError: the weights are missing or not the pinned ones.
    """
    if audio.dtype != np.int16 or audio.ndim != 1:
        raise DimensionError(
            "audio for speech recognition",
            found=f"{audio.dtype} {audio.shape}",
            expected="int16 (n,)",
            next_step="Pass the audio of a title's working set.",
        )
    cues: list[Cue] = []
    for start, end in pieces(audio):
        cues.extend(_cues(audio[start:end], start / SAMPLE_RATE_HZ))
        if report is not None:
            report(end / len(audio))
    return cues


def pieces(audio: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of samples that tile the audio, each at most ten minutes, cut where it is quiet."""
    start, n_most = 0, _PIECE_S * SAMPLE_RATE_HZ
    while start < len(audio):
        end = len(audio)
        if end - start > n_most:
            end = _quietest(audio, start + n_most - _SEARCH_S * SAMPLE_RATE_HZ, start + n_most)
        yield start, end
        start = end


def _quietest(audio: NDArray[np.int16], start: int, end: int) -> int:
    """The middle of the quietest quarter of a second in a range, as a sample."""
    n_moment = round(_QUIET_S * SAMPLE_RATE_HZ)
    moments = audio[start:end].astype(np.float32).reshape(-1, n_moment)
    return start + int(np.square(moments).mean(1).argmin()) * n_moment + n_moment // 2


def _cues(piece: NDArray[np.int16], start_s: float) -> Iterator[Cue]:
    segments, _ = _model().transcribe(
        piece.astype(np.float32) / 32768,
        language="en",
        beam_size=_BEAM,
        vad_filter=True,
        condition_on_previous_text=False,
    )
    heard = ((segment.start, segment.end, segment.text) for segment in segments)
    return as_cues(heard, start_s, len(piece) / SAMPLE_RATE_HZ)


def as_cues(heard: Iterable[tuple[float, float, str]], start_s: float, length_s: float) -> Iterator[Cue]:
    """Cues of what was heard in a piece that starts at `start_s` and is `length_s` long.

    Args:
        heard: (start, end, words), in seconds from the piece's start; an end behind the piece is drawn in, and what has
            no words or no length is left out.
        start_s: in seconds from the title's first frame.
        length_s: in seconds.
    """
    for from_s, to_s, words in heard:
        text, end_s = " ".join(words.split()), min(to_s, length_s)
        if text and from_s < end_s:
            yield Cue(Span(start_s + from_s, start_s + end_s), text, SPEECH_RECOGNITION)


@cache
def _model() -> "WhisperModel":
    from faster_whisper import WhisperModel

    folder = weights.folder(_WEIGHTS)
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
