"""Do contextual embeddings beat what needs no learning? `python -m bench.quality --world 7 8 --seed 0 1 2`.

Synthetic titles throughout. In each world an encoder is trained on some titles, heads are fitted on others, and others
still are scored. Fused embeddings are read in each way that the encoder's are, and in more. Each result is a row of a
file; a row that is there already is not made again, and neither is an encoder, so a run that was cut off goes on.
`--table` prints what the file holds and `--plot` draws it. `--baselines` prints what needs no learning, and trains and
keeps nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measuring import torch_threads
from bench.quality_encoders import READINGS, UNTRAINED, Setting, encoder_of, read_by
from bench.quality_plot import draw
from bench.quality_table import table
from bench.quality_titles import LENGTHS, Catalogue
from mediafm_core.probes.comparing import difference, interval
from mediafm_core.probes.labels import OutOfFold
from mediafm_core.probes.reads import CONTEXTUAL_READS, READS
from mediafm_core.probes.tasks import TASKS

RESULTS = Path(__file__).with_name("quality.jsonl")
ENCODERS = Path(__file__).parents[1] / ".cache" / "quality"
BASELINES = (
    "clip",
    "clip + 12 before + 12 after",
    "clip + neighbours within 12",
    "clip + title mean",
    "clip + 12 before + 12 after + title mean",
    "clip + windows + title mean",
    "clip + windows + cosines",
    "title vector",
    "clip + title vector",
    "clip + title mean + title vector",
    "clip + 12 before + 12 after + title vector",
)
"""How fused embeddings are read; each is a row. Where no encoder has made a title's vector it is the metadata's."""

WINDOWS = ("clip + 12 before + 12 after", "clip + windows + title mean", "clip + windows + cosines")
TREES = "boosted trees on windows"
"""One more baseline, the one that is not linear: upon a linear head that chooses among `WINDOWS`."""

CONTROL = "position"
"""Where a clip stands, and nothing else: it must tell nothing."""

ALL_READERS = (*BASELINES, TREES, CONTROL)

READERS = tuple(read.name for read in CONTEXTUAL_READS)
"""Among these the heads of an encoder choose, inside their own titles."""

Scored = Mapping[str, Mapping[str, OutOfFold]]
"""By reader and task."""


def baselines(catalogue: Catalogue, readers: Sequence[str]) -> Scored:
    """What fused embeddings reach, by each of these readers or by trees."""
    return {
        reader: catalogue.scores_of_trees(WINDOWS, ("clip", "cosines"))
        if reader == TREES
        else {task: out for task, (out, _) in catalogue.scores(catalogue.fused, [reader]).items()}
        for reader in readers
    }


def baseline_rows(found: Scored, labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of what needs no learning; the control is no bar."""
    return [
        {
            **labels,
            "seed": None,
            "features": f"fused: {reader.replace('title vector', 'metadata')}",
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
        task: max((scores[task] for reader, scores in found.items() if reader != CONTROL), key=_value) for task in TASKS
    }


def _value(out: OutOfFold) -> float:
    return interval(out).value


def _figures(out: OutOfFold) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), (round(float(x), 4) for x in interval(out)), strict=True))


class Run:
    """What is asked of one world.

    Args:
        catalogue: its titles.
        number: its seed.
        encoders: the folder where encoders are kept.
        readers: that an encoder's heads choose among.
    """

    def __init__(self, catalogue: Catalogue, number: int, encoders: Path, readers: Sequence[str] = READERS) -> None:
        self._catalogue, self._encoders, self._readers = catalogue, encoders, readers
        n_titles = [catalogue.n_learnt, len(catalogue.fitted), len(catalogue.scored)]
        self._labels = labels_of(number, catalogue.lengths, n_titles)

    def baselines(self) -> tuple[list[dict[str, Any]], dict[str, OutOfFold]]:
        """The rows of what needs no learning, and the best of them for each task."""
        found = baselines(self._catalogue, ALL_READERS)
        return baseline_rows(found, self._labels), bars(found)

    def encoder(
        self, name: str, setting: Setting, seed: int, best: Mapping[str, OutOfFold], reading: str
    ) -> Iterator[dict[str, Any]]:
        """The rows of one encoder, each with its difference from the task's best baseline."""
        encoder = encoder_of(self._catalogue, setting, seed, self._encoders)
        shots = read_by(self._catalogue, encoder.model, name, reading)
        for task, (out, reader) in self._catalogue.scores(shots, self._readers).items():
            gap = [round(float(x), 4) for x in difference(out, best[task])]
            row = {**self._labels, "seed": seed, "features": name, "task": task, **_figures(out)}
            row["set"] = list(setting.changes)
            yield {**row, "reader": reader, "difference": gap, **encoder.facts}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the rows that are asked for and not there yet."""
    asked = _parser().parse_args(arguments)
    if asked.baselines is not None:
        return _print_baselines(asked)
    rows = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    if asked.table or asked.plot:
        print(table(rows))
        if asked.plot:
            draw(rows, asked.plot)
        return 0
    known = {_key(row) for row in rows}
    with torch_threads(1), asked.out.open("a") as out:
        for number in asked.world:
            _run_world(asked, number, known, out)
    return 0


def _print_baselines(asked: argparse.Namespace) -> int:
    with torch_threads(1):
        for number in asked.world:
            catalogue = Catalogue(number, *asked.titles, lengths=asked.lengths)
            found = baselines(catalogue, asked.baselines or ALL_READERS)
            print(table(baseline_rows(found, labels_of(number, asked.lengths, asked.titles))), flush=True)
    return 0


def _run_world(asked: argparse.Namespace, number: int, known: set[Any], out: Any) -> None:
    labels = labels_of(number, asked.lengths, asked.titles)
    wanted = [
        (name, Setting(preset, asked.set), seed, reading)
        for preset in asked.preset
        for seed in asked.seed
        for reading in asked.reading
        if _key({**labels, "seed": seed, "features": (name := _name(asked.name or preset, reading)), "set": asked.set})
        not in known
    ]
    if not wanted:
        return
    catalogue = Catalogue(number, *asked.titles, lengths=asked.lengths)
    run = Run(catalogue, number, asked.encoders, asked.readers)
    for name, setting, seed, _ in wanted:  # the long part first: what is kept is not trained again
        sys.stderr.write(f"world {number}, {name}, seed {seed}\n")
        encoder_of(catalogue, setting, seed, asked.encoders)
    rows, best = run.baselines()
    write(out, [row for row in rows if _key(row) not in known])
    for name, setting, seed, reading in wanted:
        write(out, list(run.encoder(name, setting, seed, best, reading)))


def labels_of(number: int, lengths: str, n_titles: Sequence[int]) -> dict[str, Any]:
    """What the rows of a world have in common."""
    return {"world": number, "lengths": lengths, "titles": list(n_titles)}


def _key(row: Mapping[str, Any]) -> str:
    """What makes two rows of a task one."""
    parts = [row["world"], row["lengths"], row["titles"], row["seed"], row["features"], sorted(row.get("set", []))]
    return json.dumps(parts)


def _name(name: str, reading: str) -> str:
    return name if reading == next(iter(READINGS)) else f"{name}, {reading}"


def write(out: Any, rows: Sequence[dict[str, Any]]) -> None:
    """All rows of one encoder at once: a run that is cut off leaves none of them."""
    out.write("".join(json.dumps(row) + "\n" for row in rows))
    out.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--world", type=int, nargs="+", default=[7, 8], help="seeds of narrative worlds")
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2], help="of the training")
    parser.add_argument("--preset", nargs="+", default=["mediafm", "paper", UNTRAINED], help="what is trained")
    parser.add_argument("--titles", type=int, nargs=3, default=[1500, 220, 300], help="learnt, fitted, scored")
    parser.add_argument("--lengths", choices=LENGTHS, default="short", help="of titles, in shots")
    parser.add_argument("--reading", nargs="+", choices=READINGS, default=["windows"], help="of titles, by encoders")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="PART.FIELD=JSON", help="changes, e.g. trainer.steps=200"
    )
    parser.add_argument(
        "--readers", nargs="+", choices=READS, default=READERS, metavar="READ", help="of encoders' heads"
    )
    parser.add_argument("--name", help="what to call a changed preset, or one with other readers, in the file")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the rows go")
    parser.add_argument("--encoders", type=Path, default=ENCODERS, help="where encoders are kept, and found again")
    parser.add_argument(
        "--baselines",
        nargs="*",
        choices=[*READS, TREES],
        metavar="READ",
        help="print what these reads of fused embeddings reach, all baselines where none is named; train nothing",
    )
    parser.add_argument("--plot", type=Path, help="draw what the file holds as this SVG, and measure nothing")
    parser.add_argument("--table", action="store_true", help="print what the file holds and measure nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
