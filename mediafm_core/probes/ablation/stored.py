"""What an ablation reads, from the store.

Shape letters: S shots.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from mediafm_core.catalogue.kinds import ArtifactKey, split_partition
from mediafm_core.catalogue.suite import Suite
from mediafm_core.contextual.embedding import embed_title
from mediafm_core.model.checkpoint import load
from mediafm_core.model.encoder import MediaFM
from mediafm_core.planning.desired import contextual
from mediafm_core.probes.ablation.material import AsAsked, ClipTable, Material, TitleMaterial
from mediafm_core.probes.features import TitleShots
from mediafm_core.probes.stage import contextual_shots
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import vectors_of

_N_AT_HAND = 4  # clips go by title, so the titles read last are enough


class StoredTitle(NamedTuple):
    """Where one labelled title stands in the store."""

    contextual: ArtifactKey  # of the encoder that is taken apart
    fused: ArtifactKey  # that this was made from
    metadata: ArtifactKey


def stored_titles(home: Home, members: Iterable[ArtifactKey]) -> dict[str, StoredTitle]:
    """The titles that heads were fitted on, by their contextual embeddings."""
    found = {}
    for key in members:
        row = home.ledger.artifact(key)
        assert row is not None, "a head was fitted on it"
        title = split_partition(key.kind, key.partition)["title"]
        found[title] = StoredTitle(key, row.manifest.inputs["fused"], row.manifest.inputs["metadata"])
    return found


def stored_material(home: Home, suite: Suite, titles: Mapping[str, StoredTitle]) -> Material:
    """These titles as an ablation reads them, each from the store when it is asked for."""
    dims = (suite.video.dims, suite.audio.dims, suite.text.dims)
    return Material(suite=suite.id, modality_dims=dims, metadata_dims=suite.text.dims, titles=_Read(home, titles))


class _Read(Mapping[str, TitleMaterial]):
    def __init__(self, home: Home, titles: Mapping[str, StoredTitle]) -> None:
        self._home, self._titles = home, titles
        self._read = lru_cache(_N_AT_HAND)(self._from_store)

    def __getitem__(self, title: str) -> TitleMaterial:
        return self._read(title)

    def __iter__(self) -> Iterator[str]:
        return iter(self._titles)

    def __len__(self) -> int:
        return len(self._titles)

    def __contains__(self, title: object) -> bool:
        return title in self._titles  # without reading it

    def _from_store(self, title: str) -> TitleMaterial:
        given = self._titles[title]
        fused = pq.read_table(BytesIO(self._home.read(given.fused)))
        metadata = vectors_of(pq.read_table(BytesIO(self._home.read(given.metadata))))[0]
        return TitleMaterial(fused["start_s"].to_numpy(), fused["end_s"].to_numpy(), vectors_of(fused), metadata)


class Embedded(AsAsked):
    """What an encoder makes of the titles: as the store has it, or else made now and rounded as the store would."""

    def __init__(
        self,
        home: Home,
        trained: ArtifactKey,
        material: Material,
        keys: Mapping[str, ArtifactKey],
        device: torch.device | None = None,
    ) -> None:
        super().__init__(material)
        self._home, self._trained, self._keys, self._device = home, trained, keys, device

    @cached_property
    def _encoder(self) -> MediaFM:
        return load(self._home.read(self._trained), self._device).encoder

    def make(self, material: Material, title: str) -> TitleShots:
        """One title's vectors."""
        key = self._keys[title]
        if self._home.ledger.artifact(key) is not None:
            return contextual_shots(self._home, key, material.suite)
        given = material.titles[title]
        made = embed_title(self._encoder, given.fused, given.metadata, title=title)
        return material.shots(title, self._trained.partition, _stored(made.shots), _stored(made.title))


def _stored(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors.astype(np.float16).astype(np.float32)


def embedded_by(
    home: Home,
    trained: ArtifactKey,
    material: Material,
    titles: Mapping[str, StoredTitle],
    device: torch.device | None = None,
) -> Mapping[str, TitleShots]:
    """What another encoder makes of the same fused embeddings; by default on the CPU."""
    keys = {t: contextual(trained, t, given.fused, given.metadata).key for t, given in titles.items()}
    return Embedded(home, trained, material, keys, device)


def clip_table(home: Home, table: str) -> ClipTable:
    """A table that `declare_outside` kept."""
    found = pq.read_table(home.blobs.path(table))
    vectors = found["vector"].combine_chunks()
    return ClipTable(
        tuple(found["title"].to_pylist()),
        found["start_s"].to_numpy(),
        found["end_s"].to_numpy(),
        vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(vectors), -1),
    )
