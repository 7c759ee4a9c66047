"""Working sets of a home: decoded once for a title's whole chain, evicted when newer ones need the room."""

import logging
import os
import shutil
from pathlib import Path

from mediafm_core.catalogue.title import Part, Title
from mediafm_core.errors import MediaError
from mediafm_core.identity import title_id
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import WorkingSet
from mediafm_core.planning.state import Step
from mediafm_core.workbench import Bench

_log = logging.getLogger(__name__)

MAX_KEPT = 2
"""Working sets on disk at a time; a film of two hours takes about 8 GB."""


def working_set(bench: Bench, step: Step) -> WorkingSet:
    """The decoded media of the title that a step is about, decoded now if it is not at hand.

    Raises:
        MediaError: the media cannot be decoded whole.
        ArtifactError: its bytes are no longer in the home.
    """
    media = _media_of(bench.title(step))
    folder = bench.home.work / media
    if kept := _kept(folder):
        return kept
    _evict(bench.home.work, keep=MAX_KEPT - 1)
    return decode(bench.home.blobs.path(media), folder, bench.reporter.advance)


def decode_ahead(bench: Bench, step: Step, running: str) -> None:
    """Decode the media that a step will read, while another title is worked on.

    That title's working set stays, or the one that it decodes just now: beside these two there is none.

    Args:
        bench: of the step.
        step: that will come.
        running: the title that is worked on.

    Raises:
        MediaError, ArtifactError: as `working_set`.
    """
    work, media = bench.home.work, _media_of(bench.title(step))
    if not (work / media).is_dir():
        spared = _media_of(bench.state.titles[title_id(running)])
        _evict(work, keep=0, spare=spared)
        decode(bench.home.blobs.path(media), work / media)


def _media_of(title: Title) -> str:
    (media,) = title.part_files(Part.MEDIA)
    return media.sha256


def _kept(folder: Path) -> WorkingSet | None:
    """The working set that is at hand; None where there is none, or it is damaged, or somebody evicts it just now.

    A fault of the cache is no fault of the title's media: the set is thrown away, and made again.
    """
    if not folder.is_dir():
        return None
    try:
        os.utime(folder)  # read last
        return WorkingSet.open(folder)
    except (MediaError, FileNotFoundError) as damage:
        _log.warning("%s; it is made again", damage)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _evict(work: Path, *, keep: int, spare: str = "") -> None:
    found = (p for p in work.iterdir() if p.is_dir() and len(p.name) == 64 and p.name != spare)
    sets = sorted(found, key=lambda p: p.stat().st_mtime)
    for stale in sets[: max(0, len(sets) - keep)]:
        shutil.rmtree(stale, ignore_errors=True)  # who has it mapped keeps reading; who comes later decodes again
