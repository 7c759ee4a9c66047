"""The pictures of one page, inside the page."""

import base64
from collections.abc import Iterator

from mediafm_core.errors import ArtifactError

_TYPES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


class PictureSheet:
    """Each picture of a page is written once, at its end, and used by its name wherever it is shown.

    The same few shots are the nearest of many others: written out at each place, they would be most of the file.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def name_of(self, picture: bytes) -> str:
        """The name under which the page refers to a picture; the same bytes have one name."""
        return f"picture-{self._numbers.setdefault(picture, len(self._numbers))}"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The name and `data:` URI of each picture that was named."""
        return ((self.name_of(picture), data_uri(picture)) for picture in self._numbers)


def data_uri(picture: bytes) -> str:
    """A picture as a `data:` URI.

    Raises:
        ArtifactError: the bytes begin neither as a JPEG nor as a PNG.
    """
    for start, media_type in _TYPES:
        if picture.startswith(start):
            return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"
    raise ArtifactError(
        "thumbnail",
        found=f"{len(picture)} bytes that begin with {picture[:8].hex(' ') or 'nothing'}",
        expected="a JPEG or PNG file",
        next_step="Delete the title's thumbnails below artifacts/, then run `mediafm rebuild` and `mediafm apply`.",
    )
