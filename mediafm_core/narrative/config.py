"""What a narrative world is made from. Two worlds of equal configuration are one world; any difference makes two."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final

from mediafm_core.errors import DimensionError
from mediafm_core.identity import fingerprint

RECIPE: Final = 1
"""The version of the recipe; raised by hand whenever a title of a given world and seed comes out otherwise."""

GENRES: Final = (
    "Action",
    "Anime",
    "Comedy",
    "Documentary",
    "Drama",
    "Fantasy",
    "Horror",
    "Kids",
    "Romance",
    "Sci-fi",
    "Thriller",
)
"""The 11 genres of the MediaFM post."""

N_SEEDS: Final = 10**6
"""Seeds that titles may have, from 0: six digits in a title's id."""

_N_LABELS_AT_MOST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """A world: its seed, the widths of its suite, how noisy its senses and its judges are.

    Raises:
        DimensionError: a width or count below 1, a share outside [0, 1), a negative noise or seed.
    """

    seed: int = 0  # draws all maps and directions; title seeds are another matter
    video_dims: int = 96
    audio_dims: int = 48
    text_dims: int = 64  # also the width of the metadata embedding: the same encoder reads both
    expression_noise: float = 0.9  # how far one shot's expression strays from what the scene is about
    nuisance: float = 0.8  # weight of what a modality holds that is about nothing: framing, room tone, wording
    sensor_noise: float = 0.35  # white noise on the embeddings, relative to their own spread
    common: float = 2.0  # length of the mean that all embeddings of a modality share, relative to their spread
    judgement_noise: float = 0.35  # of the people who label, relative to the spread of what they judge
    share_without_text: float = 0.40
    share_without_audio: float = 0.02
    n_tones: int = 100
    n_ad_labels: int = 10

    def __post_init__(self) -> None:
        counts = {"video_dims": self.video_dims, "audio_dims": self.audio_dims, "text_dims": self.text_dims}
        labels = {"n_tones": self.n_tones, "n_ad_labels": self.n_ad_labels}
        shares = {"share_without_text": self.share_without_text, "share_without_audio": self.share_without_audio}
        for name, count in {**counts, **labels}.items():
            _require(count >= 1, name, count, "at least 1")
        for name, count in labels.items():
            _require(count <= _N_LABELS_AT_MOST, name, count, f"at most {_N_LABELS_AT_MOST}")
        for name, share in shares.items():
            _require(0 <= share < 1, name, share, "a share in [0, 1)")
        _require(self.seed < 10**9, "seed", self.seed, "below 1,000,000,000")
        for name in ("seed", "expression_noise", "nuisance", "sensor_noise", "common", "judgement_noise"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")

    @property
    def fingerprint(self) -> str:
        """64 hex digits over the recipe's version and all fields: the weights hash of the world's suite."""
        return fingerprint("narrative world", {"recipe": RECIPE, **asdict(self)})


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise DimensionError(
            f"narrative world: {name}",
            found=str(found),
            expected=expected,
            next_step="Change the world's configuration.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How many shots titles have: log-normal around a median, or evenly spread where `spread` is 0.

    Raises:
        DimensionError: `low` is below 2 or above `high`, or a spread without a positive median.
    """

    low: int
    high: int
    median: float = 0.0
    spread: float = 0.0  # of the logarithm

    def __post_init__(self) -> None:
        _require(2 <= self.low <= self.high, "lengths", f"[{self.low}, {self.high}]", "2 <= low <= high, in shots")
        _require(self.spread == 0 or self.median > 0, "median length", self.median, "above 0 where lengths spread")


SHORT: Final = Lengths(low=40, high=160)
"""What a demo can afford."""

MOVIENET: Final = Lengths(low=150, high=4043, median=1488, spread=0.41)
"""Near MovieNet's 318 films: median 1,488 shots, a tenth below 869, a tenth above 2,469, at most 4,043."""

LENGTHS: Final[Mapping[str, Lengths]] = MappingProxyType({"short": SHORT, "movienet": MOVIENET})
"""By name."""
