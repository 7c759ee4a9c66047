"""One worker makes an artifact: the next one waits and finds it made, in another process too, and after a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from mediafm_core.execution import carry_out
from mediafm_core.store.home import Home
from mediafm_core.store.lease import abandoned, lease
from mediafm_core.workbench import LogReporter, Outcome, Stage, Status
from tests.catalogue import SILENT
from tests.fakes import Fakes, make_home, pairs, planned

HOLD = """
import sys, time
from pathlib import Path
from mediafm_core.store.lease import lease
with lease(Path(sys.argv[1]), "a", lambda: None, "my work"):
    print("held", flush=True)
    sys.stdin.read()
"""


def never() -> None:
    raise AssertionError("somebody holds it")


def test_another_process_waits_until_the_holder_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with lease(tmp_path, "b", never):
            pass
        waited: list[float] = []

        def kill() -> None:
            waited.append(time.monotonic())
            os.kill(holder.pid, signal.SIGKILL)

        with lease(tmp_path, "a", kill):
            assert waited
    assert not list(tmp_path.iterdir())


def test_what_a_dead_holder_was_at_is_told_once_and_what_a_living_one_is_at_never(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert abandoned(tmp_path) == []
        holder.kill()
    assert abandoned(tmp_path) == ["my work"]
    assert abandoned(tmp_path) == []
    with lease(tmp_path, "a", never, "other work"):
        assert abandoned(tmp_path) == []
    assert abandoned(tmp_path) == []


def test_it_is_held_by_one_thread_at_a_time_and_again_by_its_own(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(50):
            with lease(tmp_path, "a", lambda: None), lease(tmp_path, "a", never):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200
    assert not list(tmp_path.iterdir())


def test_two_runs_side_by_side_make_each_step_once(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", [SILENT])
    wanted, fakes = pairs(planned(home).steps), [Fakes(), Fakes()]
    together, outcomes = threading.Barrier(2), [list[Outcome](), list[Outcome]()]

    def run(mine: int) -> None:
        slow = {kind: Stage(lambda b, s, st=stage: (time.sleep(0.02), st.make(b, s))[1], stage.settle)
                for kind, stage in fakes[mine].stages.items()}  # fmt: skip
        own = Home.open(home.root)
        together.wait()
        outcomes[mine] += carry_out(own, wanted, slow, LogReporter())
        own.ledger.close()

    threads = [threading.Thread(target=run, args=(mine,)) for mine in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = fakes[0].made + fakes[1].made
    assert sorted(made) == sorted(wanted), "computed twice, or not at all"
    by_status = sorted((o.key[:2], o.status) for both in outcomes for o in both)
    assert by_status == sorted((pair, status) for pair in wanted for status in (Status.MADE, Status.KEPT))
    home.ledger.close()
