"""From a path to a title: examine without touching anything, then take whole, or refuse and leave all as it was."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mediafm_core.captions import read_cues
from mediafm_core.catalogue.declared import WITHDRAWN
from mediafm_core.catalogue.suite import Suite
from mediafm_core.catalogue.title import DeliveredFile, Metadata, Part, Title
from mediafm_core.delivered import Embeddings, check_delivered, read_label_table, read_shot_list
from mediafm_core.delivered_forms import read_form
from mediafm_core.errors import DeliveryError
from mediafm_core.identity import title_id, title_id_from_name
from mediafm_core.ingest.listing import Listing, check_listing, deliveries_below, list_delivery, listed, shown_name
from mediafm_core.ingest.metadata import read_metadata
from mediafm_core.media.declared import probe
from mediafm_core.planning.making import plain
from mediafm_core.planning.state import Step
from mediafm_core.stock import ask_for_suite
from mediafm_core.store.blobs import file_sha256
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import Rejection
from mediafm_core.workbench import Bench, Draft

SETTLE_S = 30.0
"""A delivery without `_COMPLETE` counts as complete when nothing in it was written for so long."""


class Examined(NamedTuple):
    """A delivery that can be taken."""

    listing: Listing
    title: Title
    suite: Suite | None  # that of the delivered embeddings, if any came


def examine(path: Path, *, title: str | None = None) -> Examined:
    """Read a delivery and check each of its parts, changing nothing.

    Args:
        path: a folder, or a media file with its sidecars.
        title: the id to take it under; by default its name, turned into an id.

    Raises:
        TitleIdError: `title` is no title id.
        DeliveryError: a part is missing, unreadable or wrong.
    """
    chosen = title_id(title) if title is not None else None
    listing = list_delivery(path)
    with _readable(listing):
        check_listing(listing)
        metadata, embeddings = _validate(listing), _delivered_embeddings(listing)
        files = tuple(_hashed(part, file) for part, file in listing.files)
    taken_as = chosen or title_id_from_name(listing.delivered_as)
    suite = embeddings.suite if embeddings else None
    found = Title(
        id=taken_as,
        delivered_as=listing.delivered_as,
        metadata=metadata,
        files=files,
        suite=suite.id if suite else None,
    )
    return Examined(listing, found, suite)


@contextmanager
def _readable(listing: Listing) -> Iterator[None]:
    """Refuse a delivery whose files cannot be read, or vanish while they are."""
    try:
        yield
    except OSError as error:
        raise DeliveryError(
            f"delivery {listing.delivered_as!r}",
            found=str(error),
            expected="files that can be read",
            next_step="Check that it has arrived whole and may be read, then deliver it again.",
        ) from error


def _hashed(part: Part, file: Path) -> DeliveredFile:
    return DeliveredFile(part=part, name=shown_name(file), sha256=file_sha256(file), n_bytes=file.stat().st_size)


def _validate(listing: Listing) -> Metadata:
    metadata = Metadata(name=listing.delivered_as)
    for part, file in listing.files:
        match part:
            case Part.MEDIA:
                probe(file)
            case Part.CAPTIONS:
                read_cues(file, shown_name(file))
            case Part.METADATA:
                metadata = read_metadata(file)
            case Part.LABELS:
                read_label_table(file)
    return metadata


def _delivered_embeddings(listing: Listing) -> Embeddings | None:
    """What was delivered instead of media, checked against the shot list that came with it."""
    paths = dict(listing.files)
    shot_list = read_shot_list(paths[Part.SHOT_LIST]) if Part.SHOT_LIST in paths else []
    files = {path.name: path for part, path in listing.files if part is Part.EMBEDDINGS}
    if not files:
        return None
    embeddings = read_form(files)
    check_delivered(shot_list, embeddings, paths[Part.EMBEDDINGS])
    return embeddings


def take(
    home: Home, examined: Examined, *, reinstate: bool = False, on_bytes: Callable[[int], None] | None = None
) -> bool:
    """Keep the delivery's bytes and declare its title; False where the title already is just this.

    Args:
        home: an open home.
        examined: the delivery.
        reinstate: take it also where the title was withdrawn, which it is no longer then.
        on_bytes: told of the bytes as they are copied.

    Raises:
        DeliveryError: a file changed since it was examined, or the title was withdrawn; then nothing is declared.
    """
    if not reinstate:
        check_active(home, examined.title)
    by_name = {shown_name(path): path for _, path in examined.listing.files}
    for file in examined.title.files:
        home.blobs.keep(by_name[file.name], file.sha256, on_bytes=on_bytes)
    if examined.suite:
        ask_for_suite(home, examined.suite)
    changed = home.declare("title", examined.title.id, plain(examined.title))
    if home.ledger.declared_one(WITHDRAWN, examined.title.id):
        changed |= home.declare(WITHDRAWN, examined.title.id, {})
    if examined.listing.path.resolve().parent == home.landing.resolve():
        home.declare(
            "landed", _place(examined.listing), {"signature": examined.listing.signature, "title": examined.title.id}
        )
    return changed


def check_active(home: Home, title: Title) -> None:
    """Refuse a delivery of a title that was withdrawn.

    Raises:
        DeliveryError: it was.
    """
    if withdrawn := home.ledger.declared_one(WITHDRAWN, title.id):
        on = datetime.fromtimestamp(withdrawn["at"], UTC).date()
        raise DeliveryError(
            f"delivery {title.delivered_as!r}",
            found=f"a title that was withdrawn on {on}{': ' + withdrawn['why'] if withdrawn['why'] else ''}",
            expected="an active title, or a new one",
            next_step="If it may be shown again, take it with `mediafm ingest PATH --reinstate`.",
        )


def _place(listing: Listing) -> str:
    """The name under which a home remembers what it took last from this place in its landing folder."""
    return title_id_from_name(listing.path.name)


class Arrivals(NamedTuple):
    """What lies in a landing folder and was neither taken nor refused before."""

    complete: tuple[Listing, ...]
    arriving: tuple[Listing, ...]  # not complete yet


def arrivals(home: Home) -> Arrivals:
    """Look through the landing folder; nothing inside a file is read.

    What vanishes meanwhile is nothing. What cannot be listed is among the deliveries, to be refused by itself.
    """
    taken = {place: body["signature"] for place, body in home.ledger.declared("landed").items()}
    refused = {rejection.signature for rejection in home.ledger.rejections()}
    there = [(listing, listing.signature) for path in deliveries_below(home.landing) if (listing := listed(path))]
    new = [
        listing for listing, signature in there if signature not in refused and taken.get(_place(listing)) != signature
    ]
    complete = tuple(found for found in new if found.complete or time.time() - found.changed_at > SETTLE_S)
    return Arrivals(complete, tuple(found for found in new if found not in complete))


def take_or_refuse(home: Home, listing: Listing) -> Examined | DeliveryError:
    """Take what lies in the landing folder; a refusal is remembered, so that it is shown and not examined at each look.

    It is not where the delivery has changed or vanished meanwhile: then the next look finds what there is.

    Returns:
        What was taken, or why it was refused.
    """
    try:
        examined = examine(listing.path)
        take(home, examined)
    except DeliveryError as error:
        now = listed(listing.path)
        if now and now.signature == listing.signature:
            home.ledger.reject(Rejection(listing.signature, listing.delivered_as, str(error)))
        return error
    return examined


def make_delivery(bench: Bench, step: Step) -> Draft:
    """The record of what was delivered for a title: its files by hash, its metadata, what its media declares."""
    title = bench.title(step)
    info = probe(bench.delivered(step, Part.MEDIA)) if title.part_files(Part.MEDIA) else None
    facts: dict[str, Any] = {
        "name": title.metadata.name,
        "n_files": len(title.files),
        "n_bytes": sum(file.n_bytes for file in title.files),
        "suite": title.suite,
    }
    if info:
        facts |= {"declared_s": info.duration_s, "width": info.width, "height": info.height}
        facts |= {"video_codec": info.video_codec, "audio_codec": info.audio_codec}
    return Draft({"title": plain(title), "media": asdict(info) if info else None}, facts)
