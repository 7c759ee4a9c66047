"""The one pass over a title's media: each packet is read and decoded once, and feeds all that is kept.

This runs in the child process (`worker`). What it writes is described in `working_set`.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mediafm_core.errors import MediaError
from mediafm_core.media.containers import audio_stream, open_media, prepare_decoder, video_stream
from mediafm_core.media.declared import MediaInfo, probe
from mediafm_core.media.limits import Limits
from mediafm_core.media.tracks import AudioTrack, VideoTrack
from mediafm_core.media.working_set import write_info

_WHOLE = 0.98
"""The share of the declared length that must decode, and of the frames that must be sound."""
_N_SPARE_FRAMES = 2
"""So many may be missing from the shortest clip: containers round lengths up, and encoders keep frames back."""

Report = Callable[[float], None]
"""Takes the share that is done, rising to 1."""


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What went wrong on the way, and where the container's clock starts."""

    start_s: float
    n_faults: int = 0


def decode_into(path: Path, folder: Path, limits: Limits, report: Report) -> None:
    """Decode a title into an existing empty folder.

    Raises:
        MediaError: the file cannot be opened, exceeds a limit, or does not decode to what it declares.
    """
    info = probe(path, limits)
    with (
        open_media(path) as container,
        closing(VideoTrack(folder, info)) as video,
        closing(AudioTrack(folder)) as audio,
    ):
        tally = _Tally(start_s=(container.start_time or 0) / av.time_base)
        for frame in _frames(container, path, limits, tally):
            _check_in_time(path, frame, limits, tally.start_s)
            if isinstance(frame, AudioFrame):
                audio.add(frame)
            else:
                video.add(frame)
                report(min(1.0, video.duration_s / (info.duration_s or limits.max_duration_s)))
        audio.flush()
        tally.n_faults += video.n_faulty + audio.n_faulty
        _check_whole(path, info, video, audio, tally)
        audio.align(video.start_s or 0.0, video.duration_s)
    write_info(folder, info=info, duration_s=video.duration_s, n_faults=tally.n_faults)
    report(1.0)


def _frames(container: InputContainer, path: Path, limits: Limits, tally: _Tally) -> Iterator[VideoFrame | AudioFrame]:
    """The frames of picture and sound in the order of decoding. What does not decode is counted and passed over."""
    video, audio = video_stream(container, path), audio_stream(container, path)
    prepare_decoder(video, limits)
    streams: list[VideoStream | AudioStream] = [video] if audio is None else [video, audio]
    for packet in _packets(container, streams, tally):
        try:
            yield from packet.decode()
        except FFmpegError:
            tally.n_faults += 1


def _packets(container: InputContainer, streams: list[VideoStream | AudioStream], tally: _Tally) -> Iterator[av.Packet]:
    """What the demuxer reads, then one empty packet per stream, which makes its decoder give up what it held back.

    An error of the demuxer is the end of what can be read: it is counted, and the missing length decides.
    """
    try:
        for packet in container.demux(*streams):
            if packet.size:
                tally.n_faults += int(packet.is_corrupt)
                yield packet
    except FFmpegError:
        tally.n_faults += 1
    for stream in streams:
        last = av.Packet()
        last.stream = stream
        if stream.time_base is not None:
            last.time_base = stream.time_base
        yield last


def _check_in_time(path: Path, frame: VideoFrame | AudioFrame, limits: Limits, start_s: float) -> None:
    if frame.time is not None and abs(frame.time - start_s) > limits.max_duration_s:
        raise _not_whole(path, f"a frame at {frame.time:.3f} s", f"at most {limits.max_duration_s:g} s of media")


def _check_whole(path: Path, info: MediaInfo, video: VideoTrack, audio: AudioTrack, tally: _Tally) -> None:
    """The fault to catch is a file that decodes in part without an error.

    Each stream is held to its own declared length, for sound may well end before the picture does. Where only the
    container declares a length, the stream that ends last is held to it. Where nothing is declared, a whole file cannot
    be told from a cut one by its length, so a single fault is too much. A hole in the middle shows as a gap between
    frames (`gaps`). What this cannot see is a live WebM recording or an MPEG-TS that was cut between two packets: the
    one declares no length, and the other's is read from what is there.
    """
    if len(video) == 0:
        raise _not_whole(path, "not one frame decodes", "a video stream")
    spare_s = _N_SPARE_FRAMES * video.duration_s / len(video)
    video_end_s = video.duration_s + (video.start_s or 0.0) - tally.start_s
    audio_end_s = audio.duration_s + (audio.start_s or 0.0) - tally.start_s
    _check_length(path, "video", video_end_s, info.video_s, spare_s)
    _check_length(path, "audio", audio_end_s, info.audio_s, spare_s)
    if info.video_s is None:
        _check_length(path, "media", max(video_end_s, audio_end_s), info.container_s, spare_s)
    n_allowed = 0 if info.duration_s is None else int((1 - _WHOLE) * len(video))
    if tally.n_faults > n_allowed:
        found = f"{tally.n_faults} damaged packets or frames beside {len(video)} frames"
        raise _not_whole(path, found, f"at most {n_allowed}")
    if (missing_s := video.missing_s) > (1 - _WHOLE) * video.duration_s:
        found = f"gaps of {missing_s:.3f} s in all, in {video.duration_s:.3f} s, without a frame"
        raise _not_whole(path, found, f"frames for {_WHOLE:.0%} of it")


def _check_length(path: Path, what: str, decoded_s: float, declared_s: float | None, spare_s: float) -> None:
    if declared_s is not None and decoded_s < min(_WHOLE * declared_s, declared_s - spare_s):
        found = f"{decoded_s:.3f} s of {what} decode"
        raise _not_whole(path, found, f"the {declared_s:.3f} s that the file declares, or {_WHOLE:.0%} of them")


def _not_whole(path: Path, found: str, expected: str) -> MediaError:
    return MediaError(
        f"media {path.name!r}",
        found=found,
        expected=expected,
        next_step="The file is cut short or damaged: deliver it again.",
    )
