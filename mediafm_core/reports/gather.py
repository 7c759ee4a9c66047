"""What the pages show, gathered from the open snapshot of a home and from its thumbnails."""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import NamedTuple, Self

import pyarrow.parquet as pq

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.consumption.catalogue import Catalogue, Shots
from mediafm_core.consumption.similarity import SimilarShot, similar_shots, similar_titles
from mediafm_core.errors import SnapshotError
from mediafm_core.identity import Span
from mediafm_core.reports.cards import EncoderCard, Neighbour, Still
from mediafm_core.reports.demo_page import Match, NewTitle
from mediafm_core.reports.sampling import even_sample
from mediafm_core.reports.title_page import MAX_STRIP, StripShot, TitlePage
from mediafm_core.snapshots import Snapshot, open_snapshot
from mediafm_core.store.home import Home, artifact_path
from mediafm_core.store.manifest import read_manifest
from mediafm_core.store.vectors import spans_of

HANDFUL = 100
"""An encoder of fewer titles than this shows the mechanics; nobody should judge quality by it."""
N_TITLES = 5
"""How many nearest titles a page lists."""

ShotName = tuple[str, Span]
"""A title and the span of one of its shots."""


class TrueShot(NamedTuple):
    """A shot of a new title, and where it is known to come from."""

    span: Span  # in the new title
    sources: tuple[Span, ...]  # in the film, the most important first; empty where none is known


class _View(NamedTuple):
    """A home and one snapshot of it, which stays the same however long the gathering takes."""

    home: Home
    snapshot: Snapshot
    catalogue: Catalogue
    names: Mapping[str, str]  # of titles, by id

    @classmethod
    def open(cls, home: Home) -> Self:
        snapshot = open_snapshot(str(home.root))
        catalogue = Catalogue(snapshot)
        return cls(home, snapshot, catalogue, {entry.title: entry.name for entry in catalogue.titles()})

    def path(self, title: str, role: str) -> str:
        """The path of the artifact that the snapshot has of a title in a role, e.g. `shots`."""
        row = self.snapshot.table["title"].to_pylist().index(title)
        return self.snapshot.table[f"{role}_path"][row].as_py()


class _Stills:
    """Shots with their pictures."""

    def __init__(self, view: _View, shown: Iterable[ShotName]) -> None:
        self._names = view.names
        self._pictures = _pictures(view, shown)

    def still(self, title: str, span: Span, text: str) -> Still:
        return Still(title, self._names[title], span, text, self._pictures.get((title, span)))

    def near(self, hits: Iterable[SimilarShot]) -> tuple[Neighbour, ...]:
        return tuple(Neighbour(self.still(hit.title, hit.span, hit.text), hit.cosine) for hit in hits)


def title_page_of(home: Home, title: str, *, nearest: int = 3) -> TitlePage:
    """The page of a title, as readers see the title now.

    Args:
        home: an open home.
        title: its id.
        nearest: how many shots of other titles to show for each shot.

    Raises:
        SnapshotError: nothing was published, or the snapshot has no such title.
        ArtifactError: an artifact of it is gone or has changed.
    """
    view = _View.open(home)
    shots = view.catalogue.shots(title)
    shown = even_sample(len(shots.spans), MAX_STRIP)
    query = _some(shots, shown)
    found = similar_shots(view.catalogue, query, within=[t for t in view.names if t != title], most=nearest)
    stills = _Stills(view, [*((title, span) for span in query.spans), *_named(found)])
    strip = zip(shown, query.spans, query.texts, found, strict=True)
    return TitlePage(
        entry=view.catalogue.title(title),
        encoder=_encoder_card(view)[0],
        shots=shots,
        text_source=_text_source(view, title),
        nearest_titles=tuple(similar_titles(view.catalogue, title, most=N_TITLES)),
        strip=tuple(StripShot(i + 1, stills.still(title, span, text), stills.near(h)) for i, span, text, h in strip),
    )


def encoder_of(home: Home) -> tuple[EncoderCard, int]:
    """Whose embeddings readers of a home see, and on how many titles that encoder was trained.

    Raises:
        SnapshotError: nothing was published, or by an encoder that the home does not know.
    """
    return _encoder_card(_View.open(home))


def new_title_of(
    home: Home, title: str, *, film: str, truth: Sequence[TrueShot], goal: int, nearest: int = 3
) -> NewTitle:
    """What the shots of a new title find in a film, beside where they truly come from.

    Each true shot stands for the detected shot that overlaps it most.

    Args:
        home: an open home.
        title: the new title's id.
        film: the id of the title to look in.
        truth: the new title's shots as they are known, by start.
        goal: how many of them should find their source first.
        nearest: how many shots of the film to show for each.

    Raises:
        SnapshotError: nothing was published, or the snapshot lacks one of the titles.
        ArtifactError: an artifact is gone or has changed.
    """
    view = _View.open(home)
    shots, film_shots = view.catalogue.shots(title), view.catalogue.shots(film)
    query = _some(shots, [_most_overlapping(shots, true.span) for true in truth])
    found = similar_shots(view.catalogue, query, within=[film], most=nearest)
    origins = [_most_overlapping(film_shots, true.sources[0]) if true.sources else None for true in truth]
    shown_origins = [(film, film_shots.spans[i]) for i in origins if i is not None]
    stills = _Stills(view, [*((title, span) for span in query.spans), *_named(found), *shown_origins])
    matches = [
        Match(
            shot=stills.still(title, query.spans[i], query.texts[i]),
            nearest=stills.near(found[i]),
            sources=true.sources,
            source=None if at is None else stills.still(film, film_shots.spans[at], film_shots.texts[at]),
        )
        for i, (true, at) in enumerate(zip(truth, origins, strict=True))
    ]
    titles = tuple(similar_titles(view.catalogue, title, most=N_TITLES))
    return NewTitle(title, view.names[title], titles, tuple(matches), goal)


def _some(shots: Shots, indices: list[int]) -> Shots:
    return shots._replace(
        spans=tuple(shots.spans[i] for i in indices),
        texts=tuple(shots.texts[i] for i in indices),
        vectors=shots.vectors[indices],
    )


def _most_overlapping(shots: Shots, span: Span) -> int:
    return max(range(len(shots.spans)), key=lambda i: shots.spans[i].overlap_s(span))


def _named(found: Iterable[Iterable[SimilarShot]]) -> list[ShotName]:
    return [(hit.title, hit.span) for hits in found for hit in hits]


def _pictures(view: _View, shown: Iterable[ShotName]) -> dict[ShotName, bytes]:
    """The thumbnails of some shots. A title without thumbnails of the snapshot's very shots has none here."""
    spans: dict[str, set[Span]] = {}
    for title, span in shown:
        spans.setdefault(title, set()).add(span)
    made_from = {artifact_path(row.manifest.inputs["shots"]): row for row in view.home.ledger.artifacts("thumbnails")}
    pictures: dict[ShotName, bytes] = {}
    for title, wanted in spans.items():  # one title's thumbnails in memory at a time
        if row := made_from.get(view.path(title, "shots")):
            table = pq.read_table(BytesIO(view.home.read(row.key)))
            found = zip(spans_of(table), table["picture"].to_pylist(), strict=True)
            pictures |= {(title, span): picture for span, picture in found if span in wanted}
    return pictures


def _text_source(view: _View, title: str) -> str:
    path = view.path(title, "timed_text")
    sources = read_manifest(path, view.snapshot.objects.read(path)).facts.get("sources", "an unnamed source")
    return str(sources).replace("_", " ")


def _encoder_card(view: _View) -> tuple[EncoderCard, int]:
    name = view.snapshot.encoder
    declared = view.home.ledger.declared_one("encoder", name)
    if declared is None:
        raise SnapshotError(
            f"encoder {name!r}",
            found="a snapshot of an encoder that the home does not know",
            expected="a declared encoder",
            next_step="Run `mediafm rebuild`.",
        )
    spec = EncoderSpec.from_json(declared)
    n_titles = len(spec.corpus)
    label = f"pre-trained on {n_titles} {'title' if n_titles == 1 else 'titles'}"
    return EncoderCard(name, spec.suite, label + (": mechanics, not quality" if n_titles < HANDFUL else "")), n_titles
