"""An ablation of a stored encoder, row by row."""

from collections.abc import Iterator
from functools import cache, cached_property
from typing import NamedTuple

import torch

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.catalogue.suite import Suite
from mediafm_core.model.checkpoint import load
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import Step
from mediafm_core.probes.ablation.findings import JUDGED
from mediafm_core.probes.ablation.keeping import FinishedRow, keep, kept
from mediafm_core.probes.ablation.optimisers import Duels, Trained, duels_of
from mediafm_core.probes.ablation.outside import clip_keys, keys_of
from mediafm_core.probes.ablation.post_metadata import PostMetadata
from mediafm_core.probes.ablation.rows import AblationRow, ablation_rows, n_rows
from mediafm_core.probes.ablation.stored import (
    Embedded,
    StoredTitle,
    clip_table,
    embedded_by,
    stored_material,
    stored_titles,
)
from mediafm_core.probes.ablation.variants import AS_THE_POST, Family, families, outside_family
from mediafm_core.probes.comparing import resampled
from mediafm_core.probes.heads import Probe
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.metrics import Interval, Resampled
from mediafm_core.probes.report import CONTEXTUAL, contextual_row
from mediafm_core.probes.stage import probes_of
from mediafm_core.workbench import Bench

OTHER, OUTSIDE = "encoder ", "outside "
"""What the names of rows of other encoders and of outside models begin with."""


class Batch(NamedTuple):
    """Rows that are judged on the same tasks."""

    labels: list[LabelSet]
    families: list[Family]


class Ablation:
    """The ablation that a step asks for."""

    def __init__(self, bench: Bench, step: Step, device: torch.device) -> None:
        self._bench, self._step, self._device = bench, step, device
        self.probes: dict[str, Probe] = {probe.head.task.name: probe for probe in probes_of(bench.home, step)}
        self._contextual = cache(self._resampled_contextual)
        self.left_out: dict[str, list[str]] = {}
        """Outside models, and the tasks of which they lack clips: no row there."""
        self.absent: dict[str, str] = {}
        """Rows that are made of other homes' titles and not of these, and why."""

    def rows(self) -> Iterator[FinishedRow]:
        """All rows, each kept as soon as it is made; those that an earlier run kept come first."""
        home, key = self._bench.home, self._step.key
        found = list(kept(home, key, {task: probe.held_out.labels for task, probe in self.probes.items()}))
        yield from (self._own(probe) for probe in self.probes.values())
        yield from found
        known = {(each.row.task, each.row.features) for each in found} | {(task, CONTEXTUAL) for task in self.probes}
        for made in self._missing(known):
            keep(home, key, made)
            yield made

    def _missing(self, known: set[tuple[str, str]]) -> Iterator[FinishedRow]:
        batches = list(self._batches())
        n_in_all, n_before = sum(n_rows(*batch) for batch in batches), 0
        for batch in batches:
            for made in ablation_rows(*batch, known=known):
                n_done = n_before + made.n_done
                note = f"row {n_done}/{n_in_all}: {made.row.task}, {made.row.features}"
                self._bench.reporter.advance(n_done / n_in_all, note)
                yield self._finished(made)
            n_before += n_rows(*batch)

    def _batches(self) -> Iterator[Batch]:
        home, step, suite = self._bench.home, self._step, self._suite()
        encoder = load(home.read(step.inputs["encoder"]), self._device).encoder
        for tasks, titles in self._groups():
            material = stored_material(home, suite, titles)
            keys = {t: g.contextual for t, g in titles.items()}
            own = Embedded(home, step.inputs["encoder"], material, keys, self._device)
            others = {
                OTHER + key.partition: embedded_by(home, key, material, titles, self._device) for key in self._others()
            }
            labels = [self.probes[task].held_out.labels for task in tasks]
            post = PostMetadata(home, suite, titles)
            if why := post.absent:
                self.absent[AS_THE_POST] = why
            name, as_the_post = step.axes["encoder"], None if post.absent else post
            made = families(material, encoder, name, own=own, others=others, as_the_post=as_the_post)
            yield Batch(labels, made)
        yield from self._outside()

    @cached_property
    def duels(self) -> Duels:
        """Which rows of other encoders differ from its own by the optimiser alone."""
        own = self._trained(CONTEXTUAL, self._step.inputs["encoder"])
        return duels_of(own, [self._trained(OTHER + key.partition, key) for key in self._others()])

    def _others(self) -> list[ArtifactKey]:
        return [key for role, key in self._step.inputs.items() if role.startswith("other_")]

    def _trained(self, features: str, key: ArtifactKey) -> Trained:
        state, row = self._bench.state, self._bench.home.ledger.artifact(key)
        assert row is not None, "an input of this step"
        spec = next(spec for spec in (*state.encoders, *state.retired) if spec.name == key.partition)
        return Trained(features, spec, row.manifest.facts.get("held_out_loss"))

    def _groups(self) -> Iterator[tuple[list[str], dict[str, StoredTitle]]]:
        """Tasks whose heads read the same vectors of the titles that they share: all, unless a title came again."""
        heads = desired(self._bench.state).encoders[self._step.axes["encoder"]].heads
        left = {task: stored_titles(self._bench.home, heads[task].also) for task in self.probes}
        while left:
            tasks, titles = [], {}
            for task, mine in left.items():
                if all(titles.get(title, given) == given for title, given in mine.items()):
                    tasks.append(task)
                    titles |= mine
            yield tasks, titles
            left = {task: mine for task, mine in left.items() if task not in tasks}

    def _outside(self) -> Iterator[Batch]:
        wish = self._bench.state.ablations[self._step.axes["encoder"]]
        for name, sha256 in sorted(wish.outside.items()):
            table = clip_table(self._bench.home, sha256)
            there = set(clip_keys(table.title, table.start_s, table.end_s))
            labels = [probe.held_out.labels for probe in self.probes.values()]
            covered = [each for each in labels if there.issuperset(keys_of(each))]
            if lacking := [each.task.name for each in labels if not there.issuperset(keys_of(each))]:
                self.left_out[name] = lacking
            yield Batch(covered, [outside_family(table, OUTSIDE + name)])

    def _suite(self) -> Suite:
        wanted = self._bench.encoder(self._step).suite
        return next(suite for suite in self._bench.state.suites if suite.id == wanted)

    def _own(self, probe: Probe) -> FinishedRow:
        """The encoder itself, by the heads that it is deployed with: nothing is fitted anew."""
        return FinishedRow(contextual_row(probe), Interval(0.0, 0.0, 0.0), probe.held_out)

    def _finished(self, made: AblationRow) -> FinishedRow:
        ahead = self._contextual(made.row.task).less(resampled(made.held_out)).interval
        judged = made.row.features in JUDGED | self.duels.features
        return FinishedRow(made.row, ahead, made.held_out if judged else None)

    def _resampled_contextual(self, task: str) -> Resampled:
        return resampled(self.probes[task].held_out)
