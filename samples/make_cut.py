"""Cut the committed samples out of Big Buck Bunny, and write down where each piece came from.

    python samples/make_cut.py path/to/bbb.mp4 [FOLDER]

writes `<clip>/media.webm` for every clip of `CLIPS` and `bbb-cut.truth.json` into FOLDER (by default this one). The
pieces are counted in frames of the film (24 a second) and stand on its hard cuts, so that a piece of the cut is one
shot. The film's hash is checked first: frame numbers mean nothing in another encoding of it.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from mediafm_core.errors import MediaError

FILM_SHA256 = "475fbbf34c4c367998f80c29ea03b15a743941179b12da3373fc6706e68621d0"
FPS = 24
AUDIO_HZ = 48_000  # Opus knows no 44.1 kHz; 2,000 samples a frame, exactly
OPUS_FRAME = 960  # samples: 20 ms, the frame of Opus
BT709 = 1  # the number of BT.709 in FFmpeg's lists of primaries and transfer curves
PRE_ROLL_S = 1.0  # decoded and thrown away before a piece, so that AAC has settled when it starts


class Frames(NamedTuple):
    """A half-open stretch of the film, counted in frames."""

    start: int
    end: int

    @property
    def seconds(self) -> list[float]:
        """Start and end in seconds from the film's first frame."""
        return [round(self.start / FPS, 4), round(self.end / FPS, 4)]


class Clip(NamedTuple):
    """One committed film: its pieces in the order in which they are shown, its picture size and VP9's quality."""

    pieces: tuple[Frames, ...]
    width: int
    height: int
    crf: int  # 0 (best) to 63


CUT = (
    Frames(6488, 6623),  # skipping rope of lianas
    Frames(1346, 1456),  # the rabbit rises into an empty sky
    Frames(9891, 9987),  # a fruit falls towards us
    Frames(2963, 3045),  # a squirrel behind a wall of fur
    Frames(10842, 10999),  # nose to nose on a branch
    Frames(1813, 1919),  # from above: butterfly and rabbit
    Frames(6833, 7013),  # three rodents creep behind a tree
    Frames(9719, 9795),  # the rabbit listens among dark leaves
    Frames(285, 378),  # a brook in a meadow
    Frames(10339, 10409),  # from above: the squirrel sails over bushes
    Frames(3513, 3578),  # from high above: a lone walker
    Frames(5844, 6018),  # the rabbit thinks in the forest
    Frames(2831, 2901),  # the three rodents together
)
CLIPS = {
    "bbb-cut": Clip(CUT, 640, 360, 42),
    "bbb-butterfly": Clip((Frames(2394, 2831),), 480, 270, 40),
    "bbb-climb": Clip((Frames(9080, 9575),), 480, 270, 40),
}


def truth(pieces: tuple[Frames, ...]) -> list[dict[str, list[float]]]:
    """Where each shot of the cut stands in the cut and in the film, as [start_s, end_s)."""
    spans, at = [], 0
    for piece in pieces:
        shown = Frames(at, at + piece.end - piece.start)
        spans.append({"cut": shown.seconds, "film": piece.seconds})
        at = shown.end
    return spans


def check_film(film: Path) -> None:
    """Raise MediaError unless `film` is the encoding that the frame numbers were counted in."""
    with film.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != FILM_SHA256:
        raise MediaError(
            f"film {film}",
            found=f"sha256 {found}",
            expected=FILM_SHA256,
            next_step="Take moviepy_10_minutes/resources/bbb.mp4 out of the source distribution of moviepy 2.2.1.",
        )


def video_of(film: Path, piece: Frames, clip: Clip) -> Iterator[av.VideoFrame]:
    """The piece's frames at the clip's size."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        container.seek(int(max(0.0, piece.start / FPS - PRE_ROLL_S) * av.time_base))
        for frame in container.decode(stream):
            at = round((frame.time or 0.0) * FPS)
            if at >= piece.end:
                return
            if at >= piece.start:
                yield frame.reformat(clip.width, clip.height, "yuv420p", interpolation="AREA")


def audio_of(film: Path, piece: Frames) -> np.ndarray:
    """(n, 2) int16 at 48 kHz, exactly as long as the piece; silence where the film has no sound."""
    wanted = (piece.end - piece.start) * AUDIO_HZ // FPS
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=AUDIO_HZ)
    parts: list[np.ndarray] = []
    first_s: float | None = None
    with av.open(str(film)) as container:
        container.seek(int(max(0.0, piece.start / FPS - PRE_ROLL_S) * av.time_base))
        for frame in container.decode(container.streams.audio[0]):
            first_s = frame.time if first_s is None else first_s
            parts += [part.to_ndarray().reshape(-1, 2) for part in resampler.resample(frame)]
            if (frame.time or 0.0) > piece.end / FPS + PRE_ROLL_S:
                break
    skip = round((piece.start / FPS - (first_s or 0.0)) * AUDIO_HZ)
    sound = np.concatenate(parts)[skip : skip + wanted]
    return np.pad(sound, ((0, wanted - len(sound)), (0, 0)))


def write_webm(film: Path, clip: Clip, out: Path) -> None:
    """Encode the clip's pieces one after the other as VP9 and Opus."""
    with av.open(str(out), "w", format="webm", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libvpx-vp9", rate=FPS, options=vp9_options(clip.crf))
        video.width, video.height, video.pix_fmt = clip.width, clip.height, "yuv420p"
        video.codec_context.time_base = Fraction(1, FPS)
        tag_colours(video.codec_context)
        audio = container.add_stream("libopus", rate=AUDIO_HZ, options={"b": "56000"})
        audio.layout = "stereo"
        frames = (frame for piece in clip.pieces for frame in video_of(film, piece, clip))
        for pts, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = pts, Fraction(1, FPS), 0
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for chunk in chunks(np.concatenate([audio_of(film, piece) for piece in clip.pieces])):
            container.mux(audio.encode(chunk))
        container.mux(audio.encode(None))


def tag_colours(codec: av.VideoCodecContext) -> None:
    """Say that the colours are BT.709 in the studio range, as in the film: readers of an untagged file guess BT.601."""
    codec.colorspace, codec.color_range = Colorspace.ITU709.value, ColorRange.MPEG.value
    codec.color_primaries = codec.color_trc = BT709


def vp9_options(crf: int) -> dict[str, str]:
    """Constant quality; one thread, so that the same film gives the same bytes."""
    return {"crf": str(crf), "b": "0", "deadline": "good", "cpu-used": "3", "threads": "1", "g": "120"}


def chunks(sound: np.ndarray) -> Iterator[av.AudioFrame]:
    """The sound in Opus frames, stamped in samples."""
    for at in range(0, len(sound), OPUS_FRAME):
        part = np.ascontiguousarray(sound[at : at + OPUS_FRAME]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
        frame.pts, frame.sample_rate, frame.time_base = at, AUDIO_HZ, Fraction(1, AUDIO_HZ)
        yield frame


def main(film: Path, folder: Path) -> None:
    """Write every clip and the truth of the cut."""
    check_film(film)
    for name, clip in CLIPS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_webm(film, clip, folder / name / "media.webm")
    rows = ",\n  ".join(json.dumps(row) for row in truth(CUT))
    (folder / "bbb-cut.truth.json").write_text(f"[\n  {rows}\n]\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent)
