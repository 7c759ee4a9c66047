"""What a shot's place in its window changes, and what the stride between windows does about it.

    python docs/window_edges.py

Trains small encoders for a minute or two on a narrative world, then reads long titles of it. What every reading is held
against is the shot's state in the window around it: as much context on both sides as the title has. Writes
docs/images/window-edges.svg and prints a table.

Shape letters: S shots, W shots of a window, H hidden, N shots that are looked at.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import Modality
from mediafm_core.contextual.embedding import embed_title
from mediafm_core.fusion import fuse, presence
from mediafm_core.model.config import ModelConfig, Positions, Reading
from mediafm_core.model.encoder import MediaFM
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.titles import title
from mediafm_core.narrative.world import World
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import InMemory
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.pretraining.trainer import train
from mediafm_core.sequence.batches import piece
from mediafm_core.sequence.titles import TitleArrays, as_tensors
from mediafm_core.sequence.windows import Window

SHARES = (1.0, 0.75, 0.5, 0.25)  # strides that titles are read by, over the window
N_SHOTS = 1_500  # of each title
EVERY = 8  # one shot in so many is looked at
STEP = 61  # from one window to the next where distances are measured; coprime with EVERY, so that all occur
FARTHEST = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)  # distances from an edge, gathered up to each of these
AT_ONCE = 4  # windows of one forward pass
PLOT = Path(__file__).parent / "images" / "window-edges.svg"
COLOURS = ("#b3471d", "#2b6a99", "#7a9a3a")

Floats = NDArray[np.floating]


class Edges(NamedTuple):
    """One encoder's 1 - cosine to the state in the window around each shot."""

    by_distance: Floats  # (len(FARTHEST),) mean over the shots whose nearest edge is so far away
    by_reading: dict[str, Floats]  # by stride or `whole`, (N,) for each shot that was looked at
    other_shots: float  # the mean between two shots at random: what a large distance is


def narrative(world: World, seed: int) -> TitleArrays:
    """One long title, fused as the catalogue fuses it."""
    given = title(world, seed, N_SHOTS)
    blocks = {m.value: given.vectors[m].astype(np.float32) for m in Modality}
    has_audio, has_text = presence(blocks["audio"]), presence(blocks["text"])
    fused = fuse(**blocks, suite=world.suite, has_audio=has_audio, has_text=has_text)
    return TitleArrays(given.id, fused, given.metadata_vector.astype(np.float32))


def trained(world: World, model: Mapping[str, object], n_titles: int, steps: int) -> MediaFM:
    """The preset `mediafm` with these options of the model and so many steps."""
    suite = world.suite
    dims = (suite.video.dims, suite.audio.dims, suite.text.dims)
    made = PretrainingConfig.from_json(preset_config("mediafm", modality_dims=dims, metadata_dims=suite.text.dims))
    trainer = replace(made.trainer, steps=steps, held_out_share=0.0, patience=0)
    config = replace(made, model=replace(made.model, **model), trainer=trainer)
    return train(InMemory([narrative(world, seed) for seed in range(n_titles)]), config, seed=0).encoder


@torch.inference_mode()
def states(encoder: MediaFM, arrays: TitleArrays, starts: Sequence[int]) -> NDArray[np.float32]:
    """(K, W, H) what the windows that begin at `starts` make of their shots."""
    config = encoder.config
    whole = as_tensors(arrays, config.fused_dims, config.metadata_dims)
    read = []
    for i in range(0, len(starts), AT_ONCE):
        pieces = [piece(*whole, Window(start, start + config.window)) for start in starts[i : i + AT_ONCE]]
        fused, metadata, fraction = (torch.stack(parts) for parts in zip(*pieces, strict=True))
        read.append(encoder.read(fused, None, fraction, metadata).shots.numpy())
    return np.concatenate(read)


def apart(one: Floats, other: Floats) -> Floats:
    """1 - cosine of rows."""
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return 1 - (one * other).sum(-1) / lengths


def around(encoder: MediaFM, arrays: TitleArrays, looked_at: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, H) each shot's state in the window around it; at a title's ends, in its first or last window."""
    window = encoder.config.window
    starts = np.clip(looked_at - window // 2, 0, N_SHOTS - window)
    rows = states(encoder, arrays, starts.tolist())
    return rows[np.arange(len(looked_at)), looked_at - starts]


def by_distance(
    encoder: MediaFM, arrays: TitleArrays, looked_at: NDArray[np.int64], expected: Floats
) -> tuple[Floats, Floats]:
    """Of each shot in each of many windows: shots to the window's nearest edge inside the title, and 1 - cosine."""
    window = encoder.config.window
    starts = list(range(0, N_SHOTS - window + 1, STEP))
    distances, values = [], []
    for start, rows in zip(starts, states(encoder, arrays, starts), strict=True):
        within = (looked_at >= start) & (looked_at < start + window)
        shots = looked_at[within]
        before = shots - start if start > 0 else np.full(len(shots), N_SHOTS)
        after = start + window - 1 - shots if start + window < N_SHOTS else np.full(len(shots), N_SHOTS)
        distances.append(np.minimum(before, after))
        values.append(apart(rows[shots - start], expected[within]))
    return np.concatenate(distances), np.concatenate(values)


def readings(config: ModelConfig) -> dict[str, ModelConfig]:
    """The ways to read a title that are compared, by name."""
    named = {f"stride {share:g}": replace(config, stride_share=share) for share in SHARES}
    if config.positions is Positions.ROTARY:
        named["whole"] = replace(config, reading=Reading.WHOLE)
    return named


def measure(encoder: MediaFM, titles: Sequence[TitleArrays]) -> Edges:
    """All of one encoder's figures."""
    looked_at = np.arange(0, N_SHOTS, EVERY)
    config, rng = encoder.config, np.random.default_rng(0)
    distances, values, others = [], [], []
    found: dict[str, list[Floats]] = {name: [] for name in readings(config)}
    for arrays in titles:
        expected = around(encoder, arrays, looked_at)
        distance, value = by_distance(encoder, arrays, looked_at, expected)
        distances.append(distance)
        values.append(value)
        others.append(apart(expected, rng.permutation(expected)))
        for name, read in readings(config).items():
            encoder.config = read
            got = embed_title(encoder, arrays.fused, arrays.metadata).shots[looked_at]
            found[name].append(apart(got, expected))
        encoder.config = config
    place, value = np.searchsorted(FARTHEST, np.concatenate(distances)), np.concatenate(values)
    means = np.array([value[place == i].mean() for i in range(len(FARTHEST))])
    return Edges(means, {name: np.concatenate(rows) for name, rows in found.items()}, float(np.mean(others)))


def draw(found: Mapping[str, Edges], window: int) -> None:
    """1 - cosine over the distance to the edge, a line for each encoder."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, edges), colour in zip(found.items(), COLOURS, strict=False):
        axes.plot(FARTHEST, edges.by_distance, color=colour, marker="o", markersize=3, label=name)
    for share in SHARES[1:]:
        nearest = window * (1 - share) / 2
        axes.axvline(nearest, color="#999999", linewidth=0.7, linestyle=":")
        axes.annotate(f"stride {share:g}", (nearest, 1), (-3, -4), ("data", "axes fraction"), "offset points",
                      rotation=90, va="top", ha="right", fontsize=7, color="#666666")  # fmt: skip
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(-0.3, 1.2 * FARTHEST[-1])
    axes.set_xticks(FARTHEST, [str(d) for d in FARTHEST])
    axes.set_yscale("log")
    axes.set(xlabel="shots from the window's edge", ylabel="1 - cosine to the shot in mid-window")
    axes.legend(frameon=False, fontsize=8)
    PLOT.parent.mkdir(exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "mediafm"}):
        figure.savefig(PLOT, format="svg", metadata={"Date": None})


def table(found: Mapping[str, Edges]) -> str:
    """By encoder and reading: mean, 95th percentile, largest; then the means by distance from the edge."""
    lines = ["| encoder | read by | mean | 95 % below | largest |", "|---|---|---|---|---|"]
    for name, edges in found.items():
        for reading, values in edges.by_reading.items():
            lines.append(
                f"| {name} | {reading} | {cells(np.array([values.mean(), np.quantile(values, 0.95), values.max()]))} |"
            )
        lines.append(f"| {name} | two shots at random | {edges.other_shots:.2g} | | |")
    lines += ["", f"| from the edge | {' | '.join(map(str, FARTHEST))} |", "|---|" + "---|" * len(FARTHEST)]
    lines += [f"| {name} | {cells(edges.by_distance)} |" for name, edges in found.items()]
    return "\n".join(lines) + "\n"


def cells(figures: Floats) -> str:
    """Two digits each, as a row of a table."""
    return " | ".join(f"{figure:.2g}" for figure in figures)


def main() -> None:
    """Train, measure, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=int, default=0)
    parser.add_argument("--train", type=int, default=40, help="titles to train on")
    parser.add_argument("--test", type=int, default=2, help="titles to read, none of them trained on")
    parser.add_argument("--steps", type=int, default=100, help="of training, of 2,048 shots each")
    given = parser.parse_args()
    torch.set_num_threads(1)
    world = World.of(WorldConfig(seed=given.world))
    titles = [narrative(world, given.train + i) for i in range(given.test)]
    models = {
        "rotary": {"positions": Positions.ROTARY, "stem": ()},
        "rotary, stem 4 12 40": {"positions": Positions.ROTARY, "stem": (4, 12, 40)},
        "learned": {"positions": Positions.LEARNED, "stem": ()},
    }
    encoders = {name: trained(world, model, given.train, given.steps) for name, model in models.items()}
    found = {name: measure(encoder, titles) for name, encoder in encoders.items()}
    draw(found, encoders["rotary"].config.window)
    sys.stdout.write(table(found))


if __name__ == "__main__":
    main()
