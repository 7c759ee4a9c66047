"""What an ablation is made from, and the vectors that its rows read.

Shape letters: S shots, F fused, M metadata, H hidden, n clips, R width of a vector.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import Modality
from mediafm_core.contextual.embedding import embed_title
from mediafm_core.errors import DimensionError, LabelsError
from mediafm_core.model.encoder import MediaFM
from mediafm_core.probes.features import FUSED, Features, Origin, Times, TitleShots, Vectors
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.reads import Read, clips_of, read_clips


class TitleMaterial(NamedTuple):
    """One title as it is stored."""

    start_s: Times  # (S,), of its shots
    end_s: Times  # (S,)
    fused: Vectors  # (S, F) float32; an absent modality is an all-zero block
    metadata: Vectors | None  # (M,) float32; None where there is none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """The labelled titles of one suite."""

    suite: str
    modality_dims: tuple[int, int, int]  # widths of the video, audio and text blocks
    metadata_dims: int  # width of the metadata embedding
    titles: Mapping[str, TitleMaterial]  # may read them as they are asked for

    def shots(self, title: str, encoder: str, vectors: NDArray[np.floating], vector: Vectors | None) -> TitleShots:
        """A title's spans with these vectors (S, R), and one of the title."""
        given = self.titles[title]
        return TitleShots(
            title=title,
            origin=Origin(encoder, self.suite),
            start_s=given.start_s,
            end_s=given.end_s,
            vectors=vectors.astype(np.float32, copy=False),
            title_vector=vector,
        )


MetadataOf = Callable[[str], Vectors | None]
"""Gives a title's metadata embedding, (M,) float32; None where it shall have none."""


class ClipTable(NamedTuple):
    """Vectors of clips that a model outside of this project made; row by row."""

    title: tuple[str, ...]  # n ids
    start_s: Times  # (n,)
    end_s: Times  # (n,)
    vectors: Vectors  # (n, R) float32


class AsAsked(Mapping[str, TitleShots]):
    """Titles whose vectors are made when they are first asked for, and kept."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._made: dict[str, TitleShots] = {}

    def __getitem__(self, title: str) -> TitleShots:
        if title not in self._made:
            self._made[title] = self.make(self._material, title)
        return self._made[title]

    def __iter__(self) -> Iterator[str]:
        return iter(self._material.titles)

    def __len__(self) -> int:
        return len(self._material.titles)

    def __contains__(self, title: object) -> bool:
        return title in self._material.titles  # without making it

    def make(self, material: Material, title: str) -> TitleShots:
        """One title's vectors."""
        raise NotImplementedError


class Fused(AsAsked):
    """The fused vectors, with the metadata's as the title's own, zeros where there is none; without an encoder."""

    def make(self, material: Material, title: str) -> TitleShots:
        """One title's vectors."""
        given = material.titles[title]
        metadata = np.zeros(material.metadata_dims, np.float32) if given.metadata is None else given.metadata
        return material.shots(title, FUSED, given.fused, metadata)


class OneModality(AsAsked):
    """One block of the fused vectors."""

    def __init__(self, material: Material, modality: Modality) -> None:
        super().__init__(material)
        self._block = list(Modality).index(modality)

    def make(self, material: Material, title: str) -> TitleShots:
        """One title's vectors."""
        edges = np.cumsum(material.modality_dims)[:-1]
        return material.shots(title, FUSED, np.split(material.titles[title].fused, edges, axis=1)[self._block], None)


class InContext(AsAsked):
    """Contextual embeddings, each title read whole; with the metadata of the material, or with other."""

    def __init__(
        self, material: Material, encoder: MediaFM, name: str, *, metadata_of: MetadataOf | None = None
    ) -> None:
        super().__init__(material)
        self._encoder, self._name, self._metadata_of = encoder, name, metadata_of

    def make(self, material: Material, title: str) -> TitleShots:
        """One title's vectors."""
        given = material.titles[title]
        metadata = self._metadata_of(title) if self._metadata_of else given.metadata
        embedded = embed_title(self._encoder, given.fused, metadata, title=title)
        return material.shots(title, self._name, embedded.shots, embedded.title)


def untrained(encoder: MediaFM, seed: int = 0) -> MediaFM:
    """An encoder of the same architecture with fresh weights, and the same frozen statistics of the corpus."""
    fresh = MediaFM.new(encoder.config, torch.Generator().manual_seed(seed))
    for name, statistic in fresh.named_buffers():
        statistic.copy_(encoder.get_buffer(name))
    return fresh.eval().to(encoder.device)


class Isolated:
    """Contextual embeddings of clips that the encoder reads alone, as if each were a title, with its metadata."""

    def __init__(self, material: Material, encoder: MediaFM, name: str) -> None:
        self._material, self._encoder, self._name = material, encoder, name
        self._made: dict[tuple[str, int, int], TitleShots] = {}  # tasks share clips

    def __call__(self, read: Read, labels: LabelSet) -> Features:
        """Read every clip of a label set, in its order.

        Raises:
            SpanError: a clip overlaps no shot.
            LabelsError: a labelled title is not in the material.
        """
        found = [self._read(read, labels, i) for i in range(len(labels))]
        return Features(found[0].origin, read.name, np.concatenate([each.values for each in found]))

    def _read(self, read: Read, labels: LabelSet, i: int) -> Features:
        title, start_s, end_s = labels.titles[labels.of[i]], labels.start_s[i : i + 1], labels.end_s[i : i + 1]
        if title not in self._material.titles:
            raise _absent(labels, f"a clip of title {title!r}, which has no vectors")
        given = self._material.titles[title]
        whole = self._material.shots(title, FUSED, given.fused, None)
        clip = clips_of(whole, start_s, end_s)
        key = (title, int(clip.first[0]), int(clip.last[0]))
        if key not in self._made:
            self._made[key] = self._alone(title, given, slice(*key[1:]))
        return read_clips(read, self._made[key], start_s, end_s)

    def _alone(self, title: str, given: TitleMaterial, shots: slice) -> TitleShots:
        embedded = embed_title(self._encoder, given.fused[shots], given.metadata, title=title)
        return TitleShots(
            title=title,
            origin=Origin(self._name, self._material.suite),
            start_s=given.start_s[shots],
            end_s=given.end_s[shots],
            vectors=embedded.shots,
            title_vector=embedded.title,
        )


class Outside:
    """Vectors of clips that were made elsewhere, looked up by title and span."""

    def __init__(self, table: ClipTable, name: str) -> None:
        n_clips = len(table.title)
        if table.vectors.ndim != 2 or not len(table.start_s) == len(table.end_s) == len(table.vectors) == n_clips:
            raise DimensionError(
                f"clip vectors of {name!r}",
                found=f"{n_clips} titles, {len(table.start_s)} starts, {len(table.end_s)} ends, {table.vectors.shape}",
                expected="n titles, starts and ends, and (n, R) vectors",
                next_step="Give one row for each clip.",
            )
        self._table, self._origin = table, Origin(name, "outside")
        keys = zip(table.title, map(_ms, table.start_s), map(_ms, table.end_s), strict=True)
        self._rows = {key: row for row, key in enumerate(keys)}

    def __call__(self, read: Read, labels: LabelSet) -> Features:
        """The vectors of a label set's clips, in its order; times agree to the millisecond.

        Raises:
            LabelsError: a labelled clip is not in the table.
        """
        spans = zip(labels.of, labels.start_s, labels.end_s, strict=True)
        keys = [(labels.titles[of], _ms(start), _ms(end)) for of, start, end in spans]
        absent = [key for key in keys if key not in self._rows]
        if absent:
            title, start, end = absent[0]
            said = f"{len(absent)} of {len(keys)} clips without a vector of {self._origin.encoder!r}, first "
            raise _absent(labels, said + f"[{start / 1000:.3f}, {end / 1000:.3f}) s of title {title!r}")
        return Features(self._origin, read.name, self._table.vectors[[self._rows[key] for key in keys]])


def _ms(time_s: float) -> int:
    return round(time_s * 1000)


def _absent(labels: LabelSet, found: str) -> LabelsError:
    return LabelsError(
        f"labels of task {labels.task.name!r}",
        found=found,
        expected="a vector for every labelled clip",
        next_step="Embed what is missing, or restrict the labels.",
    )
