"""Do contextual embeddings beat what needs no learning? `python -m bench.quality --world 6 7 --seed 0 1 2`.

Synthetic titles throughout. In each world an encoder is trained on some titles, heads are fitted on others, and others
still are scored. Fused embeddings are read in each way that the encoder's are, and in more. Each result is a row of a
file; a row that is there already is not made again, so a run that was cut off goes on. `--table` prints what the file
holds and `--plot` draws it. `--baselines` prints what needs no learning, and trains and keeps nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bench.measuring import cpu_s, torch_threads
from bench.quality_plot import draw
from bench.quality_table import table
from bench.titles import fused_arrays
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.delivery import labels_table
from mediafm_core.narrative.titles import NarrativeTitle, title
from mediafm_core.narrative.world import World
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.probes.comparing import difference, interval
from mediafm_core.probes.features import FUSED, Origin, TitleShots
from mediafm_core.probes.heads import score
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.probing import fit_head
from mediafm_core.probes.reading import merge_labels
from mediafm_core.probes.reads import READS, read_label_set
from mediafm_core.probes.tasks import TASKS
from mediafm_core.sequence.titles import TitleArrays

RESULTS = Path(__file__).with_name("quality.jsonl")
BASELINES = (
    "clip",
    "clip + 12 before + 12 after",
    "clip + neighbours within 12",
    "clip + title mean",
    "clip + 12 before + 12 after + title mean",
    "clip + title vector",
    "clip + windows + title mean",
    "clip + windows + cosines",
)
"""How fused embeddings are read; each is a row. Where no encoder has made a title's vector it is the metadata's."""

CONTROL = "position"
"""Where a clip stands, and nothing else: it must tell nothing."""

READERS = ("clip", "clip + title vector", "clip + 12 before + 12 after", "clip + title mean")
"""Among these the heads of an encoder choose, inside their own titles."""

UNTRAINED = "untrained"
"""In a preset's place: the preset `mediafm` with fresh weights and the corpus's means."""


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
    """The titles of one world, each on one side."""

    def __init__(self, world: int, n_learnt: int, n_fitted: int, n_scored: int) -> None:
        self.world = World.of(WorldConfig(seed=world))
        self.n_learnt = n_learnt
        self.fitted = self._made_of(range(n_learnt, n_learnt + n_fitted))
        self.scored = self._made_of(range(n_learnt + n_fitted, n_learnt + n_fitted + n_scored))

    @cached_property
    def learnt(self) -> list[Made]:
        """The titles that encoders are trained on, made when one is."""
        return self._made_of(range(self.n_learnt))

    def _made_of(self, seeds: Iterable[int]) -> list[Made]:
        return [self._made(seed) for seed in seeds]

    def _made(self, seed: int) -> Made:
        given = title(self.world, seed)
        return Made(given, fused_arrays(self.world, given))

    @property
    def judged(self) -> list[Made]:
        """The titles that have labels."""
        return self.fitted + self.scored

    @cached_property
    def labels(self) -> Mapping[str, tuple[LabelSet, LabelSet]]:
        """For each task the clips to fit on and the clips to score."""
        tables: dict[str, pa.Table] = {made.given.id: labels_table(made.given) for made in self.judged}
        sets = {name: merge_labels(tables, task) for name, task in TASKS.items()}
        sides = [{made.given.id for made in side} for side in (self.fitted, self.scored)]
        return {name: (each.of_titles(sides[0]), each.of_titles(sides[1])) for name, each in sets.items()}

    def scores(self, shots: Mapping[str, TitleShots], readers: Sequence[str]) -> dict[str, tuple[OutOfFold, str]]:
        """By task, the scores of the held-out clips and the reader that the head chose."""
        found = {}
        for name, (fit, held_out) in self.labels.items():
            head = fit_head(fit, [read_label_set(READS[reader], shots, fit) for reader in readers])
            scores = score(head, read_label_set(READS[head.read], shots, held_out))
            found[name] = (OutOfFold(held_out, scores), head.read)
        return found


class Setting(NamedTuple):
    """What an encoder is made from, beside its world and its seed."""

    preset: str
    changes: Sequence[str]  # of its configuration, e.g. trainer.steps=200

    def config(self, world: World) -> PretrainingConfig:
        """For the widths of this world."""
        c = world.config
        dims = (c.video_dims, c.audio_dims, c.text_dims)
        preset = "mediafm" if self.preset == UNTRAINED else self.preset
        return PretrainingConfig.from_json(
            preset_config(preset, modality_dims=dims, metadata_dims=c.text_dims, changes=self.changes)
        )


class Read(NamedTuple):
    """Shots as an encoder has them, and what that took."""

    shots: dict[str, TitleShots]
    cpu_s: float
    held_out_loss: float | None


def read_by(catalogue: Catalogue, setting: Setting, seed: int) -> Read:
    """Train an encoder on the one side and read the others with it."""
    from mediafm_core.contextual.embedding import embed_title
    from mediafm_core.pretraining.corpus import InMemory
    from mediafm_core.pretraining.trainer import train

    config = setting.config(catalogue.world)
    if setting.preset == UNTRAINED:
        still = replace(config.trainer, steps=1, muon_rate=1e-12, adamw_rate=1e-12, held_out_share=0.0, patience=0)
        config = replace(config, trainer=still)
    began_s = cpu_s()
    trained = train(InMemory([made.arrays for made in catalogue.learnt]), config, seed=seed, report=_tell)
    took_s = cpu_s() - began_s
    origin, shots = Origin(setting.preset, catalogue.world.suite.id), dict[str, TitleShots]()
    for made in catalogue.judged:
        embedded = embed_title(trained.encoder, made.arrays.fused, made.arrays.metadata, title=made.given.id)
        shots[made.given.id] = made.shots(embedded.shots, origin, embedded.title)
    return Read(shots, took_s, trained.held_out_losses[-1][1] if trained.held_out_losses else None)


def _tell(progress: Any) -> None:
    if progress.step % 100 == 0:
        sys.stderr.write(f"  step {progress.step}/{progress.steps}, MSM {progress.msm:.3f}\n")


Scored = Mapping[str, Mapping[str, OutOfFold]]
"""By reader and task."""


def baselines(catalogue: Catalogue, readers: Sequence[str]) -> Scored:
    """What fused embeddings reach, by each of these readers."""
    origin = Origin(FUSED, catalogue.world.suite.id)
    shots: dict[str, TitleShots] = {
        made.given.id: made.shots(made.arrays.fused, origin, made.arrays.metadata) for made in catalogue.judged
    }
    return {reader: {task: out for task, (out, _) in catalogue.scores(shots, [reader]).items()} for reader in readers}


def baseline_rows(found: Scored, number: int) -> list[dict[str, Any]]:
    """The rows of what needs no learning; the control is no bar."""
    return [
        {
            "world": number,
            "seed": None,
            "features": f"fused: {reader}",
            "task": task,
            "bar": reader != CONTROL,
            **_figures(out),
        }
        for reader, scores in found.items()
        for task, out in scores.items()
    ]


def bars(found: Scored) -> dict[str, OutOfFold]:
    """Each task's best baseline by the score itself, which is generous to it."""
    return {
        task: max((found[reader][task] for reader in BASELINES), key=lambda out: interval(out).value) for task in TASKS
    }


def _figures(out: OutOfFold) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), (round(float(x), 4) for x in interval(out)), strict=True))


def encoder_rows(
    catalogue: Catalogue, number: int, setting: Setting, seed: int, best: Mapping[str, OutOfFold], name: str
) -> Iterator[dict[str, Any]]:
    """The rows of one encoder, each with its difference from the task's best baseline."""
    read = read_by(catalogue, setting, seed)
    made = {"cpu_s": round(read.cpu_s), "held_out_loss": read.held_out_loss}
    for task, (out, reader) in catalogue.scores(read.shots, READERS).items():
        gap = [round(float(x), 4) for x in difference(out, best[task])]
        row = {"world": number, "seed": seed, "features": name, "task": task, **_figures(out)}
        yield {**row, "reader": reader, "difference": gap, **made}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the rows that are asked for and not there yet."""
    asked = _parser().parse_args(arguments)
    if asked.baselines is not None:
        return _print_baselines(asked.world, asked.titles, asked.baselines or (*BASELINES, CONTROL))
    rows = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    if asked.table or asked.plot:
        print(table(rows))
        if asked.plot:
            draw(rows, asked.plot)
        return 0
    settings = {name if not asked.name else asked.name: Setting(name, asked.set) for name in asked.preset}
    known = {(row["world"], row["seed"], row["features"]) for row in rows}
    with torch_threads(1), asked.out.open("a") as out:
        for number in asked.world:
            wanted = [
                (n, s, seed) for n, s in settings.items() for seed in asked.seed if (number, seed, n) not in known
            ]
            if wanted:
                _run_world(Catalogue(number, *asked.titles), number, wanted, known, out)
    return 0


def _print_baselines(worlds: Sequence[int], titles: Sequence[int], readers: Sequence[str]) -> int:
    with torch_threads(1):
        for number in worlds:
            print(table(baseline_rows(baselines(Catalogue(number, *titles), readers), number)), flush=True)
    return 0


def _run_world(
    catalogue: Catalogue, number: int, wanted: Sequence[tuple[str, Setting, int]], known: set[Any], out: Any
) -> None:
    found = baselines(catalogue, (*BASELINES, CONTROL))
    best = bars(found)
    _write(out, [row for row in baseline_rows(found, number) if (number, None, row["features"]) not in known])
    for name, setting, seed in wanted:
        sys.stderr.write(f"world {number}, {name}, seed {seed}\n")
        _write(out, list(encoder_rows(catalogue, number, setting, seed, best, name)))


def _write(out: Any, rows: Sequence[dict[str, Any]]) -> None:
    """All rows of one encoder at once: a run that is cut off leaves none of them."""
    out.write("".join(json.dumps(row) + "\n" for row in rows))
    out.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--world", type=int, nargs="+", default=[6, 7], help="seeds of narrative worlds")
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2], help="of the training")
    parser.add_argument("--preset", nargs="+", default=["mediafm", "paper", UNTRAINED], help="what is trained")
    parser.add_argument("--titles", type=int, nargs=3, default=[1500, 220, 300], help="learnt, fitted, scored")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="PART.FIELD=JSON", help="changes, e.g. trainer.steps=200"
    )
    parser.add_argument("--name", help="what to call a changed preset in the file")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the rows go")
    parser.add_argument(
        "--baselines",
        nargs="*",
        choices=READS,
        metavar="READ",
        help="print what these reads of fused embeddings reach, all baselines where none is named; train nothing",
    )
    parser.add_argument("--plot", type=Path, help="draw what the file holds as this SVG, and measure nothing")
    parser.add_argument("--table", action="store_true", help="print what the file holds and measure nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
