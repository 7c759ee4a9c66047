"""Labels: what encoders are judged by."""

from pathlib import Path
from typing import Annotated

import typer

from mediafm_assets.cli.context import HomeOption, console, open_home

labels = typer.Typer(help="Set the labels of tasks.", no_args_is_help=True)


@labels.command(name="set")
def set_task_labels(
    task: Annotated[str, typer.Argument(help="ad_relevancy, popularity, tone, genre or retrieval.")],
    file: Annotated[Path, typer.Argument(help="Parquet or CSV: title, start_s, end_s, and labels or rank.")],
    home: HomeOption = None,
) -> None:
    """Take a file as the labels of a task. Its heads, and what hangs on them, are made again by `mediafm apply`.

    Example: mediafm labels set tone tones.csv
    """
    from mediafm_core.probes.declaring import set_labels

    frozen = set_labels(open_home(home), task, file)
    console.print(f"{task}: labels of {len(frozen.titles)} titles\nnext  mediafm apply", markup=False)


@labels.command()
def refreeze(home: HomeOption = None) -> None:
    """Freeze the labels that today's titles were delivered with, in place of those frozen before.

    Example: mediafm labels refreeze
    """
    from mediafm_core.probes.declaring import freeze_delivered

    for frozen in freeze_delivered(open_home(home), again=True):
        console.print(f"{frozen.task}: labels of {len(frozen.titles)} titles", markup=False)
    console.print("next  mediafm apply")
