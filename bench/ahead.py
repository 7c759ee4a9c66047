"""What it saves to decode the next title while one is worked on: `python -m bench.ahead [DELIVERY...]`.

Titles are carried from delivery to the embeddings of sight and sound, with and without decoding ahead, each time in a
new home. Counted is above all how long steps waited for a decode: what is saved is a part of that, and unlike the
seconds of the whole it can be told on a machine that others use.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.encoders import new_home
from bench.machine import load
from bench.measuring import all_cpu_s, children_cpu_s, n_processors, wall_s
from bench.media import CUT
from mediafm_core.encoders.stage import make_audio, make_video
from mediafm_core.execution import carry_out
from mediafm_core.ingest.taking import examine, make_delivery, take
from mediafm_core.media.cache import decode_ahead, working_set
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import Step
from mediafm_core.shots.stage import make_shots
from mediafm_core.stock import read_state
from mediafm_core.workbench import Bench, Draft, LogReporter, Maker, Stage, Status

TITLES = (CUT.with_name("bbb-butterfly"), CUT, CUT.with_name("bbb-climb"))
_READERS: Mapping[str, Maker] = {
    "shots": make_shots,
    "video_embeddings": make_video,
    "audio_embeddings": make_audio,
}


class Cost(NamedTuple):
    """Of titles from delivery to embeddings."""

    wall_s: float
    waited_s: float  # of these, until a title's decoded media were there
    cpu_s: float  # of this process and its children
    decoding_cpu_s: float  # of the children: nothing else runs in one


class _Watch(LogReporter):
    """Adds up the seconds from a step's turn until its media are decoded."""

    def __init__(self) -> None:
        self.waited_s = self._began_s = 0.0

    def begin(self, step: Step) -> None:
        """See `Reporter`."""
        super().begin(step)
        self._began_s = wall_s()

    def make(self, make: Maker, bench: Bench, step: Step) -> Draft:
        """The stage, after it has its media."""
        working_set(bench, step)
        self.waited_s += wall_s() - self._began_s
        return make(bench, step)


def carried(deliveries: Sequence[Path], *, ahead: bool) -> Cost:
    """What it costs to carry these deliveries, title by title, in a new home."""
    home, watch = new_home(), _Watch()
    examined = [examine(delivery) for delivery in deliveries]
    for each in examined:
        take(home, each)
    read_ahead = decode_ahead if ahead else None
    stages = {kind: Stage(partial(watch.make, make), read_ahead=read_ahead) for kind, make in _READERS.items()}
    stages = {"deliveries": Stage(make_delivery), **stages}
    partitions = {(step.key.kind, step.title): step.key.partition for step in desired(read_state(home)).steps()}
    wanted = [(kind, partitions[kind, each.title.id]) for each in examined for kind in stages]
    began = wall_s(), all_cpu_s(), children_cpu_s()
    outcomes = list(carry_out(home, wanted, stages, watch))
    ended = wall_s(), all_cpu_s(), children_cpu_s()
    assert {outcome.status for outcome in outcomes} == {Status.MADE}
    home.ledger.close()
    took_s, cpu_s, decoding_s = (after - before for before, after in zip(began, ended, strict=True))
    return Cost(took_s, watch.waited_s, cpu_s, decoding_s)


def main() -> None:
    """Carry the titles both ways, print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deliveries", nargs="*", type=Path, default=list(TITLES), help="by default three samples")
    asked = parser.parse_args()
    carried(asked.deliveries[-1:], ahead=False)  # networks are loaded once
    lines = ["| decoding | wall s | of which waiting for it | CPU-s | of which decoding |", "|---|---|---|---|---|"]
    for name, ahead in {"ahead": True, "in turn": False}.items():
        cost = carried(asked.deliveries, ahead=ahead)
        lines.append(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in cost) + " |")
    sys.stdout.write("\n".join([*lines, f"{n_processors()} processors, load {load()[0]} at the end", ""]))


if __name__ == "__main__":
    main()
