"""The page of one title."""

from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from mediafm_core.consumption.catalogue import Shots, TitleEntry
from mediafm_core.consumption.similarity import SimilarTitle
from mediafm_core.errors import DimensionError
from mediafm_core.reports.cards import EncoderCard, Neighbour, Still
from mediafm_core.reports.plots import self_similarity, timeline
from mediafm_core.reports.render import render
from mediafm_core.reports.sampling import even_sample

MAX_STRIP = 150
"""Shots in the strip; of a longer title an even sample is shown."""


class StripShot(NamedTuple):
    """One shot in the strip."""

    number: int  # in the title, from 1
    still: Still
    nearest: tuple[Neighbour, ...]  # in other titles, best first; empty where there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class TitlePage:
    """All that the page of a title shows."""

    entry: TitleEntry
    encoder: EncoderCard
    shots: Shots  # all of them
    text_source: str  # where the texts come from, in words, e.g. "audio description"
    nearest_titles: tuple[SimilarTitle, ...]  # best first; empty in a catalogue of one title
    strip: tuple[StripShot, ...]  # all shots or some of them, in order

    def __post_init__(self) -> None:
        n_spans, n_texts, n_vectors = len(self.shots.spans), len(self.shots.texts), len(self.shots.vectors)
        if not n_spans == n_texts == n_vectors > 0:
            raise DimensionError(
                f"page of title {self.entry.title!r}",
                found=f"{n_spans} spans, {n_texts} texts, {n_vectors} vectors",
                expected="one of each for every shot, and at least one shot",
                next_step="Read all three from one snapshot.",
            )


def title_page(data: TitlePage) -> str:
    """A title as one self-contained HTML file.

    Raises:
        ArtifactError: a thumbnail is neither a JPEG nor a PNG.
    """
    spans, has_text = data.shots.spans, [bool(text) for text in data.shots.texts]
    return render(
        "title_page.html",
        page=data,
        n_with_text=sum(has_text),
        median_s=median(span.duration_s for span in spans),
        timeline=timeline(spans, has_text),
        similarity=self_similarity(data.shots.vectors) if len(spans) > 1 else None,
        strip=[data.strip[i] for i in even_sample(len(data.strip), MAX_STRIP)],
    )
