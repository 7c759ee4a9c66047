"""Seeing which encoders there are, what each has learnt, and how far two agree."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table, records
from mediafm_core.errors import PlanError
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home

if TYPE_CHECKING:
    pass

_BASELINE_COLUMNS = ("name", "loss", "n_parameters")
_REPORT_COLUMNS = ("task", "features", "metric", "value", "low", "high", "dims")
_COLUMNS = (
    "encoder",
    "preset",
    "size",
    "seed",
    "suite",
    "titles",
    "shots",
    "parameters",
    "steps",
    "loss",
    "learnt",
    "embedded",
    "production",
)
_TRAINING_FACTS = (
    "learnt",
    "why",
    "n_titles",
    "n_held_out",
    "steps",
    "kept_step",
    "last_loss",
    "held_out_loss",
    "baselines",
)


def report(
    name: Annotated[str, typer.Argument(help="The encoder.")],
    page: Annotated[
        bool, typer.Option("--page", help="Write the page of its ablation, reports/encoders/NAME.html.")
    ] = (False),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how an encoder's training went, beside its baselines, and what it reaches on each task.

    A task's figures are on titles held out, beside baselines that no encoder has read; without labels there are none.
    Where `mediafm encoder ablate` was run, its rows follow, and the findings of the post with their verdicts. As JSON,
    `tasks` is null while the report on them was not made, and `findings` while no ablation was. `absent` says why rows
    that other homes have are not there.

    A row of `tasks` has task, features (what a clip is read from: `contextual` is the encoder), metric, value, low and
    high (the 95 % interval over titles) and dims (numbers that the head reads).

    Example: mediafm encoder report v1 --json
    """
    from mediafm_assets.cli.ablation_commands import absent_rows, more_rows, print_ablation, write_page
    from mediafm_core.reports.gather_ablation import ablation_document

    opened = open_home(home)
    if page:
        return write_page(opened, name)
    facts, rows, ablation = trained(opened, name), _report_rows(opened, name), ablation_document(opened, name)
    rows = more_rows(rows, ablation, _REPORT_COLUMNS)
    asked = _recipe(opened, name)
    training = {**asked, **{fact: facts.get(fact) for fact in _TRAINING_FACTS}}
    if as_json:
        findings = ablation and ablation["findings"]
        return print_json({"training": training, "tasks": rows, "findings": findings, "absent": absent_rows(ablation)})
    console.print(f"encoder {name}, learnt: {training['learnt']} ({training['why']})", markup=False)
    console.print(f"preset {asked['preset']}, size {asked['size']}, seed {asked['seed']}", markup=False)
    if measured := training["baselines"]:
        lines = [tuple(row[column] for column in _BASELINE_COLUMNS) for row in measured]
        print_table("Masked Shot Modeling on titles held out", _BASELINE_COLUMNS, lines)
    if rows:
        print_table("tasks", _REPORT_COLUMNS, [tuple(row.values()) for row in rows])
    elif rows is None:
        console.print("no report on tasks yet\nnext  mediafm apply")
    print_ablation(ablation)
    return None


def trained(home: Home, name: str) -> Mapping[str, Any]:
    """The facts of a trained encoder."""
    from mediafm_core.planning.desired import desired, encoder_steps
    from mediafm_core.pretraining.recipes import command_of

    state = read_state(home)
    row = home.ledger.artifact(encoder_steps(desired(state), name).trained.key)
    if row is None:
        spec = next(encoder for encoder in state.encoders if encoder.name == name)
        raise PlanError(
            f"encoder {name!r}",
            found="declared, not trained",
            expected="a trained encoder",
            next_step=f"Run `{command_of(spec)}`, or `mediafm apply`.",
        )
    return row.manifest.facts


def _recipe(home: Home, name: str) -> dict[str, object]:
    """As what an encoder was declared."""
    from mediafm_core.pretraining.recipes import recipe_of

    spec = next(encoder for encoder in read_state(home).encoders if encoder.name == name)
    recipe = recipe_of(spec)
    return {"preset": recipe.label, "size": recipe.size, "seed": spec.seed, "changes": recipe.changes}


def _report_rows(home: Home, name: str) -> list[dict[str, object]] | None:
    """Figures of the tasks: none where the home has no labels, None where the report was not made yet."""
    from mediafm_core.planning.desired import desired, encoder_steps
    from mediafm_core.store.manifest import read_document

    report = encoder_steps(desired(read_state(home)), name).report
    if report is None:
        return []
    if home.ledger.artifact(report.key) is None:
        return None
    return [{column: row[column] for column in _REPORT_COLUMNS} for row in read_document(home.read(report.key))["rows"]]


def compare(
    first: Annotated[str, typer.Argument(help="An encoder, e.g. the one whose vectors you keep.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far two encoders agree on the shots that both have embedded. Their vectors are never mixed.

    The overlap is the share of each shot's ten nearest shots in other titles that both encoders name. The residual is
    what the best rotation of one space onto the other leaves, on titles it was not fitted on. Beside each stands the
    same with shots shuffled: what two encoders reach that have nothing in common.

    Example: mediafm encoder compare v1 v2 --json
    """
    from mediafm_core.consumption.spaces import compare_encoders

    found = compare_encoders(open_home(home), first, second)
    if as_json:
        return print_json(found._asdict())
    rows = [
        (f"overlap of the {found.n_neighbours} nearest", found.overlap, found.overlap_shuffled),
        ("residual of the rotation", found.residual, found.residual_shuffled),
    ]
    print_table(f"{first} and {second}: {found.n_shots} shots of {found.n_titles} titles", ("", "", "shuffled"), rows)
    return None


def list_encoders(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the encoders: what each was trained on, and how much of the catalogue it has embedded.

    Example: mediafm encoder list --json
    """
    rows = _encoder_rows(open_home(home))
    print_json(records(_COLUMNS, rows)) if as_json else print_table("encoders", _COLUMNS, rows)


def _encoder_rows(home: Home) -> list[tuple[object, ...]]:
    from mediafm_core.planning.desired import desired
    from mediafm_core.pretraining.recipes import recipe_of

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
        judged = (facts.get("last_loss"), facts.get("learnt"))
        recipe = recipe_of(spec)
        rows.append(
            (
                spec.name,
                recipe.label,
                recipe.size,
                spec.seed,
                spec.suite,
                *known,
                *judged,
                done,
                spec.name == state.production,
            )
        )
    return rows
