"""What assets, jobs and sensors are given. The environment is read here and nowhere else."""

import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import dagster as dg
from pydantic import Field

from mediafm_core.devices import Device, device_of
from mediafm_core.encoders.batches import PORTION_BYTES
from mediafm_core.encoders.paying import Payer, Secret
from mediafm_core.errors import DeviceError, DimensionError, RemoteError
from mediafm_core.store.home import Home
from mediafm_core.workbench import LogReporter, Reporter

if TYPE_CHECKING:
    import torch

HOME_VARIABLE = "MEDIAFM_HOME"
DEFAULT_HOME = ".mediafm"


def home_from_environment() -> Path:
    """The home that the environment names, else `.mediafm` below the working directory."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)


def user_of_process() -> str:
    """The user that this process runs as, by the system's table of users, or by number where it has no entry."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


class Place(NamedTuple):
    """Which of several processes this one is."""

    rank: int  # from 0
    size: int  # how many they are
    on_machine: int  # from 0 among those of this machine


def place_among_processes() -> Place:
    """What torchrun says to each process that it starts."""
    return Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


DEVICE_VARIABLE = "MEDIAFM_DEVICE"


def device_from_environment(place: int = 0) -> "torch.device":
    """Where models of torch compute in this process.

    Args:
        place: of the process among those of this machine that compute together.

    Raises:
        DeviceError: the environment names none, or one that is not there.
    """
    named = os.environ.get(DEVICE_VARIABLE) or Device.AUTO
    if named not in tuple(Device):
        raise DeviceError(
            DEVICE_VARIABLE,
            found=repr(named),
            expected=f"one of {', '.join(Device)}",
            next_step="Mend the environment, or leave the variable out: then a GPU is taken where there is one.",
        )
    return device_of(Device(named), place)


PORTION_VARIABLE = "MEDIAFM_PORTION_MIB"


def portion_bytes_from_environment() -> int:
    """What a network may hold at once for shots that go through it together.

    Raises:
        DimensionError: the environment names no number of MiB.
    """
    named = os.environ.get(PORTION_VARIABLE)
    if not named:
        return PORTION_BYTES
    if not named.isdecimal() or int(named) == 0:
        raise DimensionError(
            PORTION_VARIABLE,
            found=repr(named),
            expected="a whole number of MiB, such as 64",
            next_step="Mend the environment, or leave the variable out.",
        )
    return int(named) << 20


ENGINE_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CT2_FORCE_CPU_ISA",
    "CT2_USE_EXPERIMENTAL_PACKED_GEMM",
    "CT2_USE_MKL",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
"""By these the engines of encoders choose other instructions of the same CPU."""


def engine_settings_from_environment() -> str:
    """Those of the variables that are set; they move results in their last digits, and int8 in more."""
    return " ".join(f"{name}={os.environ[name]}" for name in ENGINE_VARIABLES if name in os.environ) or "none"


KEY_VARIABLE = "OPENAI_API_KEY"
BUDGET_VARIABLE = "MEDIAFM_BUDGET_USD"

RUN: ContextVar[str | None] = ContextVar("run", default=None)
"""The run that this process carries out."""


def payer_from_environment() -> Payer:
    """In whose name models behind an API are asked, and what a run may spend on them.

    Raises:
        RemoteError: the budget is no amount.
    """
    key, budget = os.environ.get(KEY_VARIABLE), os.environ.get(BUDGET_VARIABLE)
    try:
        budget_usd = float(budget) if budget else None
        if budget_usd is not None and not 0 <= budget_usd < float("inf"):
            raise ValueError
    except ValueError:
        raise RemoteError(
            BUDGET_VARIABLE,
            found=repr(budget),
            expected="an amount in US dollars, such as 5.00",
            next_step="Mend the environment, or leave the variable out for no limit.",
        ) from None
    return Payer(run=RUN.get() or _process(), key=Secret(key) if key else None, budget_usd=budget_usd)


@cache
def _process() -> str:
    """A name for work outside any run, which no other process has."""
    return f"process-{uuid4().hex}"


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
        return _opened(self.root)

    @contextmanager
    def held(self, run_id: str) -> Iterator[None]:
        """Hold a lock while a run works; the system lets go of it when the process dies, however it dies."""
        self._locks.mkdir(parents=True, exist_ok=True)
        arriving, lock = self._locks / f".{run_id}", self._locks / run_id
        with arriving.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            arriving.rename(lock)  # only now, so that nobody ever sees it free while the run works
            token = RUN.set(run_id)
            try:
                yield
            finally:
                RUN.reset(token)
                lock.unlink(missing_ok=True)

    def abandoned(self) -> list[str]:
        """The ids of runs whose process died while it worked."""
        return [lock.name for lock in sorted(self._locks.glob("[!.]*")) if _is_free(lock)]

    def is_held(self, run_id: str) -> bool:
        """Whether this run works, as far as another process can tell."""
        lock = self._locks / run_id
        return lock.exists() and not _is_free(lock)

    def forget(self, run_id: str) -> None:
        """Remove the lock of an abandoned run."""
        (self._locks / run_id).unlink(missing_ok=True)

    @property
    def _locks(self) -> Path:
        return Path(self.root) / "work" / "runs"


def _is_free(lock: Path) -> bool:
    with suppress(FileNotFoundError, BlockingIOError), lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def is_alive(pid: int) -> bool:
    """Whether this machine has a process of this number."""
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _opened(root: str) -> Home:
    """One open home per process: its pool of connections is shared by all that happens here."""
    return Home.open(Path(root))
