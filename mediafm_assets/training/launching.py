"""The run's side: torchrun through Dagster Pipes, and what its processes say.

They train to the end and save their state where a training by one process saves it. The run then goes on from that
state, of which no step is left, compares and commits: so there is one way to an encoder, and a kill loses nothing.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, cast

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError  # it has no public name; tests/upstream pins it
from dagster_pipes import PipesMessage, PipesParams

from mediafm_assets.resources import device_from_environment
from mediafm_assets.training.showing import Context, NowAndThen, Show, show_in_ui
from mediafm_core.errors import TrainingError
from mediafm_core.planning.state import Step
from mediafm_core.pretraining.stage import forget_training, make_encoder
from mediafm_core.workbench import Bench, Draft, Reporter, Stage

WORKER = "mediafm_assets.training.worker"
"""What each process runs."""

_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
"""The one interface that the processes talk over. They meet in a file: no other machine can join them."""


def trained_by(context: Context, n_processes: int) -> Mapping[str, Stage]:
    """The stage that trains an encoder, as one run does it, and shows how it goes on.

    Args:
        context: of the op or asset, which the curve and the processes' logs go to.
        n_processes: how many, at least one.
    """
    make = partial(_make_together, context, n_processes) if n_processes > 1 else partial(_make_alone, context)
    return {"mediafm_encoder": Stage(make, settle=forget_training)}


def _make_alone(context: Context, bench: Bench, step: Step) -> Draft:
    shown = NowAndThen(partial(show_in_ui, context, step.key.partition))
    return make_encoder(bench, step, device_from_environment, shown)


def _make_together(context: Context, n_processes: int, bench: Bench, step: Step) -> Draft:
    device_from_environment(n_processes - 1)  # or it is said here that there are too few
    _launch(context, n_processes, bench, step)
    draft = make_encoder(bench, step, device_from_environment)
    return draft._replace(facts={**draft.facts, "processes": n_processes})


def _launch(context: Context, n_processes: int, bench: Bench, step: Step) -> None:
    """Train to the end. Each process takes one thread, unless OMP_NUM_THREADS says otherwise: so torchrun has it.

    Raises:
        TrainingError: a process failed, with what it said; or ended without a word.
    """
    name = bench.encoder(step).name
    heard = _Heard(bench.reporter, partial(show_in_ui, context, name))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
    try:
        with TemporaryDirectory() as meeting:
            dg.PipesSubprocessClient(message_reader=heard).run(
                context=context,
                command=[*torchrun, "-m", WORKER],
                env=dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), _LOOPBACK),
                extras={"home": str(bench.home.root), "encoder": name, "meeting": f"file://{meeting}/processes"},
            )
    except DagsterPipesExecutionError as error:
        raise heard.failure(f"encoder {name!r}, trained by {n_processes} processes") from error


class _Heard(dg.PipesTempFileMessageReader):
    """Hands progress to a reporter while the processes work, keeps their failure, and leaves the rest to Dagster."""

    def __init__(self, reporter: Reporter, show: Show) -> None:
        super().__init__()
        self._reporter = reporter
        self._show = show
        self._failed: Mapping[str, str] | None = None

    @property
    def expected_writer_count(self) -> int:
        """One: the first process alone tells. (Dagster's own property warns that it is a preview.)"""
        return 1

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        """See `PipesMessageReader`."""
        with super().read_messages(cast(dg.PipesMessageHandler, _Tap(self, handler))) as params:
            yield params

    def take(self, payload: Mapping[str, Any]) -> None:
        """One custom message of a process: `fraction` and `note`, or `stands` and `curve`, or `failed`."""
        if "failed" in payload:
            self._failed = payload["failed"]
        elif "curve" in payload:
            self._show(payload["stands"], payload["curve"])
        else:
            self._reporter.advance(payload["fraction"], payload["note"])

    def failure(self, culprit: str) -> TrainingError:
        """Why the processes ended early: what the first one said, if it could."""
        if self._failed:
            return TrainingError(self._failed["culprit"], **{k: v for k, v in self._failed.items() if k != "culprit"})
        return TrainingError(
            culprit,
            found="a process that ended without a word, as if it was killed",
            expected="all of them to the end",
            next_step="See the run's log. Train it again: it goes on from the last saved state.",
        )


class _Tap:
    """Stands between the reader of messages and Dagster's handler of them."""

    def __init__(self, heard: _Heard, handler: dg.PipesMessageHandler) -> None:
        self._heard = heard
        self._handler = handler

    def handle_message(self, message: PipesMessage) -> None:
        """Take a custom message, pass any other one on."""
        if message["method"] == "report_custom_message":
            self._heard.take((message["params"] or {})["payload"])
        else:
            self._handler.handle_message(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)
