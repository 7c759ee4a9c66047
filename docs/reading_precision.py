"""What reading titles in bfloat16 changes.

    python docs/reading_precision.py

Trains an encoder of size tiny on a narrative world, reads other titles of it in float32 and in bfloat16, and prints a
table: 1 - cosine of each shot's two vectors and of each title's, which share of a shot's ten nearest shots in its title
is the same by both, and CPU seconds.

Shape letters: S shots, H hidden.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from window_edges import Floats, apart, narrative, trained

from mediafm_core.contextual.embedding import Contextual, embed_title
from mediafm_core.model.config import Precision, Reading
from mediafm_core.model.encoder import MediaFM
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.world import World
from mediafm_core.sequence.titles import TitleArrays

NEAREST = 10


class Read(NamedTuple):
    """Titles as read in one precision."""

    titles: list[Contextual]
    cpu_s: float


def read(encoder: MediaFM, titles: Sequence[TitleArrays], precision: Precision, reading: Reading) -> Read:
    """Embed titles; the first one is read twice, so that no weight is cast while the clock runs."""
    encoder.config = replace(encoder.config, precision=precision, reading=reading)
    embed_title(encoder, titles[0].fused, titles[0].metadata)
    began_s = time.process_time()
    return Read([embed_title(encoder, t.fused, t.metadata) for t in titles], time.process_time() - began_s)


def nearest(shots: Floats) -> NDArray[np.intp]:
    """(S, NEAREST) the shots of the title that resemble each one most, itself left out."""
    unit = shots / np.linalg.norm(shots, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1)[:, :NEAREST]


def kept_share(one: Floats, other: Floats) -> float:
    """Of each shot's nearest shots, those that are among its nearest by the other vectors too."""
    pairs = zip(nearest(one), nearest(other), strict=True)
    return float(np.mean([len(set(a) & set(b)) / NEAREST for a, b in pairs]))


def row(exact: Read, coarse: Read) -> str:
    """The figures of one way of reading, as cells."""
    pairs = list(zip(exact.titles, coarse.titles, strict=True))
    shots = np.concatenate([apart(a.shots, b.shots) for a, b in pairs])
    of_titles = max(float(apart(a.title, b.title)) for a, b in pairs)
    kept = np.mean([kept_share(a.shots, b.shots) for a, b in pairs])
    figures = " | ".join(f"{f:.1e}" for f in (shots.mean(), np.quantile(shots, 0.99), shots.max(), of_titles))
    return f"{figures} | {kept:.3f} | {exact.cpu_s:.2f} | {coarse.cpu_s:.2f} |"


def main() -> None:
    """Train, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=int, default=0)
    parser.add_argument("--train", type=int, default=20, help="titles to train on")
    parser.add_argument("--test", type=int, default=4, help="titles to read, none of them trained on")
    parser.add_argument("--steps", type=int, default=60, help="of training, of 2,048 shots each")
    given = parser.parse_args()
    torch.set_num_threads(1)
    world = World.of(WorldConfig(seed=given.world))
    encoder = trained(world, {}, given.train, given.steps)
    titles = [narrative(world, given.train + i) for i in range(given.test)]
    lines = [
        "| read by | shots, mean | 99 % below | largest | titles, largest | nearest kept | float32 s | bfloat16 s |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for reading in Reading:
        exact, coarse = (read(encoder, titles, precision, reading) for precision in Precision)
        lines.append(f"| {reading} | {row(exact, coarse)}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
