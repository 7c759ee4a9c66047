"""What assets, jobs and sensors are given. The environment is read here and nowhere else."""

import os
from contextvars import ContextVar
from pathlib import Path

import dagster as dg
from pydantic import Field

from mediafm_core.execution import LogReporter, Reporter
from mediafm_core.store.home import Home

HOME_VARIABLE = "MEDIAFM_HOME"
DEFAULT_HOME = ".mediafm"


def home_from_environment() -> Path:
    """The home that the environment names, else `.mediafm` below the working directory."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)


REPORTER: ContextVar[Reporter] = ContextVar("reporter", default=LogReporter())  # noqa: B039  (it has no state)
"""Who is told how steps go on. No field of the resource: Dagster makes a new resource of its fields for each run."""


class HomeResource(dg.ConfigurableResource):
    """A home: its landing folder, artifacts and ledger."""

    root: str = Field(description=f"The home's folder. Read from {HOME_VARIABLE}.")

    def open(self) -> Home:
        """The open home.

        Raises:
            HomeError: there is none.
        """
        return Home.open(Path(self.root))
