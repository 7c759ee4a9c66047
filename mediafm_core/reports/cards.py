"""What pages show of a shot, of the shots near it, and of an encoder."""

from typing import NamedTuple

from mediafm_core.identity import Span


class Still(NamedTuple):
    """A shot as a page shows it."""

    title: str  # its title's id
    name: str  # its title's name
    span: Span
    text: str  # what is said in it, "" where nothing is
    picture: bytes | None  # JPEG or PNG; None where the title has no thumbnails


class Neighbour(NamedTuple):
    """A shot that was found for another one."""

    still: Still
    cosine: float


class EncoderCard(NamedTuple):
    """Who made the vectors of a page, and what may be expected of them."""

    name: str
    suite: str
    label: str  # what the encoder is, e.g. "pre-trained on 6 titles: mechanics, not quality"
