"""The synthetic catalogue, written as ordinary deliveries."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_assets.cli.context import console
from mediafm_core.narrative.config import LENGTHS, N_SEEDS, WorldConfig

narrative = typer.Typer(help="Make synthetic titles with known truth.", no_args_is_help=True)


@narrative.command()
def generate(
    out: Annotated[Path, typer.Option(help="The folder to write the deliveries to.")],
    titles: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    seed: Annotated[
        int, typer.Option(help="Of the first title; the next ones count on, none past the end.", min=0, max=N_SEEDS - 1)
    ] = 0,
    world: Annotated[
        int, typer.Option(help="Seed of the world: what all its titles have in common.", min=0, max=10**9 - 1)
    ] = 0,
    lengths: Annotated[
        Literal["short", "movienet"],
        typer.Option(help="short: 40 to 160 shots; movienet: as films have, mostly 870 to 2,470, at most 4,043."),
    ] = "short",
) -> None:
    """Write synthetic titles: shot lists, embeddings, labels for the five tasks. `mediafm ingest` takes them in.

    Example: mediafm narrative generate --titles 200 --seed 1 --out deliveries/
    """
    n_written = generate_titles(out, titles=titles, seed=seed, world=world, lengths=lengths)
    console.print(f"wrote {n_written} synthetic titles to {out}\nnext  mediafm ingest {out}", markup=False)


def generate_titles(
    out: Path, *, titles: int, seed: int, world: int, lengths: str = "short", longer: tuple[int, ...] = ()
) -> int:
    """Write the titles with progress; how many were written."""
    from rich.progress import track

    from mediafm_core.narrative.delivery import generate as write
    from mediafm_core.narrative.world import World

    of = World.of(WorldConfig(seed=world))
    made = write(out, n_titles=titles, seed=seed, world=of, lengths=LENGTHS[lengths], longer=longer)
    return sum(1 for _ in track(made, total=titles, description="writing", console=console, transient=True))
