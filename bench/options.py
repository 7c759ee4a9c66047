"""What each option of model, objective and trainer does to the five tasks: `python -m bench.options`.

One change at a time from one reference, 60 steps each, on the synthetic world on which choices are made; one seed, 300
titles with labels. So a difference below about .015 is nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measuring import torch_threads
from bench.quality import ENCODERS, Run, write
from bench.quality_encoders import Setting
from bench.quality_table import table
from bench.quality_titles import Catalogue

RESULTS = Path(__file__).with_name("options.jsonl")
WORLD = 5

_STEM = {"model.stem": [4, 12, 40]}
_ASKED = {"objective.horizon_weight": 1.0, "objective.modality_share": 0.15}

REFERENCE: Mapping[str, Any] = {
    "model.stem": [],
    "objective.horizon_weight": 0.0,
    "objective.modality_share": 0.0,
    "objective.metadata_weight": 0.0,
    "trainer.steps": 60,
    "trainer.warm_up_steps": 10,
    "trainer.muon_rate": 0.01,
    "trainer.adamw_rate": 0.003,
    "trainer.gru_steps": 0,
}
"""The preset `mediafm` without its stem and what else it is asked, at lower rates."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "reference": {},
    "no visible shots asked": {"objective.visible_share": 0.0, "objective.visible_weight": 0.0},
    "one cosine over all": {"objective.distance": "fused"},
    "two fifths masked": {"objective.mask_share": 0.4},
    "spans of 6": {"objective.masking": "spans"},
    "spans of 24": {"objective.masking": "spans", "objective.span_shots": 24},
    "scenes": {"objective.masking": "scenes"},
    "denoised targets": {"objective.target": "denoised"},
    "modalities hidden .15": {"objective.modality_share": 0.15},
    "horizons 4, 12, 40": {"objective.horizon_weight": 1.0},
    "metadata .5": {"objective.metadata_weight": 0.5},
    "contrast .3": {"objective.contrast_weight": 0.3},
    "contrast .3, temperature .05": {"objective.contrast_weight": 0.3, "objective.temperature": 0.05},
    "runs of at least half a title": {"trainer.min_crop_share": 0.5},
    "stem 4, 12, 40": _STEM,
    "mediafm": {**_STEM, **_ASKED},
    "learned positions": {"model.positions": "learned"},
    "modality dropout .15": {"objective.modality_share": 0.15, "objective.modality_weight": 0.0},
    "learned absence": {"model.missing": "learned"},
    "bfloat16": {"trainer.precision": "bfloat16"},
    "running mean .98": {"trainer.average_decay": 0.98},
    "Muon .03, AdamW .009": {"trainer.muon_rate": 0.03, "trainer.adamw_rate": 0.009},
}
"""By name, what differs from the reference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure those that are not in the file yet, then print it."""
    asked = _parser().parse_args(arguments)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    with torch_threads(1), RESULTS.open("a") as out:
        for made in _missing(asked.option, {row["features"] for row in rows}):
            write(out, made)
            rows += made
    print(table(rows))
    return 0


def _missing(wanted: Sequence[str], known: set[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of the baselines, if there are none, and of each option."""
    wanted = [name for name in wanted if name not in known]
    if not wanted:
        return
    run = Run(Catalogue(WORLD, 500, 150, 150), WORLD, ENCODERS)
    rows, best = run.baselines()
    if not known:
        yield rows
    for name in wanted:
        sys.stderr.write(f"{name}\n")
        yield list(run.encoder(name, _setting(OPTIONS[name]), 0, best, "windows"))


def _setting(changes: Mapping[str, Any]) -> Setting:
    return Setting("mediafm", [f"{field}={json.dumps(value)}" for field, value in {**REFERENCE, **changes}.items()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.options", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--option", nargs="+", choices=OPTIONS, default=list(OPTIONS), help="which; by default all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
