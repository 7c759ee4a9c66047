"""One training of a declared encoder, kept in its home while it goes on: what a kill leaves, the next one takes up.

work/training-FINGERPRINT.safetensors      the last saved state, unless it is the good one
work/training-FINGERPRINT.good.safetensors the last state that is known to be good
work/training-FINGERPRINT.curve.parquet    the curve up to the last saved state, or a little further
work/training-FINGERPRINT.gru.safetensors  the last saved state of the GRU, which is trained after the encoder
curves/ENCODER/                            the same curve for TensorBoard
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.planning.state import Step
from mediafm_core.pretraining.baselines.compare import Comparison, compare
from mediafm_core.pretraining.baselines.gru_training import Watched
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Reader, Split, divide
from mediafm_core.pretraining.curves import Curve, row_of
from mediafm_core.pretraining.event_file import EventFile
from mediafm_core.pretraining.peers import Peers
from mediafm_core.pretraining.progress import Progress, said
from mediafm_core.pretraining.state_files import StateFiles
from mediafm_core.pretraining.trainer import Trained, train
from mediafm_core.sequence.titles import TitleArrays
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import vectors_of
from mediafm_core.workbench import Bench

Shown = Callable[[Progress, Curve], None]
"""Told after each step, with the curve up to it."""


class StoredCorpus:
    """The corpus of an encoder, read from its home one title at a time.

    Args:
        home: where the embeddings are.
        suite: of the encoder.
        members: rows of the artifact `pretraining_corpus`.
    """

    def __init__(self, home: Home, suite: str, members: Sequence[Mapping[str, Any]]) -> None:
        self._home = home
        self._suite = suite
        self._members = members
        self.described = [(row["title"], row["n_shots"]) for row in members]

    def __len__(self) -> int:
        return len(self._members)

    def read(self, index: int) -> TitleArrays:
        """One title's fused embeddings and metadata embedding.

        Raises:
            ArtifactError: one of them is gone, or has changed.
        """
        row = self._members[index]
        partition = join_partition(suite=self._suite, title=row["title"])
        fused = self._vectors(ArtifactKey("fused_embeddings", partition, row["fused"]))
        (metadata,) = self._vectors(ArtifactKey("metadata_embedding", partition, row["metadata"]))
        return TitleArrays(row["title"], fused, metadata)

    def _vectors(self, key: ArtifactKey) -> NDArray[np.float32]:
        return vectors_of(pq.read_table(BytesIO(self._home.read(key))))


@dataclass(frozen=True, slots=True)
class Training:
    """The training that a step of `mediafm_encoder` asks for."""

    bench: Bench
    step: Step
    shown: Shown | None = None  # beside the bench's reporter

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's record."""
        return self.bench.encoder(self.step)

    @property
    def config(self) -> PretrainingConfig:
        """How it is trained."""
        return PretrainingConfig.from_json(self.spec.config)

    @property
    def corpus(self) -> StoredCorpus:
        """What it is trained on."""
        members = self.bench.read_table(self.step, "corpus").to_pylist()
        return StoredCorpus(self.bench.home, self.spec.suite, members)

    @property
    def curves(self) -> Path:
        """The folder of its event file."""
        return self.bench.home.root / "curves" / self.spec.name

    def curve(self) -> Curve:
        """Its curve as it was saved last."""
        return Curve.from_bytes(self._curve.read_bytes()) if self._curve.exists() else Curve()

    def go_on(self, peers: Peers | None = None) -> Trained:
        """Train from the last saved state to the end; a finished state is only read.

        Args:
            peers: the processes that train together; by default this one alone, on the CPU. The first one saves
                and reports.

        Raises:
            TrainingError: as `train`.
            ArtifactError: a member of the corpus is gone, or the saved state is damaged.
        """
        record = _Record(self)
        try:
            return train(
                self.corpus,
                self.config,
                seed=self.spec.seed,
                report=record.note,
                resume=self.states.read(),
                states=record,
                peers=peers,
            )
        finally:
            record.close()

    @property
    def split(self) -> Split:
        """Which of the corpus's titles are held out."""
        generator = torch.Generator().manual_seed(self.spec.seed)  # its first draw, as in `train`
        return divide(len(self.spec.corpus), self.config.trainer.held_out_share, generator)

    def compare(self, trained: Trained) -> Comparison:
        """The trained encoder beside the baselines, on the titles held out."""
        reader = Reader(self.corpus, self.config.model)
        resume = self._gru.read_bytes() if self._gru.exists() else None
        watched = Watched(self._tell_of_baselines, resume, lambda state: self._swap(self._gru, state))
        return compare(trained.encoder, reader, self.split, self.config, self.spec.seed, watched)

    def _tell_of_baselines(self, done: int, steps: int) -> None:
        self.bench.reporter.advance(1.0, f"baselines: GRU, step {done}/{steps}")

    def finish_curve(self, levels: Mapping[str, float]) -> str | None:
        """Write the event file anew and whole, with a horizontal line `baseline/NAME` for each level.

        Returns:
            Why it is not whole; None where it is.
        """
        if len(curve := self.curve()) == 0:
            return None
        file = EventFile(self.curves, curve)
        for name, level in levels.items():
            file.add_level(f"baseline/{name}", level, curve)
        file.close()
        return file.lost

    def keep(self, state: bytes, curve: Curve) -> None:
        """Save a state; the curve goes first, so that it never ends before the state."""
        self._swap(self._curve, curve.to_bytes())
        self.states.save(state)

    @property
    def states(self) -> StateFiles:
        """Where its states stand."""
        return StateFiles(self._path("safetensors"), self._path("good.safetensors"))

    def _swap(self, path: Path, data: bytes) -> None:
        self.bench.home.objects.swap(str(path.relative_to(self.bench.home.root)), data)

    def _path(self, ending: str) -> Path:
        return self.bench.home.work / f"training-{self.step.key.fingerprint}.{ending}"

    @property
    def _curve(self) -> Path:
        return self._path("curve.parquet")

    @property
    def _gru(self) -> Path:
        return self._path("gru.safetensors")


class _Record:
    """Notes each step of a training: in its curve, in the event file, and to the reporter. Keeps its states beside."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._curve = training.curve()
        self._file: EventFile | None = None  # not before the first step: until then the curve may hold lost steps

    def note(self, progress: Progress) -> None:
        self._curve.note(row := row_of(progress))
        if self._file is None:
            self._file = EventFile(self._training.curves, self._curve)
        else:
            self._file.add(row)
        self._training.bench.reporter.advance(progress.step / progress.steps, said(progress))
        if self._training.shown is not None:
            self._training.shown(progress, self._curve)

    @property
    def good_step(self) -> int | None:
        return self._training.states.good_step

    def save(self, state: bytes) -> None:
        self._training.keep(state, self._curve)

    def set_aside(self) -> None:
        self._training.states.set_aside()

    def fall_back(self) -> None:
        self._training.states.fall_back()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
