"""What is similar: shots to a shot, titles to a title. Exact search, no index.

Shape letters: Q query shots, S shots, H hidden.
"""

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mediafm_core.consumption.catalogue import Catalogue, Shots, Vectors
from mediafm_core.errors import EncoderMismatchError
from mediafm_core.identity import Span


class SimilarShot(NamedTuple):
    """A shot that was found."""

    title: str
    span: Span
    text: str
    cosine: float


class SimilarTitle(NamedTuple):
    """A title that was found."""

    title: str
    name: str
    similarity: float  # mean over the query's shots of the cosine to the most similar shot of this title


def similar_shots(
    catalogue: Catalogue, query: Shots, *, within: Iterable[str], most: int = 5
) -> list[list[SimilarShot]]:
    """For each shot of the query the most similar shots of some titles, best first.

    Args:
        catalogue: where to look.
        query: shots of the same encoder.
        within: the titles to look through.
        most: how many to return for each.

    Raises:
        EncoderMismatchError: the query's vectors are another encoder's, by its name or by its fingerprint.
        SnapshotError: the snapshot lacks one of the titles.
    """
    if query.encoder != catalogue.encoder:
        raise _mismatch(query, catalogue.encoder)
    found: list[list[SimilarShot]] = [[] for _ in query.spans]
    for title in within:
        shots = catalogue.shots(title)
        for i, row in enumerate(_cosines(query, shots)):
            best = [_hit(shots, int(j), row[j]) for j in np.argsort(-row)[:most]]
            found[i] = heapq.nlargest(most, [*found[i], *best], key=lambda hit: hit.cosine)
    return found


def similar_titles(catalogue: Catalogue, title: str, *, most: int = 5) -> list[SimilarTitle]:
    """The titles whose shots answer those of a title best, the best first; the title itself is left out.

    A title counts as similar when each shot of the query has a similar shot somewhere in it, in whatever order (the
    Chamfer similarity of two sets, one way). So a cut finds its film, and not another cut of the same length.

    Raises:
        SnapshotError: the snapshot has no such title.
        EncoderMismatchError: another title still has vectors of an earlier state of the encoder.
    """
    query = catalogue.shots(title)
    others = [entry for entry in catalogue.titles() if entry.title != title]
    scored = [
        SimilarTitle(other.title, other.name, float(_cosines(query, catalogue.shots(other.title)).max(axis=1).mean()))
        for other in others
    ]
    return heapq.nlargest(most, scored, key=lambda hit: hit.similarity)


def _hit(shots: Shots, index: int, cosine: float) -> SimilarShot:
    return SimilarShot(shots.title, shots.spans[index], shots.texts[index], float(cosine))


def _mismatch(query: Shots, encoder: str, made_by: str = "") -> EncoderMismatchError:
    return EncoderMismatchError(
        f"shots of title {query.title!r}",
        found=f"vectors of encoder {query.encoder!r}{f' ({query.made_by[:12]})' * bool(made_by)}",
        expected=f"vectors of encoder {encoder!r}{f' ({made_by[:12]})' * bool(made_by)}",
        next_step="Read both from one snapshot; `mediafm encoder compare` says how far two encoders agree.",
    )


def _cosines(query: Shots, shots: Shots) -> Vectors:
    """(Q, S) float32, in [-1, 1].

    Raises:
        EncoderMismatchError: the vectors are two encoders', whatever their names.
    """
    if query.made_by != shots.made_by:
        raise _mismatch(query, shots.encoder, shots.made_by)
    return _unit(query.vectors) @ _unit(shots.vectors).T


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
