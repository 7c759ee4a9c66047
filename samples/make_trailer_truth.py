"""Find where each shot of the film's trailer comes from, by its pixels alone.

    python samples/make_trailer_truth.py path/to/bbb.mp4 path/to/trailer_bbb.mp4 [trailer.truth.json]

Shots: a content detector (mean change of hue, saturation and value from frame to frame). Sources: small grey pictures
are compared by normalised correlation, which neither a fade nor a sepia filter changes, and a source is a straight line
film_frame = offset + rate * trailer_frame on which many frames of the shot correlate. A title that is burned in costs a
frame a little of its correlation, not its line. A shot that dissolves into another has two lines.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

FPS = 24
GREY_SIZE = (64, 36)
COLOUR_SIZE = (128, 72)
CUT_THRESHOLD = 27.0  # of the mean change of the three channels, each 0 to 255
MIN_SHOT_FRAMES = 15
MIN_CONTRAST = 4.0  # grey levels; a flatter frame (the end of a fade) correlates with anything
MIN_CORRELATION = 0.9
MIN_FRAMES = 12  # a source holds for half a second at least
RATES = (1.0, 0.5)  # film frames per trailer frame: at speed, in slow motion


class Line(NamedTuple):
    """One source: the trailer frames that lie on film_frame = round(offset + rate * trailer_frame)."""

    offset: float
    rate: float
    frames: np.ndarray  # (n,) of the trailer, ascending
    correlation: float  # median over `frames`


def grey_frames(path: Path) -> np.ndarray:
    """(N, 36 * 64) float32 grey pictures."""
    with av.open(str(path)) as container:
        pictures = [f.reformat(*GREY_SIZE, "gray").to_ndarray().ravel() for f in container.decode(video=0)]
    return np.stack(pictures).astype(np.float32)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute change over hue, saturation and value of two (h, w, 3) uint8 pictures."""
    return float(np.abs(hsv(after) - hsv(before)).mean())


def hsv(rgb: np.ndarray) -> np.ndarray:
    """Hue, saturation and value, each 0 to 255, of an (h, w, 3) uint8 RGB picture; grey has hue and saturation 0."""
    pixels = rgb.astype(np.float32)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    value = pixels.max(-1)
    spread = value - pixels.min(-1)
    safe = np.maximum(spread, 1.0)
    sixth = np.select(
        [spread == 0, value == red, value == green],
        [np.zeros_like(value), ((green - blue) / safe) % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return np.stack([sixth * 255 / 6, spread / np.maximum(value, 1.0) * 255, value], axis=-1)


def content_shots(path: Path) -> list[tuple[int, int]]:
    """The shots of a video as half-open frame spans that tile it."""
    starts, previous, n = [0], None, 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.reformat(*COLOUR_SIZE, "rgb24").to_ndarray()
            changed = previous is not None and change(previous, picture) > CUT_THRESHOLD
            if changed and n - starts[-1] >= MIN_SHOT_FRAMES:
                starts.append(n)
            previous, n = picture, n + 1
    return list(zip(starts, [*starts[1:], n], strict=True))


def correlations(trailer: np.ndarray, film: np.ndarray) -> np.ndarray:
    """(T, F) normalised cross-correlations; 0 for trailer frames that are flat."""

    def standardised(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centred = pictures - pictures.mean(1, keepdims=True)
        contrast = centred.std(1)
        return centred / (np.maximum(contrast, 1e-3) * np.sqrt(pictures.shape[1]))[:, None], contrast

    small, contrast = standardised(trailer)
    return np.where(contrast[:, None] >= MIN_CONTRAST, small @ standardised(film)[0].T, 0.0)


def best_line(found: np.ndarray, frames: np.ndarray) -> Line | None:
    """The line on which the given trailer frames correlate most beyond the threshold; None if too few do.

    Args:
        found: (T, F) correlations.
        frames: (n,) trailer frames that have no source yet.
    """
    best: Line | None = None
    best_score = 0.0
    n_film = found.shape[1]
    for rate in RATES:
        moved = np.round(rate * frames).astype(int)
        for offset in range(-int(moved.min()), n_film - int(moved.max())):
            on_line = found[frames, moved + offset]
            excess = on_line - MIN_CORRELATION
            score = float(excess[excess > 0].sum())
            if score > best_score:
                hit = excess >= 0
                best = Line(offset, rate, frames[hit], float(np.median(on_line[hit])))
                best_score = score
    return best if best is not None and len(best.frames) >= MIN_FRAMES else None


def sources(found: np.ndarray, shot: tuple[int, int]) -> list[Line]:
    """All sources of a shot, in the order of the trailer."""
    left, lines = np.arange(*shot), []
    while len(left) >= MIN_FRAMES and (line := best_line(found, left)) is not None:
        lines.append(line)
        explained = (left >= line.frames[0]) & (left <= line.frames[-1])
        left = left[~explained]
    return sorted(lines, key=lambda line: line.frames[0])


def seconds(start: float, end: float) -> list[float]:
    """A half-open span of frames in seconds."""
    return [round(start / FPS, 3), round(end / FPS, 3)]


def source_record(line: Line) -> dict[str, object]:
    """One source as JSON: where it is seen in the trailer, where it stands in the film, and how sure that is."""
    first, last = int(line.frames[0]), int(line.frames[-1])
    film = [round(line.rate * at) + line.offset for at in (first, last)]
    return {
        "trailer": seconds(first, last + 1),
        "film": seconds(film[0], film[1] + 1),
        "rate": line.rate,
        "correlation": round(line.correlation, 4),
        "n_frames": len(line.frames),
    }


def main(film: Path, trailer: Path, out: Path) -> None:
    """Write one record for each shot of the trailer."""
    found = correlations(grey_frames(trailer), grey_frames(film))
    records = [
        {"trailer": seconds(*shot), "sources": [source_record(line) for line in sources(found, shot)]}
        for shot in content_shots(trailer)
    ]
    out.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    default = Path(__file__).parent / "trailer.truth.json"
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else default)
