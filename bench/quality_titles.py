"""The titles of the measurement of quality: synthetic ones of one world, each on one side."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bench.titles import fused_arrays
from mediafm_core.narrative.config import MOVIENET, SHORT, Lengths, WorldConfig
from mediafm_core.narrative.delivery import labels_table
from mediafm_core.narrative.titles import NarrativeTitle, draw_length, title
from mediafm_core.narrative.world import World
from mediafm_core.probes.ablation.trees import trees_scores
from mediafm_core.probes.features import FUSED, Origin, TitleShots
from mediafm_core.probes.heads import score
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.probing import fit_head
from mediafm_core.probes.reading import merge_labels
from mediafm_core.probes.reads import READS, read_label_set
from mediafm_core.probes.tasks import TASKS
from mediafm_core.sequence.titles import TitleArrays

LENGTHS: Mapping[str, Lengths] = MappingProxyType({"short": SHORT, "movienet": MOVIENET})
"""How long titles are, by name."""


class Made(NamedTuple):
    """One title."""

    given: NarrativeTitle
    arrays: TitleArrays

    def shots(self, vectors: np.ndarray, origin: Origin, title_vector: np.ndarray | None = None) -> TitleShots:
        """Its shots with some vectors, (S, D)."""
        story = self.given.story
        return TitleShots(
            title=self.given.id,
            origin=origin,
            start_s=story.starts_s,
            end_s=story.ends_s,
            vectors=vectors,
            title_vector=title_vector,
        )


class Catalogue:
    """The titles of one world, each on one side.

    Args:
        world: its seed.
        n_learnt: titles that encoders are trained on.
        n_fitted: titles that heads are fitted on.
        n_scored: titles that heads are scored on.
        lengths: a name among `LENGTHS`.
    """

    def __init__(self, world: int, n_learnt: int, n_fitted: int, n_scored: int, lengths: str = "short") -> None:
        self.world = World.of(WorldConfig(seed=world))
        self.n_learnt, self.lengths = n_learnt, lengths
        self.fitted = self._made_of(range(n_learnt, n_learnt + n_fitted))
        self.scored = self._made_of(range(n_learnt + n_fitted, n_learnt + n_fitted + n_scored))

    @cached_property
    def learnt(self) -> list[Made]:
        """The titles that encoders are trained on, made when one is."""
        return self._made_of(range(self.n_learnt))

    def _made_of(self, seeds: Iterable[int]) -> list[Made]:
        return [self._made(seed) for seed in seeds]

    def _made(self, seed: int) -> Made:
        given = title(self.world, seed, draw_length(self.world, seed, LENGTHS[self.lengths]))
        return Made(given, fused_arrays(self.world, given))

    @property
    def judged(self) -> list[Made]:
        """The titles that have labels."""
        return self.fitted + self.scored

    @cached_property
    def fused(self) -> dict[str, TitleShots]:
        """Fused embeddings of the titles that have labels, with the metadata's as the title's vector."""
        origin = Origin(FUSED, self.world.suite.id)
        return {made.given.id: made.shots(made.arrays.fused, origin, made.arrays.metadata) for made in self.judged}

    @cached_property
    def labels(self) -> Mapping[str, tuple[LabelSet, LabelSet]]:
        """For each task the clips to fit on and the clips to score."""
        sides = [{made.given.id for made in side} for side in (self.fitted, self.scored)]
        return {name: (each.of_titles(sides[0]), each.of_titles(sides[1])) for name, each in self._of_both.items()}

    @cached_property
    def _of_both(self) -> dict[str, LabelSet]:
        tables: dict[str, pa.Table] = {made.given.id: labels_table(made.given) for made in self.judged}
        return {name: merge_labels(tables, task) for name, task in TASKS.items()}

    def scores(self, shots: Mapping[str, TitleShots], readers: Sequence[str]) -> dict[str, tuple[OutOfFold, str]]:
        """By task, the scores of the held-out clips and the reader that the head chose."""
        found = {}
        for name, (fit, held_out) in self.labels.items():
            head = fit_head(fit, [read_label_set(READS[reader], shots, fit) for reader in readers])
            scores = score(head, read_label_set(READS[head.read], shots, held_out))
            found[name] = (OutOfFold(held_out, scores), head.read)
        return found

    def scores_of_trees(self, windows: Sequence[str], beside: Sequence[str]) -> dict[str, OutOfFold]:
        """By task, the scores of the held-out clips by trees upon a linear head of fused embeddings.

        Args:
            windows: reads that the linear head chooses from.
            beside: what trees ask beside its scores.
        """
        found = {}
        for name, labels in self._of_both.items():
            held_out = self.labels[name][1]
            test = np.isin(np.array(labels.titles)[labels.of], held_out.titles)
            first, others = (
                [read_label_set(READS[r], self.fused, labels) for r in reads] for reads in (windows, beside)
            )
            found[name] = OutOfFold(held_out, trees_scores(labels, first, others, ~test, test).astype(np.float32))
        return found
