"""Muon against AdamW alone, by learning curves: `python -m bench.optimisers`.

Encoders of the size `tiny` learn narrative titles. Rates are chosen on one seed, by shorter trainings; what is compared
are other seeds, each with its own held-out titles. AdamW runs twice: for as many steps as Muon, and for as many CPU
seconds. Every run has its whole schedule, so its end is what such a training would give.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from bench.measuring import cpu_s, torch_threads
from bench.titles import narrative_title
from mediafm_core.model.config import sized
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.world import World
from mediafm_core.pretraining.config import ObjectiveConfig, Optimiser, PretrainingConfig, TrainerConfig
from mediafm_core.sequence.titles import TitleArrays

MUON_RATES = (3e-3, 1e-2, 3e-2)
ADAMW_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
_CHOICE_SEED = 0
_N_EVALUATIONS = 10
_N_TIMED_STEPS, _N_TIMED_ROUNDS = 8, 9  # of the comparison of costs
PLOT = Path(__file__).parents[1] / "docs" / "images" / "optimisers.svg"


class Run(NamedTuple):
    """One training."""

    name: str  # of its curve
    seed: int
    steps: int
    muon_rate: float | None  # None where AdamW moves everything
    adamw_rate: float
    step_s: float  # median CPU seconds of a step, evaluations apart
    curve: list[tuple[int, float]]  # (steps done, MSM loss on held-out titles)

    @property
    def loss(self) -> float:
        """At the end."""
        return self.curve[-1][1]


class Costs(NamedTuple):
    """CPU seconds of a step."""

    muon_s: float
    adamw_s: float  # where AdamW moves everything
    ratio: float  # the median over the rounds


class Setting(NamedTuple):
    """What all runs share."""

    titles: Sequence[TitleArrays]
    config: PretrainingConfig  # its trainer's steps, optimiser and rates differ from run to run

    def run(self, name: str, seed: int, steps: int, *, muon: float | None, adamw: float) -> Run:
        """Train once."""
        step_s, curve = self._train(seed, self._trainer(steps, muon, adamw))
        done = Run(name, seed, steps, muon, adamw, step_s, curve)
        rates = f"muon {muon:g}, adamw {adamw:g}" if muon is not None else f"adamw {adamw:g}"
        sys.stderr.write(
            f"{name}, seed {seed}, {steps} steps, {rates}: {done.loss:.4f}, {done.step_s:.3f} CPU-s/step\n"
        )
        return done

    def step_s(self, *, muon: float | None, adamw: float) -> float:
        """CPU seconds of a step, from a few that are not judged."""
        trainer = self._trainer(_N_TIMED_STEPS, muon, adamw)
        return self._train(_CHOICE_SEED, replace(trainer, held_out_share=0.0))[0]

    def _train(self, seed: int, trainer: TrainerConfig) -> tuple[float, list[tuple[int, float]]]:
        """The median CPU seconds of a step, and the curve."""
        from mediafm_core.pretraining.corpus import InMemory
        from mediafm_core.pretraining.trainer import train

        config = replace(self.config, trainer=trainer)
        ends_s: list[float] = []
        trained = train(InMemory(self.titles), config, seed=seed, report=lambda _: ends_s.append(cpu_s()))
        return median(np.diff(ends_s).tolist()), trained.held_out_losses or []

    def _trainer(self, steps: int, muon: float | None, adamw: float) -> TrainerConfig:
        moved = {"optimiser": Optimiser.MUON, "muon_rate": muon} if muon is not None else {"optimiser": Optimiser.ADAMW}
        timing = {"steps": steps, "warm_up_steps": steps // 5, "evaluate_every": max(1, steps // _N_EVALUATIONS)}
        return replace(self.config.trainer, adamw_rate=adamw, **moved, **timing)


def setting(n_titles: int) -> Setting:
    """Titles of world 0, a tenth of them held out, and the configurations' own defaults, which presets do not move."""
    widths = WorldConfig()
    model = sized("tiny", (widths.video_dims, widths.audio_dims, widths.text_dims), widths.text_dims)
    config = PretrainingConfig(model=model, objective=ObjectiveConfig(), trainer=TrainerConfig(held_out_share=0.1))
    world = World.of(widths)
    return Setting([narrative_title(world, seed) for seed in range(n_titles)], config)


def best(rates: Sequence[float], attempt: Callable[[float], Run]) -> list[Run]:
    """Try these rates, and on beyond an end that is the best so far; best run first."""
    runs = {rate: attempt(rate) for rate in rates}
    while True:
        rate = min(runs, key=lambda each: runs[each].loss)
        beyond = {min(runs): rate / 3, max(runs): rate * 3}.get(rate)
        if beyond is None:
            return sorted(runs.values(), key=lambda run: run.loss)
        runs[beyond] = attempt(beyond)


def chosen(shared: Setting, steps: int) -> tuple[list[Run], list[Run]]:
    """The trainings of AdamW alone and of Muon that rates are chosen by, best first: each has the same refinement.

    AdamW alone has one rate, which is refined. Muon has two: its own, then that of the AdamW beside it.
    """
    alone = best(ADAMW_RATES, lambda rate: shared.run("grid", _CHOICE_SEED, steps, muon=None, adamw=rate))
    beside = alone[0].adamw_rate
    finer = [float(f"{beside * factor:.2g}") for factor in (3**-0.5, 3**0.5)]
    alone += [shared.run("grid", _CHOICE_SEED, steps, muon=None, adamw=rate) for rate in finer]
    muon = best(MUON_RATES, lambda rate: shared.run("grid", _CHOICE_SEED, steps, muon=rate, adamw=beside))
    rate = muon[0].muon_rate
    muon += [shared.run("grid", _CHOICE_SEED, steps, muon=rate, adamw=other) for other in (beside / 3, beside * 3)]
    return sorted(alone, key=lambda run: run.loss), sorted(muon, key=lambda run: run.loss)


def costs(shared: Setting, alone: Run, muon: Run) -> Costs:
    """What a step costs by either, measured in turn: what long runs cost follows the hours of a shared machine."""
    pairs = [
        (shared.step_s(muon=muon.muon_rate, adamw=muon.adamw_rate), shared.step_s(muon=None, adamw=alone.adamw_rate))
        for _ in range(_N_TIMED_ROUNDS)
    ]
    ratio = median(ours / theirs for ours, theirs in pairs)
    return Costs(median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs), ratio)


def compared(shared: Setting, alone: Run, muon: Run, steps: int, seeds: Sequence[int]) -> list[Run]:
    """Three runs for each seed: Muon, AdamW for equal steps, AdamW for equal CPU time."""
    cost = costs(shared, alone, muon)
    runs: list[Run] = []
    for seed in seeds:
        mine = shared.run("Muon", seed, steps, muon=muon.muon_rate, adamw=muon.adamw_rate)
        runs.append(mine._replace(step_s=cost.muon_s))
        for name, n_steps in (("AdamW, equal steps", steps), ("AdamW, equal CPU time", round(steps * cost.ratio))):
            theirs = shared.run(name, seed, n_steps, muon=None, adamw=alone.adamw_rate)
            runs.append(theirs._replace(step_s=cost.adamw_s))
    return runs


def table(runs: Sequence[Run]) -> str:
    """Held-out losses at the end, a row for each curve."""
    lines = ["| | steps | CPU-s a step | held-out loss by seed | mean |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(run.name for run in runs):
        same = [run for run in runs if run.name == name]
        losses = ", ".join(f"{run.loss:.4f}" for run in same)
        cost = median(run.step_s for run in same)
        lines.append(f"| {name} | {same[0].steps} | {cost:.3f} | {losses} | {mean(run.loss for run in same):.4f} |")
    return "\n".join(lines)


def main() -> None:
    """Choose rates, compare, print the table, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="of the compared runs; the grid takes half as many")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--titles", type=int, default=600)
    parser.add_argument("--plot", type=Path, default=PLOT)
    parser.add_argument("--json", type=Path, help="keep all runs here")
    asked = parser.parse_args()
    shared = setting(asked.titles)
    with torch_threads(1):
        alone, muon = chosen(shared, asked.steps // 2)
        runs = compared(shared, alone[0], muon[0], asked.steps, range(1, asked.seeds + 1))
    if asked.json:
        asked.json.write_text(json.dumps([run._asdict() for run in [*alone, *muon, *runs]], indent=1) + "\n")
    from bench.curves import draw

    draw(runs, asked.plot)
    sys.stdout.write(table(runs) + "\n")


if __name__ == "__main__":
    main()
