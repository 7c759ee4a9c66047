"""What a media file declares about itself: read from its header and its first frame, and held to the limits."""

import re
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mediafm_core.errors import MediaError
from mediafm_core.media.containers import audio_stream, open_media, prepare_decoder, video_stream
from mediafm_core.media.limits import Limits

_MAX_PACKETS_TO_FIRST_FRAME = 1000
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What a media file declares about itself. A declared duration is a claim: decoding checks it."""

    container: str  # the demuxer's name
    container_s: float | None  # declared length in seconds of the longest stream; None where the header has none
    video_s: float | None  # declared length of the video stream; None where only the container declares one
    audio_s: float | None  # likewise of the audio stream
    fps: float | None  # average frames per second; None where nothing is declared
    width: int  # pixels as stored
    height: int
    pixel_aspect: float  # width over height of one stored pixel
    rotation: int  # degrees counter-clockwise to turn the stored picture for showing: 0, 90, 180 or 270
    video_codec: str
    audio_codec: str | None  # None where there is no audio; the other two likewise
    audio_channels: int | None
    audio_rate_hz: int | None

    @property
    def duration_s(self) -> float | None:
        """The declared length of the title in seconds: the video's own, else the container's."""
        return self.video_s if self.video_s is not None else self.container_s

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) in square pixels, upright."""
        width, height = max(1, round(self.width * self.pixel_aspect)), self.height
        return (height, width) if self.rotation % 180 else (width, height)


def probe(path: Path, limits: Limits | None = None) -> MediaInfo:
    """Read what the header of a media file declares, and the rotation of its first frame.

    Raises:
        MediaError: the file cannot be opened, is no MP4, Matroska, WebM or MPEG-TS, has no video, has a stream that
            cannot be decoded, or exceeds a limit.
    """
    limits = limits or Limits()
    with open_media(path) as container:
        video, audio = video_stream(container, path), audio_stream(container, path)
        info = _declared(container, video, audio, _first_frame(container, video, path, limits).rotation)
    return _within_limits(info, path, limits)


def _within_limits(info: MediaInfo, path: Path, limits: Limits) -> MediaInfo:
    """Check what a file declares against the limits.

    Raises:
        MediaError: it declares more pixels, a longer side or more seconds than allowed.
    """
    long_side, short_side = max(info.shown_size), min(info.shown_size)
    duration_s = max(info.container_s or 0.0, info.video_s or 0.0)
    _cap(path, "pixels in a frame", info.width * info.height, limits.max_pixels)
    _cap(path, "times as long as it is wide", long_side / short_side, limits.max_aspect)
    _cap(path, "seconds", duration_s, limits.max_duration_s)
    return info


def _cap(path: Path, what: str, value: float, most: float) -> None:
    if value > most:
        raise MediaError(
            f"media {path.name!r}",
            found=f"{value:g} {what}",
            expected=f"at most {most:g}",
            next_step="Deliver a smaller copy, or raise the limit on purpose.",
        )


def _first_frame(container: InputContainer, video: VideoStream, path: Path, limits: Limits) -> VideoFrame:
    prepare_decoder(video, limits)
    try:
        for n_packets, packet in enumerate(container.demux(video)):
            for frame in packet.decode():
                return frame
            if n_packets == _MAX_PACKETS_TO_FIRST_FRAME:
                break
    except FFmpegError as error:
        raise _no_frame(path, f"its first frame cannot be decoded ({error.strerror})") from error
    raise _no_frame(path, "not one frame can be decoded")


def _no_frame(path: Path, found: str) -> MediaError:
    return MediaError(
        f"media {path.name!r}",
        found=found,
        expected="a video stream whose frames decode, within the limit of pixels",
        next_step="Check that the file arrived whole, and that it plays.",
    )


def _declared(container: InputContainer, video: VideoStream, audio: AudioStream | None, rotation: int) -> MediaInfo:
    context, rate = video.codec_context, video.average_rate or video.guessed_rate
    return MediaInfo(
        container=container.format.name,
        container_s=container.duration / av.time_base if container.duration else None,
        video_s=_declared_s(video),
        audio_s=_declared_s(audio) if audio else None,
        fps=float(rate) if rate else None,
        width=context.width,
        height=context.height,
        pixel_aspect=float(video.sample_aspect_ratio or 1),
        rotation=round(rotation / 90) * 90 % 360,
        video_codec=context.name,
        audio_codec=audio.codec_context.name if audio else None,
        audio_channels=audio.codec_context.channels if audio else None,
        audio_rate_hz=audio.codec_context.sample_rate if audio else None,
    )


def _declared_s(stream: Stream) -> float | None:
    """A stream's own length in seconds: its header field, else Matroska's DURATION tag, else None."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    clock = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if clock is None:
        return None
    hours, minutes, seconds = clock.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds) or None
