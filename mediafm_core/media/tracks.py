"""The two tracks that a decode writes: pictures with their times, and sound on one clock."""

from array import array
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from mediafm_core.media.declared import MediaInfo
from mediafm_core.media.gaps import missing_s
from mediafm_core.media.growing import GrowingArray
from mediafm_core.media.pictures import Shrinker, still_size
from mediafm_core.media.working_set import DETECTOR_SIZE, SAMPLE_RATE_HZ, STILL_SHORT_SIDE, STILLS_PER_S

_JITTER_S = 0.05  # audio timestamps that are off by less are rounding, and their samples just follow one another
_EARLY_S = 1e-3  # a frame this little before its turn is taken as the still: WebM rounds to milliseconds
_COPY_SAMPLES = 1 << 20


class VideoTrack:
    """Writes each frame for the shot detector, and a still every quarter of a second.

    Times are seconds from the first frame, by the frames' own timestamps. A frame whose time does not advance is left
    out and counted.

    Args:
        folder: where the four arrays are written.
        info: what the file declares.
    """

    def __init__(self, folder: Path, info: MediaInfo) -> None:
        self._frame_s = 1 / info.fps if info.fps else 1 / 25  # where a frame does not say how long it is shown
        self._shrink = Shrinker(DETECTOR_SIZE, info.rotation)
        self._shrink_still = Shrinker(still_size(info.shown_size, STILL_SHORT_SIDE), info.rotation)
        self._frames = GrowingArray(folder / "frames.npy", np.uint8, (*DETECTOR_SIZE[::-1], 3))
        self._times = GrowingArray(folder / "frame_times.npy", np.float64)
        self._stills = GrowingArray(folder / "stills.npy", np.uint8, (*self._shrink_still.size[::-1], 3))
        self._still_times = GrowingArray(folder / "still_times.npy", np.float64)
        self._last_s = -1.0
        self._spacings = array("d")  # seconds from each frame to the next
        self._declared_s = 0.0  # how long all frames but the last say that they are shown
        self._next_still_s = 0.0
        self.start_s: float | None = None  # on the container's clock; None before the first frame
        self.duration_s = 0.0  # from the start of the first frame to the end of the last
        self.n_faulty = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def missing_s(self) -> float:
        """Seconds between the frames that have none although they should, see `gaps`."""
        return missing_s(self._spacings, self._declared_s)

    def add(self, frame: VideoFrame) -> None:
        """Take the next frame in the order of showing."""
        time_s = self._time_s(frame)
        self.n_faulty += int(frame.is_corrupt or time_s <= self._last_s)
        if time_s <= self._last_s:
            return
        if self._last_s >= 0:
            self._spacings.append(time_s - self._last_s)
            self._declared_s += self.duration_s - self._last_s
        self._last_s = time_s
        self.duration_s = time_s + self._shown_s(frame)
        self._frames.append(self._shrink(frame)[None])
        self._times.append(np.array([time_s]))
        if time_s >= self._next_still_s - _EARLY_S:
            self._add_still(frame, time_s)

    def close(self) -> None:
        """Write the lengths of the arrays."""
        for each in (self._frames, self._times, self._stills, self._still_times):
            each.close()

    def _add_still(self, frame: VideoFrame, time_s: float) -> None:
        self._stills.append(self._shrink_still(frame)[None])
        self._still_times.append(np.array([time_s]))
        self._next_still_s = (np.floor((time_s + _EARLY_S) * STILLS_PER_S) + 1) / STILLS_PER_S

    def _time_s(self, frame: VideoFrame) -> float:
        """Seconds from the first frame; a frame without a timestamp follows the one before it."""
        if frame.time is None:
            self.start_s = self.start_s or 0.0
            return self.duration_s
        if self.start_s is None:
            self.start_s = float(frame.time)
        return float(frame.time) - self.start_s

    def _shown_s(self, frame: VideoFrame) -> float:
        if frame.duration and frame.time_base:
            return float(frame.duration * frame.time_base)
        return self._frame_s


class AudioTrack:
    """Writes 16 kHz mono samples by their timestamps: a gap is filled with silence, an overlap is cut.

    The first frame of the picture may be decoded after the first of the sound, so the samples are written on a clock of
    their own and are aligned once both are known.

    Args:
        folder: where `audio.npy` is written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "audio.npy"
        self._unaligned_path = folder / "audio.unaligned.npy"
        self._unaligned = GrowingArray(self._unaligned_path, np.int16)
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self.start_s: float | None = None  # on the container's clock; None before the first sample
        self.n_faulty = 0

    @property
    def duration_s(self) -> float:
        """From the first sample to the end of the last one."""
        return len(self._unaligned) / SAMPLE_RATE_HZ

    def add(self, frame: AudioFrame) -> None:
        """Take the next frame; its sample format, layout and rate may change on the way."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            self.flush()
            self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            self._form = form
        assert self._resampler is not None
        self.n_faulty += int(frame.is_corrupt)
        for mono in self._resampler.resample(frame):
            self._place(mono)

    def flush(self) -> None:
        """Take what the resampler held back. To be called after the last frame."""
        if self._resampler is not None:
            for mono in self._resampler.resample(None):
                self._place(mono)
            self._resampler = None

    def close(self) -> None:
        """Let go of the file."""
        self._unaligned.close()

    def align(self, video_start_s: float, duration_s: float) -> None:
        """Write `audio.npy` after `flush`: sample 0 at the first frame, nothing after the title's end."""
        self._unaligned.close()
        n_most = round(duration_s * SAMPLE_RATE_HZ)
        n_late = 0 if self.start_s is None else round((self.start_s - video_start_s) * SAMPLE_RATE_HZ)
        source = np.load(self._unaligned_path, mmap_mode="r")[max(0, -n_late) :]
        with GrowingArray(self._path, np.int16) as aligned:
            if len(source):
                _append_silence(aligned, min(max(0, n_late), n_most))
            source = source[: n_most - len(aligned)]
            for start in range(0, len(source), _COPY_SAMPLES):
                aligned.append(source[start : start + _COPY_SAMPLES])
        self._unaligned_path.unlink()

    def _place(self, mono: AudioFrame) -> None:
        samples: NDArray[np.int16] = mono.to_ndarray()[0]  # (1, n) -> (n,)
        time_s = mono.time
        if self.start_s is None:
            self.start_s = 0.0 if time_s is None else time_s
        n_behind = 0 if time_s is None else round((time_s - self.start_s) * SAMPLE_RATE_HZ) - len(self._unaligned)
        if n_behind > _JITTER_S * SAMPLE_RATE_HZ:
            _append_silence(self._unaligned, n_behind)
        elif n_behind < -_JITTER_S * SAMPLE_RATE_HZ:
            samples = samples[-n_behind:]
        self._unaligned.append(samples)


def _append_silence(array: GrowingArray, n_samples: int) -> None:
    for start in range(0, n_samples, _COPY_SAMPLES):
        array.append(np.zeros(min(_COPY_SAMPLES, n_samples - start), np.int16))
