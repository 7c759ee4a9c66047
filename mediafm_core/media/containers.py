"""Open a media file behind the whitelists, and find the title's picture and sound in it.

Only three families of containers are opened, by their own demuxers, and only from local files: a playlist, a
concatenation script or an image sequence can make a demuxer open other files and URLs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from mediafm_core.errors import MediaError
from mediafm_core.media.limits import Limits

_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts",
    "protocol_whitelist": "file",
}
_S = TypeVar("_S", bound=Stream)


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a local file by one of the whitelisted demuxers.

    Raises:
        MediaError: it cannot be opened.
    """
    try:
        container = av.open(str(path.absolute()), options=_OPTIONS, metadata_errors="replace")
    except FFmpegError as error:
        raise MediaError(
            f"media {path.name!r}",
            found=f"it cannot be opened ({error.strerror})",
            expected="a whole MP4, MOV, Matroska, WebM or MPEG-TS file",
            next_step="Check that the file arrived whole, or convert it to MP4 or WebM.",
        ) from error
    with container:
        yield container


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is the title's picture; a cover image is none.

    Raises:
        MediaError: there is none, or no decoder for it.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise MediaError(
            f"media {path.name!r}",
            found="no video stream",
            expected="one video stream and at most one that is heard",
            next_step="Deliver the title with its picture.",
        )
    best = container.streams.best("video")
    return _decodable(best if isinstance(best, VideoStream) and best in streams else streams[0], path)


def audio_stream(container: InputContainer, path: Path) -> AudioStream | None:
    """The stream that is the title's sound; None where there is none.

    Raises:
        MediaError: there is one, but no decoder for it.
    """
    best = container.streams.best("audio")
    return _decodable(best, path) if isinstance(best, AudioStream) else None


def _decodable(stream: _S, path: Path) -> _S:
    if stream.codec_context is None:
        raise MediaError(
            f"media {path.name!r}",
            found=f"{stream.type} stream {stream.index} in a codec without a decoder here",
            expected="a codec that FFmpeg decodes, e.g. H.264, VP9 or AV1 with AAC or Opus",
            next_step="Deliver the title in another codec.",
        )
    return stream


def prepare_decoder(video: VideoStream, limits: Limits) -> None:
    """Hold the video decoder to the limits: no frame above `max_pixels` is ever allocated."""
    video.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    video.codec_context.thread_type = "AUTO"
    video.codec_context.thread_count = limits.n_threads
