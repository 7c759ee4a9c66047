"""Which files of a folder are what: docs/delivery.md as code."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mediafm_core.catalogue.title import Part
from mediafm_core.delivered_forms import is_form
from mediafm_core.errors import DeliveryError
from mediafm_core.identity import canonical_json

COMPLETE = "_COMPLETE"
"""An empty file that says: everything has arrived."""

MEDIA_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".mpg", ".mpeg"})

_PATTERNS = (
    (Part.MEDIA, re.compile(r"media\.[a-z0-9]+")),
    (Part.CAPTIONS, re.compile(r"captions([._-][a-z0-9._-]+)?\.(vtt|srt)")),
    (Part.METADATA, re.compile(r"title\.json")),
    (Part.SHOT_LIST, re.compile(r"shots\.parquet")),
    (Part.EMBEDDINGS, re.compile(r"embeddings\.(parquet|safetensors|json|(shots|video|audio|text|metadata)\.npy)")),
    (Part.LABELS, re.compile(r"labels\.parquet")),
)
_CAPTION_SUFFIXES = frozenset({".vtt", ".srt"})


class Listing(NamedTuple):
    """The files of one delivery, before anybody looked inside."""

    path: Path  # of the folder, or of the bare media file
    delivered_as: str
    files: tuple[tuple[Part, Path], ...]
    ignored: tuple[str, ...]  # names that are no part of a delivery
    complete: bool

    @property
    def signature(self) -> str:
        """Changes with every change of a file's name, size or time; cheap, so that a folder can be watched."""
        stats = [(shown_name(path), path.lstat().st_size, path.lstat().st_mtime_ns) for _, path in self.files]
        return hashlib.sha256(canonical_json([self.delivered_as, sorted(stats)]).encode()).hexdigest()

    @property
    def changed_at(self) -> float:
        """When a file of the delivery was last written or named, in seconds since the epoch."""
        return max((path.lstat().st_ctime for _, path in self.files), default=self.path.lstat().st_ctime)


def shown_name(path: Path) -> str:
    """A file's name as text; a byte of it that is no UTF-8 is written out, so that the name can be stored anywhere."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def list_delivery(path: Path) -> Listing:
    """Recognise the parts of a delivery: a folder, or a media file with its sidecars (same stem).

    Raises:
        DeliveryError: the path is neither.
    """
    if path.is_dir():
        return _list_folder(path)
    if path.is_file() and _is_media(path):
        return _list_bare(path)
    raise DeliveryError(
        f"delivery {shown_name(path)!r}",
        found="a file that is no media" if path.exists() else "nothing at this path",
        expected=f"a folder with media.*, or a file ending in {', '.join(sorted(MEDIA_SUFFIXES))}",
        next_step="See docs/delivery.md.",
    )


def _list_folder(folder: Path) -> Listing:
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    parts = [(part, file) for file in files for part, pattern in _PATTERNS if pattern.fullmatch(file.name)]
    known = {file for _, file in parts} | {folder / COMPLETE}
    ignored = tuple(shown_name(file) for file in files if file not in known)
    return Listing(folder, shown_name(folder), tuple(parts), ignored, folder / COMPLETE in files)


def _list_bare(media: Path) -> Listing:
    beside = sorted(p for p in media.parent.iterdir() if p.name.startswith(f"{media.stem}."))
    longer = tuple(f"{p.stem}." for p in beside if _is_media(p) and p.stem != media.stem)  # film.2.mp4 beside film.mp4
    own = [(p, _bare_part(p, media)) for p in beside if not p.name.startswith(longer)]
    parts = tuple((part, p) for p, part in own if part)
    ignored = tuple(shown_name(p) for p, part in own if not part)
    return Listing(media, shown_name(media.with_suffix("")), parts, ignored, complete=False)


def _bare_part(file: Path, media: Path) -> Part | None:
    """What a file is to the bare media file whose stem its name begins with."""
    if _is_media(file):
        return Part.MEDIA
    if file.suffix.lower() in _CAPTION_SUFFIXES:
        return Part.CAPTIONS
    return Part.METADATA if file.name == f"{media.stem}.json" else None


def _is_media(file: Path) -> bool:
    return file.suffix.lower() in MEDIA_SUFFIXES


def check_listing(listing: Listing) -> None:
    """Check that a listing has the parts that a delivery needs.

    Raises:
        DeliveryError: it has neither media nor a shot list with embeddings, embeddings without a shot list or in
            more forms than one, more than one media file or title.json, or a link in a file's place.
    """
    n_of = Counter(part for part, _ in listing.files)
    for part, one in ((Part.MEDIA, "one media.* file"), (Part.METADATA, "at most one title.json")):
        if n_of[part] > 1:
            raise _refused(listing, f"{n_of[part]} files of its {part.value}", one)
    embeddings = sorted(shown_name(path) for part, path in listing.files if part is Part.EMBEDDINGS)
    if embeddings and not is_form(embeddings):
        raise _refused(listing, f"the files {', '.join(embeddings)}", "embeddings in one form, whole")
    if n_of[Part.EMBEDDINGS] and not n_of[Part.SHOT_LIST]:
        raise _refused(listing, "embeddings without a shot list", "shots.parquet beside the embeddings")
    if not n_of[Part.MEDIA] and not n_of[Part.EMBEDDINGS]:
        raise _refused(listing, "no media", "a media.* file, or shots.parquet with embeddings")
    links = [shown_name(path) for _, path in listing.files if path.is_symlink() or not path.is_file()]
    if links:
        raise _refused(listing, f"{links[0]!r}, which is a link or no file", "plain files")


def _refused(listing: Listing, found: str, expected: str) -> DeliveryError:
    return DeliveryError(
        f"delivery {listing.delivered_as!r}",
        found=found,
        expected=expected,
        next_step="See docs/delivery.md, mend the delivery, and deliver it again.",
    )


def deliveries_in(folder: Path) -> Iterable[Path]:
    """The paths in a folder that can be deliveries: its folders and its bare media files, by name.

    A folder that itself holds `media.*` or `embeddings.*` is one delivery, not a folder of deliveries.
    """
    if not folder.is_dir() or any(folder.glob("media.*")) or any(folder.glob("embeddings.*")):
        return [folder]
    return deliveries_below(folder)


def deliveries_below(folder: Path) -> list[Path]:
    """The folders and bare media files directly inside a folder of deliveries, by name."""
    visible = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "_")) and not p.is_symlink())
    return [p for p in visible if p.is_dir() or _is_media(p)]
