"""How often the canaries alarm on quiet days, and which drifts they catch: a simulation, no measurement.

    python docs/drift_power.py

Prints the tables of docs/drift.md and writes docs/images/drift-power.svg. The noise that is assumed stands in
mediafm_core/drift/simulation.py.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from mediafm_core.drift.simulation import DRIFTS, Assumed, Caught, caught, first_days, quiet_alarms

NOISES = (4e-6, 1e-5)  # expected distances on a quiet day: cosines 0.999996 and 0.99999
DISTANCES = (1e-6, 3e-6, 1e-5, 2e-5, 3e-5, 5e-5, 1e-4)
ASKED = {
    ("all inputs, each its own way", 1e-4): 1.0,
    ("a tenth of the inputs", 1e-4): 0.95,
    ("all along a head's weights", 5e-5): 1.0,
}
"""The least share that must be caught."""
N_WORLDS = 10  # encoders, each with its own quiet days and limits
PLOT = Path(__file__).parent / "images" / "drift-power.svg"
COLOURS = ("#b3471d", "#2b6a99", "#7a9a3a")

NOISIER = (1e-5, 1.5e-5, 2e-5, 3e-5, 5e-5, 1e-4)
"""Expected distances on a quiet day of providers that are noisier and noisier."""
N_FIRST = 5  # encoders whose first days are watched, for each of these

Power = Mapping[str, Sequence[Caught]]
"""Of each drift the shares that were caught, by DISTANCES."""


def power(assumed: Assumed, n_days: int) -> Power:
    """Simulate every drift at every distance."""
    return {
        name: [caught(assumed, drift, distance, n_days, seed=i, n_worlds=N_WORLDS) for distance in DISTANCES]
        for i, (name, drift) in enumerate(DRIFTS.items())
    }


def print_tables(assumed: Assumed, alarms: int, n_quiet: int, found: Power, n_days: int) -> None:
    """As they stand in the document."""
    print(f"\nnoise: cosine {1 - assumed.noise:.6f}; quiet days that alarmed: {alarms} of {n_quiet}")
    print(f"caught, of {n_days} days\n")
    print(f"| drift at cosine | {' | '.join(f'{1 - distance:.6f}' for distance in DISTANCES)} |")
    print(f"|---|{'---|' * len(DISTANCES)}")
    for name, shares in found.items():
        print(f"| {name} | {' | '.join(f'{share.by_any:.0%}' for share in shares)} |")
        print(f"| … by heads' scores alone | {' | '.join(f'{share.by_scores:.0%}' for share in shares)} |")
    for (name, distance), least in ASKED.items():
        share = found[name][DISTANCES.index(distance)].by_any
        print(f"{name} at {1 - distance:.5f}: {share:.1%} caught, {least:.0%} asked")


def print_by_noise(n_quiet: int, n_days: int) -> None:
    """What becomes of the limits, and of what they see, as a provider is noisier."""
    print(
        "\n| noise: cosine | alarms of 5 encoders before they are calibrated | quiet days that alarm after |",
        end=" sees a tenth from |",
    )
    print(" all inputs at 0.9999 | a tenth at 0.9999 | along a head's weights at 0.99995 |")
    print(f"|---|{'---|' * 6}")
    for noise in NOISIER:
        assumed = replace(Assumed(), noise=noise)
        first = [first_days(assumed, seed=i) for i in range(N_FIRST)]
        alarms = sum(quiet_alarms(assumed, n_quiet // N_FIRST, seed=50 + i) for i in range(N_FIRST))
        sees = max(each.limits.sees_tenth for each in first)
        seen = [
            caught(assumed, DRIFTS[name], at, n_days, seed=i, n_worlds=5).by_any for i, (name, at) in enumerate(ASKED)
        ]
        said = " + ".join(str(each.alarms) for each in first)
        print(f"| {1 - noise:.6f} | {said} | {alarms} of {n_quiet} | {1 - sees:.6f} |", end="")
        print(" | ".join(["", *(f"{share:.0%}" for share in seen)])[2:], "|", flush=True)


def draw(by_noise: Mapping[float, Power]) -> None:
    """The shares that were caught over the distance, a panel for each noise."""
    mpl.rcParams.update({"svg.hashsalt": "mediafm", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = figure.subplots(1, len(by_noise), sharey=True)
    for panel, (noise, found) in zip(panels, by_noise.items(), strict=True):
        for colour, (name, shares) in zip(COLOURS, found.items(), strict=True):
            panel.plot(DISTANCES, [share.by_any for share in shares], color=colour, marker="o", ms=3, label=name)
        panel.axvline(noise, color="#999", lw=0.8, ls=":")
        panel.set(xscale="log", xlabel="distance (1 - cosine) of the drift", title=f"quiet days at cosine {1 - noise}")
    panels[0].set_ylabel("caught")
    panels[0].legend(frameon=False, loc="center left", fontsize=8)
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    """Simulate, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet-days", type=int, default=2000)
    parser.add_argument("--days", type=int, default=100, help="of each drift at each distance")
    asked = parser.parse_args()
    by_noise = {}
    for noise in NOISES:
        assumed = replace(Assumed(), noise=noise)
        per_world = asked.quiet_days // N_WORLDS
        alarms = sum(quiet_alarms(assumed, per_world, seed=100 + i) for i in range(N_WORLDS))
        by_noise[noise] = power(assumed, asked.days)
        print_tables(assumed, alarms, per_world * N_WORLDS, by_noise[noise], asked.days)
    print_by_noise(asked.quiet_days // 10, asked.days // 2)
    draw(by_noise)


if __name__ == "__main__":
    main()
