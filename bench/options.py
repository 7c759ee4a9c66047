"""What each option of model, objective and trainer does to the five tasks: `python -m bench.options`.

One change at a time from one reference, 60 steps each, on the synthetic world on which choices are made; one seed, 300
titles with labels. So a difference below about .015 is nothing.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.quality import main as measure

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
}
"""The preset `mediafm` without its stem and what else it is asked."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "reference": {},
    "no visible shots asked": {"objective.visible_share": 0.0, "objective.visible_weight": 0.0},
    "one cosine over all": {"objective.distance": "fused"},
    "spans of 6": {"objective.masking": "spans"},
    "scenes": {"objective.masking": "scenes"},
    "denoised targets": {"objective.target": "denoised"},
    "modalities hidden .15": {"objective.modality_share": 0.15},
    "horizons 4, 12, 40": {"objective.horizon_weight": 1.0},
    "metadata .5": {"objective.metadata_weight": 0.5},
    "contrast .3": {"objective.contrast_weight": 0.3},
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


def main() -> int:
    """Measure those that are not in the file yet, then print it."""
    for name, changes in OPTIONS.items():
        changed = [f"{field}={json.dumps(value)}" for field, value in {**REFERENCE, **changes}.items()]
        world = ["--world", str(WORLD), "--seed", "0", "--titles", "500", "150", "150", "--out", str(RESULTS)]
        measure([*world, "--preset", "mediafm", "--name", name, "--set", *changed])
    return measure(["--table", "--out", str(RESULTS)])


if __name__ == "__main__":
    sys.exit(main())
