"""The reading API: everything here reads one snapshot, which never changes while it is open.

Shape letters: S shots, H hidden.
"""

from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.errors import NotYetAvailableError, SnapshotError
from mediafm_core.identity import Span, is_title_id
from mediafm_core.snapshots import Snapshot, open_snapshot
from mediafm_core.store.home import read_checked
from mediafm_core.store.manifest import manifest_of
from mediafm_core.store.vectors import spans_of, vectors_of

Vectors = npt.NDArray[np.float32]


class TitleEntry(NamedTuple):
    """One title of a snapshot."""

    title: str
    name: str
    synopsis: str
    tags: tuple[str, ...]
    attribution: str
    n_shots: int
    duration_s: float


class Shots(NamedTuple):
    """The shots of a title or of a clip of it, in order."""

    title: str
    encoder: str  # who made the vectors: those of two encoders cannot be compared
    made_by: str  # the encoder's fingerprint: two homes may give one name to two encoders
    spans: tuple[Span, ...]
    texts: tuple[str, ...]  # what is said in each, "" where nothing is
    vectors: Vectors  # (S, H) float32 contextual embeddings, each read in the context of the whole title


class Catalogue:
    """An open snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._row = {title: i for i, title in enumerate(snapshot.table["title"].to_pylist())}

    @property
    def encoder(self) -> str:
        """The encoder whose embeddings this snapshot shows."""
        return self._snapshot.encoder

    def titles(self) -> list[TitleEntry]:
        """Every title, by id."""
        columns = self._snapshot.table.select(TitleEntry._fields).to_pylist()
        return [TitleEntry(**{**row, "tags": tuple(row["tags"])}) for row in columns]

    def title(self, title: str) -> TitleEntry:
        """One title.

        Raises:
            SnapshotError: the snapshot has no such title.
        """
        row = self._find(title)
        record = self._snapshot.table.select(TitleEntry._fields).slice(row, 1).to_pylist()[0]
        return TitleEntry(**{**record, "tags": tuple(record["tags"])})

    def shots(self, title: str) -> Shots:
        """All shots of a title with their contextual embeddings.

        Raises:
            NotYetAvailableError: the home has the title, and what is live has not read it yet.
            SnapshotError: the snapshot has no such title.
        """
        contextual = self._read(title, "contextual")
        said = (
            self._read(title, "timed_text")["text"].to_pylist()
            if self._has(title, "timed_text")
            else [""] * len(contextual)
        )
        return Shots(
            title=title,
            encoder=self.encoder,
            made_by=_encoder_of(contextual),
            spans=tuple(spans_of(contextual)),
            texts=tuple(said),
            vectors=vectors_of(contextual),
        )

    def clip(self, title: str, start_s: float, end_s: float) -> Shots:
        """The shots that a clip overlaps; their vectors know the whole title, not the clip alone.

        Args:
            title: its id.
            start_s: seconds from the title's first frame.
            end_s: likewise; not included.

        Raises:
            SnapshotError: the snapshot has no such title.
            SpanError: the clip is empty, reversed or not within the title.
        """
        clip = Span(start_s, end_s).within(self.title(title).duration_s, title)
        shots = self.shots(title)
        chosen = [i for i, span in enumerate(shots.spans) if span.overlap_s(clip) > 0]
        return shots._replace(
            spans=tuple(shots.spans[i] for i in chosen),
            texts=tuple(shots.texts[i] for i in chosen),
            vectors=shots.vectors[chosen],
        )

    @property
    def release(self) -> str | None:
        """The release that is live; None where the encoder went live without heads."""
        return self._snapshot.release

    def predictions(self, title: str) -> pa.Table:
        """What the live release predicts of a title's clips: `task`, `start_s`, `end_s`, `scores`.

        The schema's entry `label_names` is JSON: for each task the names of its scores, in their order.

        Raises:
            SnapshotError: the snapshot has no such title, or no release is live.
        """
        if not self._has(title, "predictions"):
            raise SnapshotError(
                f"title {title!r}",
                found="no predictions: the encoder in production has no heads",
                expected="a release with heads",
                next_step="Set labels, then run `mediafm release promote`.",
            )
        return self._read(title, "predictions")

    def fused(self, title: str) -> Vectors:
        """(S, F) float32 fused embeddings of a title: what the encoder read.

        Raises:
            SnapshotError: the snapshot has no such title.
        """
        return vectors_of(self._read(title, "fused"))

    def title_vectors(self) -> tuple[list[str], Vectors]:
        """The ids of all titles, and (titles, H) float32: their vectors."""
        return list(self._row), vectors_of(self._snapshot.table, "title_vector")

    def _find(self, title: str) -> int:
        if title not in self._row:
            raise self._absent(title)
        return self._row[title]

    def _absent(self, title: str) -> SnapshotError:
        """Why a title is not there: one that the home has taken is told from one that it never heard of."""
        if is_title_id(title) and self._snapshot.objects.sizes(f"artifacts/deliveries/{title}"):
            return NotYetAvailableError(
                f"title {title!r}",
                found=f"not yet available: {self.release or self.encoder!r}, which is live, has not read and scored it",
                expected=f"one of the {len(self._row)} titles that it has; no other encoder's vectors stand in for it",
                next_step="Run `mediafm apply`, then open the catalogue again.",
            )
        return SnapshotError(
            f"title {title!r}",
            found="no such title in the snapshot",
            expected=f"one of its {len(self._row)} titles",
            next_step="Look at `mediafm titles`; a title that was just delivered needs `mediafm apply`.",
        )

    def _has(self, title: str, role: str) -> bool:
        return self._snapshot.table[f"{role}_path"][self._find(title)].as_py() is not None

    def _read(self, title: str, role: str) -> pa.Table:
        row, table = self._find(title), self._snapshot.table
        path, digest = table[f"{role}_path"][row].as_py(), table[f"{role}_digest"][row].as_py()
        return pq.read_table(BytesIO(read_checked(self._snapshot.objects, path, digest)))


def _encoder_of(contextual: pa.Table) -> str:
    """The fingerprint of the encoder that made this table, from the artifact's own manifest."""
    return manifest_of(contextual.schema).inputs["encoder"].fingerprint


def open_catalogue(url: str) -> Catalogue:
    """Open what readers see now in a home, by its folder or URL.

    Raises:
        SnapshotError: nothing was published there.
        HomeError: there is no such folder.
    """
    return Catalogue(open_snapshot(url))
