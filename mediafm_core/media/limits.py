"""What a media file may cost before it is refused."""

from dataclasses import dataclass, fields

_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps on one decode. The child process that decodes is held to them; a file that passes one is refused."""

    max_pixels: int = 8192 * 4320  # of one frame as stored; checked before a frame is allocated
    max_aspect: float = 8.0  # long side over short side as shown; a still's long side grows with it
    max_duration_s: float = 12 * 3600.0  # of the title, as declared and as decoded
    max_file_bytes: int = 64 * _GIB  # of each file of the working set; stills take about 1 GiB per 16 minutes
    address_space_bytes: int = 8 * _GIB  # of the child; Linux only
    floor_s: float = 120.0  # CPU and wall seconds that every file gets, however short it is
    cpu_s_per_media_s: float = 8.0  # CPU seconds per second of media, on top
    wall_s_per_media_s: float = 16.0  # wall seconds per second of media, on top
    n_threads: int = 2  # of the video decoder; moves wall time, not the result

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) <= 0:
                raise ValueError(f"limit {each.name} is {getattr(self, each.name)}; expected a positive number")

    def cpu_s(self, declared_s: float | None) -> int:
        """CPU seconds for a file that declares `declared_s` seconds; one that declares nothing gets the most."""
        return round(self.floor_s + self.cpu_s_per_media_s * self._media_s(declared_s))

    def wall_s(self, declared_s: float | None) -> float:
        """Wall seconds for a file that declares `declared_s` seconds; one that declares nothing gets the most."""
        return self.floor_s + self.wall_s_per_media_s * self._media_s(declared_s)

    def _media_s(self, declared_s: float | None) -> float:
        return self.max_duration_s if declared_s is None else min(declared_s, self.max_duration_s)
