"""Making a home, and opening its window."""

import os
import sys
from typing import Annotated

import typer

from mediafm_assets.cli.context import HomeOption, console, home_root, open_home
from mediafm_assets.resources import HOME_VARIABLE
from mediafm_core.store.home import Home


def init(home: HomeOption = None) -> None:
    """Make a home: its folders, ledger, default suite and Dagster instance. Harmless where there is one.

    Example: mediafm init --home /data/films
    """
    from mediafm_assets.cli.running import initialise

    made = initialise(home_root(home))
    console.print(
        f"home     {made.root}\nlanding  {made.landing}\nnext     mediafm ingest PATH, or drop deliveries there"
    )


def dev(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Of the page, on 127.0.0.1 only.")] = 3000,
) -> None:
    """Open the Dagster UI and run the daemon, whose sensors take what lands and make what is missing.

    The UI has no authentication: it listens on 127.0.0.1 only.

    Example: mediafm dev --port 3001
    """
    opened = open_home(home)
    environment = dagster_environment(opened)
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]  # by a command of a package that we do not need
    command = [sys.executable, *quiet, "-m", "dagster", "dev", "-m", "mediafm_assets.definitions"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, command, environment)  # noqa: S606  (a fixed command, no shell)


def dagster_environment(home: Home) -> dict[str, str]:
    """The environment in which Dagster's own commands are about this home."""
    from mediafm_assets.cli.running import dagster_folder

    return {**os.environ, HOME_VARIABLE: str(home.root), "DAGSTER_HOME": str(dagster_folder(home))}
