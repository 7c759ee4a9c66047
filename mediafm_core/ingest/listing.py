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
    stamps: tuple[tuple[object, ...], ...]  # of each file its name, size and time, as they were when it was listed
    changed_at: float  # when a file was last written or named, in seconds since the epoch
    fault: str = ""  # why it could not be listed; then it has no files

    @property
    def signature(self) -> str:
        """Changes with every change of a file's name, size or time; cheap, so that a folder can be watched."""
        return hashlib.sha256(canonical_json([self.delivered_as, sorted(self.stamps)]).encode()).hexdigest()


def shown_name(path: Path) -> str:
    """A file's name as text; a byte of it that is no UTF-8 is written out, so that the name can be stored anywhere."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def list_delivery(path: Path) -> Listing:
    """Recognise the parts of a delivery: a folder, or a media file with its sidecars (same stem).

    Raises:
        DeliveryError: the path is neither.
    """
    if found := listed(path):
        return found
    raise DeliveryError(
        f"delivery {shown_name(path)!r}",
        found="a file that is no media" if path.exists() else "nothing at this path",
        expected=f"a folder with media.*, or a file ending in {', '.join(sorted(MEDIA_SUFFIXES))}",
        next_step="See docs/delivery.md.",
    )


def listed(path: Path) -> Listing | None:
    """The same of what others may move, lock or replace meanwhile: it never raises, and opens no file.

    Returns:
        What lies there: with its fault where it cannot be listed, and None where there is no delivery (any more).
    """
    try:
        if path.is_dir():
            return _list_folder(path)
        return _list_bare(path) if _is_media(path) else None
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unlistable(path, error)


def _list_folder(folder: Path) -> Listing:
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    parts = [(part, file) for file in files for part, pattern in _PATTERNS if pattern.fullmatch(file.name)]
    known = {file for _, file in parts} | {folder / COMPLETE}
    ignored = tuple(shown_name(file) for file in files if file not in known)
    return _stamped(Listing(folder, shown_name(folder), tuple(parts), ignored, folder / COMPLETE in files, (), 0.0))


def _list_bare(media: Path) -> Listing:
    media.lstat()  # whether it is still there; a link or a pipe is listed, and refused when it is checked
    beside = sorted(p for p in media.parent.iterdir() if p.name.startswith(f"{media.stem}."))
    longer = tuple(f"{p.stem}." for p in beside if _is_media(p) and p.stem != media.stem)  # film.2.mp4 beside film.mp4
    own = [(p, _bare_part(p, media)) for p in beside if not p.name.startswith(longer)]
    parts = tuple((part, p) for p, part in own if part)
    ignored = tuple(shown_name(p) for p, part in own if not part)
    return _stamped(Listing(media, shown_name(media.with_suffix("")), parts, ignored, False, (), 0.0))


def _stamped(found: Listing) -> Listing:
    """The same with the state of its files, but those that have vanished since they were named."""
    stats = [(part, file, stat) for part, file in found.files if (stat := _stat(file))]
    changed_at = max((stat.st_ctime for *_, stat in stats), default=found.path.lstat().st_ctime)
    stamps = tuple(_stamp(file, stat) for _, file, stat in stats)
    return found._replace(files=tuple((part, file) for part, file, _ in stats), stamps=stamps, changed_at=changed_at)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _stamp(file: Path, stat: os.stat_result) -> tuple[object, ...]:
    """Of a file that may not be read its mode counts too: a changed right changes neither its size nor its time."""
    mode = () if os.access(file, os.R_OK) else (stat.st_mode,)
    return shown_name(file), stat.st_size, stat.st_mtime_ns, *mode


def _unlistable(path: Path, error: OSError) -> Listing:
    """What may not be read, or does not answer; its stamp changes with its rights and what is in it."""
    try:
        stat = path.lstat()
        stamp, changed_at = (error.errno, stat.st_mode, stat.st_ctime_ns), stat.st_ctime
    except OSError:  # not even that can be asked, as of a mount whose other side is gone
        stamp, changed_at = (error.errno,), 0.0
    return Listing(path, shown_name(path), (), (), False, (stamp,), changed_at, fault=error.strerror or str(error))


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
        DeliveryError: it could not be listed; it has neither media nor a shot list with embeddings, embeddings without
            a shot list or in more forms than one, more than one media file or title.json, or a link in a file's place.
    """
    if listing.fault:
        raise _refused(listing, f"what cannot be listed: {listing.fault}", "a folder that can be read")
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
    try:
        if not folder.is_dir() or any(folder.glob("media.*")) or any(folder.glob("embeddings.*")):
            return [folder]
        return deliveries_below(folder)
    except PermissionError:
        return [folder]  # one delivery that cannot be read: it is refused by name


def deliveries_below(folder: Path) -> list[Path]:
    """The folders and bare media files directly inside a folder of deliveries, by name; none of them is looked at."""
    with os.scandir(folder) as entries:
        visible = [e for e in entries if not e.name.startswith((".", "_")) and not e.is_symlink()]
        names = [e.name for e in visible if e.is_dir(follow_symlinks=False) or _is_media(Path(e.name))]
    return [folder / name for name in sorted(names)]
