"""Training encoders, and seeing which there are."""

from typing import Annotated

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table, records
from mediafm_core.execution import Status, read_state
from mediafm_core.store.home import Home

app = typer.Typer(help="Train MediaFM encoders and list them.", no_args_is_help=True)

_REPORT_COLUMNS = ("task", "features", "metric", "value", "low", "high", "dims")
_COLUMNS = ("encoder", "suite", "titles", "shots", "parameters", "steps", "loss", "embedded", "production")


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A new name, e.g. v2.")],
    preset: Annotated[
        str,
        typer.Option(
            help="mediafm: ours; paper: the architecture of the post; demo and plain: these two in seconds, for a look."
        ),
    ] = "mediafm",
    size: Annotated[
        str, typer.Option(help="tiny: minutes on a laptop; base: as BERT-base; large: as BERT-large.")
    ] = "tiny",
    seed: Annotated[int, typer.Option(help="Of the weights, the masks and the order of the data.")] = 0,
    home: HomeOption = None,
) -> None:
    """Train an encoder on everything that is fused now. `mediafm apply` then embeds the catalogue with it.

    Example: mediafm encoder train v2 --preset mediafm --seed 1
    """
    if not train_encoder(open_home(home), name, preset, seed, size):
        raise typer.Exit(1)
    console.print("next  mediafm apply")


def train_encoder(home: Home, name: str, preset: str, seed: int, size: str = "tiny") -> bool:
    """Declare an encoder and train it as a run of the job `train_encoder`; whether it was trained."""
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import train_encoder as job
    from mediafm_assets.jobs import training_config
    from mediafm_core.pretraining.declaring import declare_encoder
    from mediafm_core.probes.declaring import freeze_delivered

    freeze_delivered(home)
    declare_encoder(home, name, preset=preset, seed=seed, size=size)
    outcomes = run_job(home, job, training_config(name), 2, console)
    return bool(outcomes) and all(outcome.status in (Status.MADE, Status.KEPT) for outcome in outcomes)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="The encoder.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an encoder reaches on each task, on titles held out, beside baselines that no encoder has read.

    Example: mediafm encoder report v1 --json
    """
    rows = [{column: row[column] for column in _REPORT_COLUMNS} for row in _report_rows(open_home(home), name)]
    if as_json:
        print_json(rows)
    else:
        print_table(f"encoder {name}", _REPORT_COLUMNS, [tuple(row.values()) for row in rows])


def _report_rows(home: Home, name: str) -> list[dict[str, object]]:
    from mediafm_core.errors import PlanError
    from mediafm_core.planning.desired import desired, encoder_steps
    from mediafm_core.store.manifest import read_document

    report = encoder_steps(desired(read_state(home)), name).report
    if report is None or home.ledger.artifact(report.key) is None:
        raise PlanError(
            f"encoder {name!r}",
            found="no report" if report else "no labels for any task",
            expected="a report on its heads",
            next_step="Run `mediafm apply`." if report else "Set labels with `mediafm labels set TASK FILE`.",
        )
    return read_document(home.read(report.key))["rows"]


@app.command(name="list")
def list_encoders(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the encoders: what each was trained on, and how much of the catalogue it has embedded.

    Example: mediafm encoder list --json
    """
    rows = _encoder_rows(open_home(home))
    print_json(records(_COLUMNS, rows)) if as_json else print_table("encoders", _COLUMNS, rows)


def _encoder_rows(home: Home) -> list[tuple[object, ...]]:
    from mediafm_core.planning.desired import desired

    state = read_state(home)
    wanted = desired(state)
    rows: list[tuple[object, ...]] = []
    for spec in state.encoders:
        steps = wanted.encoders[spec.name]
        trained = home.ledger.artifact(steps.trained.key)
        facts = trained.manifest.facts if trained else {}
        n_embedded = sum(1 for step in steps.contextual.values() if step.key in state.committed)
        known = (len(spec.corpus), facts.get("n_shots"), facts.get("n_parameters"), facts.get("steps"))
        done = f"{n_embedded}/{len(state.titles)}"
        rows.append((spec.name, spec.suite, *known, facts.get("last_loss"), done, spec.name == state.production))
    return rows
