"""One of the processes that train an encoder: `python -m torch.distributed.run … -m mediafm_assets.training.worker`.

Started by `launching`, which says through Dagster Pipes what to train. All take part in every step; the first one saves
the state, writes the curve and reports.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dagster_pipes import (
    PipesContext,
    PipesContextData,
    PipesDefaultContextLoader,
    PipesEnvVarParamsLoader,
    open_dagster_pipes,
)

from mediafm_assets.resources import HomeResource, device_from_environment, place_among_processes
from mediafm_assets.training.showing import NowAndThen, Rows
from mediafm_core.errors import MediaFMError, TrainingError
from mediafm_core.planning.desired import desired, encoder_steps
from mediafm_core.planning.state import Step
from mediafm_core.pretraining.going import Shown, Training
from mediafm_core.pretraining.peers import Peers, join
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Bench, LogReporter, Outcome, Reporter

_TOLD_S = 0.5  # between two reports
_LOOKED_S = 5.0  # between two looks at whether there still is a run


def main() -> int:
    """Train; the exit code is 1 where that failed with an error of ours, which the first process has told the run."""
    try:
        given, (rank, size, place) = _given(), place_among_processes()
        device = device_from_environment(place)
        meeting = given["extras"]["meeting"]
        with join(init_method=meeting, rank=rank, size=size, device=device) as peers, _told(peers) as pipes:
            home = Home.open(Path(given["extras"]["home"]))
            reporter = _Telling(pipes, given["run_id"], home) if pipes else LogReporter()
            shown = NowAndThen(partial(_tell_curve, pipes)) if pipes else None
            _training(home, given["extras"]["encoder"], reporter, shown).go_on(peers)
    except MediaFMError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _given() -> PipesContextData:
    """What the run says to every process alike; to read it opens no way back."""
    loader = PipesEnvVarParamsLoader()
    with PipesDefaultContextLoader().load_context(loader.load_context_params()) as data:
        return data


@contextmanager
def _told(peers: Peers) -> Iterator[PipesContext | None]:
    """The way back to the run, for the first process; the failure of its training is sent there."""
    if not peers.is_first:
        yield None
        return
    with open_dagster_pipes() as pipes:
        try:
            yield pipes
        except MediaFMError as error:
            parts = {name: getattr(error, name) for name in ("culprit", "found", "expected", "next_step")}
            pipes.report_custom_message({"failed": parts})
            raise


def _training(home: Home, encoder: str, reporter: Reporter, shown: Shown | None) -> Training:
    state = read_state(home)
    return Training(Bench(home, state, reporter), encoder_steps(desired(state), encoder).trained, shown)


def _tell_curve(pipes: PipesContext, stands: str, curve: Rows) -> None:
    pipes.report_custom_message({"stands": stands, "curve": [dict(row) for row in curve]})


class _Telling:
    """A reporter that tells the run, and ends the training where there is no run any more to tell."""

    def __init__(self, pipes: PipesContext, run_id: str, home: Home) -> None:
        self._pipes = pipes
        self._run_id = run_id
        self._home = HomeResource(root=str(home.root))
        self._last: dict[float, float] = {}  # by interval

    def begin(self, step: Step) -> None:
        """See `Reporter`; the run has begun the step."""

    def advance(self, fraction: float, note: str = "") -> None:
        """See `Reporter`.

        Raises:
            TrainingError: the run is gone.
        """
        if self._is_due(_TOLD_S) or fraction >= 1.0:
            self._pipes.report_custom_message({"fraction": fraction, "note": note})
        if self._is_due(_LOOKED_S):
            self._require_run()

    def _is_due(self, every_s: float) -> bool:
        is_due = time.monotonic() - self._last.get(every_s, -every_s) >= every_s
        if is_due:
            self._last[every_s] = time.monotonic()
        return is_due

    def end(self, outcome: Outcome) -> None:
        """See `Reporter`; the run ends the step."""

    def _require_run(self) -> None:
        if not self._home.is_held(self._run_id):
            raise TrainingError(
                f"training for run {self._run_id}",
                found="a run whose process is gone",
                expected="the run that started this",
                next_step="Train it again: it goes on from the last saved state.",
            )


if __name__ == "__main__":
    sys.exit(main())
