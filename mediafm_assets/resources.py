"""What assets, jobs and sensors are given. The environment is read here and nowhere else."""

import os
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from mediafm_core.execution import LogReporter, Reporter
from mediafm_core.store.home import Home

HOME_VARIABLE = "MEDIAFM_HOME"
DEFAULT_HOME = ".mediafm"


def home_from_environment() -> Path:
    """The home that the environment names, else `.mediafm` below the working directory."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)


class HomeResource(dg.ConfigurableResource):
    """A home: its landing folder, artifacts and ledger."""

    root: str = Field(description=f"The home's folder. Read from {HOME_VARIABLE}.")
    _reporter: Reporter = PrivateAttr(default_factory=LogReporter)

    @classmethod
    def reporting_to(cls, root: Path, reporter: Reporter) -> "HomeResource":
        """A resource whose steps tell `reporter` how they go on; for runs in this process."""
        resource = cls(root=str(root))
        resource._reporter = reporter
        return resource

    @property
    def reporter(self) -> Reporter:
        """Who is told how work goes on."""
        return self._reporter

    def open(self) -> Home:
        """The open home.

        Raises:
            HomeError: there is none.
        """
        return Home.open(Path(self.root))
