"""Taking an encoder apart: asking for it, and giving vectors of outside models to stand beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, console, open_home, print_table
from mediafm_core.store.home import Home
from mediafm_core.workbench import Status


def ablate(
    name: Annotated[str, typer.Argument(help="An encoder that has its heads.")],
    stop: Annotated[bool, typer.Option("--stop", help="Ask for it no longer; what was made stays.")] = False,
    home: HomeOption = None,
) -> None:
    """Take an encoder apart: a row for each ingredient and task, beside the other encoders of its suite.

    Trained encoders of the same suite, and the models given by `mediafm encoder outside`, are rows as well; those of
    today, until this is asked again. From then on `mediafm apply` keeps it right, as when labels change. It takes
    minutes to hours; a run that was cut off goes on after its last row, by the same command or by `mediafm apply`.

    Example: mediafm encoder ablate v2
    """
    opened = open_home(home)
    if stop:
        return _stop(opened, name)
    if not ablate_encoder(opened, name):
        raise typer.Exit(1)
    return write_page(opened, name)


def _stop(home: Home, name: str) -> None:
    from mediafm_core.probes.ablation.asking import stop_asking

    console.print("asked for no longer" if stop_asking(home, name) else "nobody asked for it", markup=False)


def ablate_encoder(home: Home, name: str) -> bool:
    """Ask for an ablation and make it, as a run of the job `refresh`; whether it is there.

    Raises:
        PlanError: there is no such encoder, or it has no heads yet.
    """
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import pairs_config, refresh
    from mediafm_core.probes.ablation.asking import ask_ablation

    asked = ask_ablation(home, name)
    for others, why in ((asked.not_trained, "not trained yet"), (asked.other_suites, "of another suite")):
        if others:
            console.print(f"no row for {', '.join(others)}: {why}", markup=False)
    outcomes = run_job(home, refresh, pairs_config([("ablation_report", name)]), 1, console)
    return bool(outcomes) and all(outcome.status in (Status.MADE, Status.KEPT) for outcome in outcomes)


def write_page(home: Home, name: str) -> None:
    """Write the page of an ablation that was made."""
    from mediafm_core.reports.ablation_page import ablation_page
    from mediafm_core.reports.gather_ablation import ablation_page_of

    target = home.reports / "encoders" / f"{name}.html"
    page = ablation_page(ablation_page_of(home, name))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    console.print(f"wrote {target}", markup=False)


Rows = list[dict[str, object]]


def more_rows(rows: Rows | None, ablation: Mapping[str, Any] | None, columns: Sequence[str]) -> Rows | None:
    """A report's rows, each task's followed by those that only its ablation has, best first."""
    if not rows or ablation is None:
        return rows
    known = {(row["task"], row["features"]) for row in rows}
    new = [row for row in ablation["rows"] if (row["task"], row["features"]) not in known]
    tasks = dict.fromkeys(row["task"] for row in rows)
    both = [*rows, *({column: row[column] for column in columns} for row in new)]
    return [row for task in tasks for row in both if row["task"] == task]


def absent_rows(ablation: Mapping[str, Any] | None) -> dict[str, str]:
    """Rows that other homes have, and why this ablation has not."""
    said = {} if ablation is None else dict(ablation.get("absent", {}))
    lacking = {} if ablation is None else ablation["left_out"]
    return said | {model: f"lacks clips of {', '.join(tasks)}" for model, tasks in lacking.items()}


def print_ablation(ablation: Mapping[str, Any] | None) -> None:
    """Which rows an ablation has not, and what it says of each finding of the post; nothing where there is none."""
    for row, why in absent_rows(ablation).items():
        console.print(f"no row '{row}': {why}", markup=False)
    columns = ("finding", "verdict", "value", "low", "high")
    lines: list[Sequence[object]] = []
    for finding in ablation["findings"] if ablation else ():
        lines.append((finding["claim"], finding["verdict"], None, None, None))
        lines += [(f"  {c['says']}", *(c[n] for n in columns[1:])) for c in finding["contrasts"]]
    if lines:
        print_table("findings of the post", columns, lines)
    for finding in ablation["findings"] if ablation else ():
        if note := finding.get("note"):
            console.print(f"{finding['claim']} {note}", markup=False)


def outside(
    name: Annotated[str, typer.Argument(help="Of the model, as its row is to be called.")],
    file: Annotated[Path, typer.Argument(help="Parquet: title, start_s, end_s, vector; one row for each clip.")],
    home: HomeOption = None,
) -> None:
    """Take vectors of labelled clips that another model made. They are a row in each ablation asked for afterwards.

    Example: mediafm encoder outside clip-l14 vectors.parquet
    """
    from mediafm_core.probes.ablation.outside import declare_outside

    taken = declare_outside(open_home(home), name, file)
    console.print(f"{name}: {taken.n_clips} clips, {taken.dims} numbers each", markup=False)
    for task, (n_covered, n_clips) in taken.covered.items():
        row = "a row" if n_covered == n_clips else "no row"
        console.print(f"{task}: {n_covered} of {n_clips} labelled clips, {row}", markup=False)
    console.print("next  mediafm encoder ablate NAME")
