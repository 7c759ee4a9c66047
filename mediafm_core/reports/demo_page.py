"""The page of the demo: what a cold start did, and whether the new titles find their source."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.consumption.similarity import SimilarTitle
from mediafm_core.identity import Span
from mediafm_core.reports.cards import EncoderCard, Neighbour, Still
from mediafm_core.reports.render import render

MIN_SHARE = 0.5
"""Of the shorter of the two, a found shot and a true source: so much of it must overlap."""

StepName = tuple[str, str]
"""An asset and a partition of it."""


class TitleFigures(NamedTuple):
    """One title in numbers."""

    title: str
    name: str
    n_shots: int
    duration_s: float
    arrived: str  # the name of the phase in which it came


class Phase(NamedTuple):
    """One round of planning and applying."""

    name: str
    planned: frozenset[StepName]
    executed: frozenset[StepName]
    seconds: Mapping[str, float]  # spent on each asset; one that is absent took no time of its own

    @property
    def equal(self) -> bool:
        """Whether just what was planned was executed."""
        return self.planned == self.executed

    @property
    def rows(self) -> list["PhaseRow"]:
        """One row for each asset, upstream first."""
        order = {kind: i for i, kind in enumerate(KINDS)}
        names = {asset for asset, _ in self.planned | self.executed} | self.seconds.keys()
        planned, executed = (Counter(asset for asset, _ in steps) for steps in (self.planned, self.executed))
        differ = {asset for asset, _ in self.planned ^ self.executed}
        return [
            PhaseRow(name, planned[name], executed[name], name not in differ, self.seconds.get(name))
            for name in sorted(names, key=lambda name: (order.get(name, len(order)), name))
        ]

    @property
    def not_executed(self) -> list[StepName]:
        """Steps that were planned alone."""
        return sorted(self.planned - self.executed)

    @property
    def not_planned(self) -> list[StepName]:
        """Steps that were executed alone."""
        return sorted(self.executed - self.planned)


class PhaseRow(NamedTuple):
    """One asset in one phase."""

    asset: str
    n_planned: int
    n_executed: int
    equal: bool  # as sets of partitions, not as counts
    seconds: float | None


class Match(NamedTuple):
    """A shot of a new title beside what it finds in the film."""

    shot: Still
    nearest: tuple[Neighbour, ...]  # in the film, best first
    sources: tuple[Span, ...]  # where in the film it truly comes from; empty where no source is known
    source: Still | None  # the film's shot at the first of them

    @property
    def found_first(self) -> bool | None:
        """Whether the nearest shot of the film is a true source; None where no source is known."""
        return (bool(self.nearest) and self.is_source(self.nearest[0])) if self.sources else None

    def is_source(self, found: Neighbour) -> bool:
        """Whether a shot of the film is a true source: it and one of the sources overlap by half of the shorter."""
        span = found.still.span
        return any(
            span.overlap_s(source) >= MIN_SHARE * min(span.duration_s, source.duration_s) for source in self.sources
        )


class NewTitle(NamedTuple):
    """What a new title finds."""

    title: str
    name: str
    nearest_titles: tuple[SimilarTitle, ...]  # best first
    matches: tuple[Match, ...]  # in the order of the title
    goal: int  # so many matches at least should find their source first

    @property
    def n_found(self) -> int:
        """Shots whose nearest shot in the film is their true source."""
        return sum(match.found_first is True for match in self.matches)

    @property
    def n_known(self) -> int:
        """Shots whose true source is known."""
        return sum(match.found_first is not None for match in self.matches)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPage:
    """All that the page of the demo shows."""

    encoder: EncoderCard
    n_corpus_titles: int  # on how many titles the encoder was trained
    film: str  # the id of the title that the new ones are looked up in
    film_name: str
    titles: tuple[TitleFigures, ...]
    phases: tuple[Phase, ...]
    new_titles: tuple[NewTitle, ...]
    notes: tuple[str, ...] = ()  # what a reader must know, e.g. that a film could not be fetched


def demo_page(data: DemoPage) -> str:
    """The result of the demo as one self-contained HTML file.

    Raises:
        ArtifactError: a thumbnail is neither a JPEG nor a PNG.
    """
    n_right = sum(new.nearest_titles[0].title == data.film for new in data.new_titles if new.nearest_titles)
    return render("demo_page.html", page=data, n_film_nearest=n_right)
