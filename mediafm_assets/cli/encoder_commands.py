"""Training encoders, and retiring them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediafm_assets.cli.context import HomeOption, console, open_home
from mediafm_assets.cli.encoder_reading import trained
from mediafm_core.store.home import Home
from mediafm_core.workbench import Status

if TYPE_CHECKING:
    from mediafm_core.release.retiring import Freed

Preset = Literal["mediafm", "paper", "demo", "plain"]
Size = Literal["tiny", "base", "large"]

app = typer.Typer(help="Train MediaFM encoders and list them.", no_args_is_help=True)


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A new name, e.g. v2; or one whose training was cut off, to go on.")],
    preset: Annotated[
        Preset,
        typer.Option(
            help="mediafm: ours; paper: the architecture of the post; demo and plain: these two in seconds, for a look."
        ),
    ] = "mediafm",
    size: Annotated[
        Size, typer.Option(help="tiny: minutes on a laptop; base: as BERT-base; large: as BERT-large.")
    ] = "tiny",
    seed: Annotated[
        int, typer.Option(min=0, help="Of the weights, the masks, the order of the data and what is held out.")
    ] = 0,
    processes: Annotated[int, typer.Option(min=1, help="Processes of this machine that train together.")] = 1,
    suite: Annotated[
        str | None,
        typer.Option(help="The suite's id; by default the one that most titles are fused by.", show_default=False),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PART.FIELD=VALUE",
            help="Change one field of the preset; again for another one. Parts: model, objective, trainer.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Train an encoder on everything that is fused now. `mediafm apply` then embeds the catalogue with it.

    While it trains, steps, loss, speed and time left are shown, and TensorBoard reads HOME/curves. It is then compared
    with baselines on titles held out: `mediafm encoder report NAME` shows how it went. A training that was cut off goes
    on from its last saved state by the same command, in any number of processes.

    Example: mediafm encoder train v2 --preset mediafm --seed 1 --set trainer.steps=2000 --processes 2
    """
    opened = open_home(home)
    if not train_encoder(opened, name, preset, seed, size, processes, suite, changes or ()):
        raise typer.Exit(1)
    facts = trained(opened, name)
    console.print(f"learnt: {facts.get('learnt')} ({facts.get('why')})", markup=False)
    console.print("next  mediafm apply")


def train_encoder(
    home: Home,
    name: str,
    preset: str,
    seed: int,
    size: str = "tiny",
    processes: int = 1,
    suite: str | None = None,
    changes: Sequence[str] = (),
) -> bool:
    """Declare an encoder and train it as a run of the job `train_encoder`; whether it was trained.

    Raises:
        PlanError: the name is taken by an encoder that is trained, or declared otherwise.
    """
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import train_encoder as job
    from mediafm_assets.jobs import training_config
    from mediafm_core.pretraining.declaring import declare_encoder, is_cut_off
    from mediafm_core.probes.declaring import freeze_delivered

    asked = {"preset": preset, "seed": seed, "size": size, "of_suite": suite, "changes": changes}
    if not is_cut_off(home, name, **asked):
        freeze_delivered(home)
        declare_encoder(home, name, **asked)
    outcomes = run_job(home, job, training_config(name, processes), 2, console)
    return bool(outcomes) and all(outcome.status in (Status.MADE, Status.KEPT) for outcome in outcomes)


@app.command()
def retire(
    name: Annotated[str, typer.Argument(help="An encoder that nobody wants any more.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also where it was live once: its releases cannot be gone back to then.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Retire an encoder: nothing more is planned for it; its vectors, weights, heads and predictions are deleted.

    It cannot be undone, and its name is taken for good. What is in production, or seen by readers, is never retired.
    Given again, the command goes on where it was cut off.

    Example: mediafm encoder retire v2
    """
    freed = retire_encoder(open_home(home), name, force=force)
    console.print(f"retired  {name}: {freed.total} objects, {freed.n_bytes / 2**20:.1f} MiB freed")


def retire_encoder(home: Home, name: str, *, force: bool = False) -> "Freed":
    """Retire an encoder, and take its keys out of Dagster's partitions.

    Raises:
        PlanError: there is no such encoder.
        ReleaseError: something needs it.
    """
    from mediafm_assets.cli.running import dagster_instance
    from mediafm_assets.partitions import sync
    from mediafm_assets.resources import user_of_process
    from mediafm_core.release.history import Actor
    from mediafm_core.release.retiring import retire

    freed = retire(home, name, by=Actor(user=user_of_process(), through="mediafm encoder retire"), force=force)
    with dagster_instance(home) as instance:
        sync(instance, home)
    return freed
