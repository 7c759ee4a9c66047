"""The delivered bytes, kept under their sha256: what was delivered stays as it was, whatever happens in the landing."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mediafm_core.errors import ArtifactError, DeliveryError
from mediafm_core.store.objects import link_new, temporary_beside, write_temporary

_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Blobs:
    """A folder of files named by their content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the bytes with this hash lie.

        Raises:
            ArtifactError: they were never kept here.
        """
        path = self._place(sha256)
        if not path.exists():
            raise ArtifactError(
                f"delivered file {sha256}",
                found="nothing",
                expected="the bytes that were delivered",
                next_step="Deliver the title again.",
            )
        return path

    def keep(self, source: Path, sha256: str, *, on_bytes: Callable[[int], None] | None = None) -> Path:
        """Copy a file in, checking on the way that it still is what was examined.

        Raises:
            DeliveryError: its bytes have changed since, or it can be read no more; nothing is kept.
        """
        place = self._place(sha256)
        if place.exists():
            return place
        temporary = temporary_beside(place)
        try:
            if _copy(source, temporary, on_bytes) != sha256:
                raise DeliveryError(
                    f"file {source.name!r}",
                    found="bytes that changed while they were taken in",
                    expected=f"sha256 {sha256}",
                    next_step="Wait until the delivery is complete, then deliver it again.",
                )
            link_new(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
        return place

    def keep_bytes(self, data: bytes) -> str:
        """Keep bytes that were made here; returns their sha256."""
        sha256 = hashlib.sha256(data).hexdigest()
        place = self._place(sha256)
        if not place.exists():
            temporary = write_temporary(place, data)
            link_new(temporary, place)
            temporary.unlink(missing_ok=True)
        return sha256

    def delete(self, sha256: str) -> int:
        """Remove the bytes with this hash; returns how many they were, 0 where they are gone."""
        place = self._place(sha256)
        n_bytes = place.stat().st_size if place.exists() else 0
        place.unlink(missing_ok=True)
        return n_bytes

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256


def _copy(source: Path, target: Path, on_bytes: Callable[[int], None] | None) -> str:
    digest = hashlib.sha256()
    with _reading(source) as reader, target.open("xb") as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            writer.write(block)
            if on_bytes:
                on_bytes(len(block))
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _reading(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:  # apart from what may be wrong with the disk that is written to
        raise DeliveryError(
            f"file {source.name!r}",
            found=str(error),
            expected="the file that was examined",
            next_step="Check that it has arrived whole and may be read, then deliver it again.",
        ) from error
