"""One title's media are read while another title is worked on; what comes of the steps is the same without it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediafm_core.execution import carry_out
from mediafm_core.identity import title_id
from mediafm_core.lookahead import Coming, Lookahead
from mediafm_core.media.cache import decode_ahead
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Bench, Draft, LogReporter, Stage, Status
from tests import homes
from tests.catalogue import LONG, ONE_SHOT, SILENT
from tests.fakes import Fakes, draft, make_home, pairs, planned

SOON_S = 20.0
"""Longer than anything here takes."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = make_home(tmp_path / "home", [SILENT, LONG, ONE_SHOT])
    yield home
    home.ledger.close()


class Watching:
    """Stages of which `shots` and `video_embeddings` read ahead; remembers for which title, beside which."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.during: dict[str, threading.Event] = {}
        self._error = error

    def stages(self) -> dict[str, Stage]:
        ahead = {kind: Stage(self._make, read_ahead=self._read) for kind in ("shots", "video_embeddings")}
        return {**Fakes().stages, **ahead}

    def _make(self, bench: Bench, step: Step) -> Draft:
        for running, begun in list(self.during.items()):
            assert running != step.title or begun.wait(SOON_S)  # beside this title's work, not after it
        return draft(bench, step)

    def _read(self, bench: Bench, step: Step, running: str) -> None:
        self.during.setdefault(running, threading.Event()).set()
        self.seen.append((str(step.title), running))
        if self._error:
            raise self._error


def test_each_title_is_read_once_while_the_one_before_it_is_worked_on(home: Home) -> None:
    watching, wanted = Watching(), pairs(planned(home).steps)
    order = list(dict.fromkeys(p for kind, p in wanted if kind == "shots"))
    outcomes = list(carry_out(home, wanted, watching.stages(), LogReporter()))
    assert {outcome.status for outcome in outcomes} == {Status.MADE}
    assert watching.seen == [(order[1], order[0]), (order[2], order[1])]


def test_kind_by_kind_the_next_title_is_read_too(home: Home) -> None:
    watching = Watching()
    wanted = sorted(
        pairs(planned(home).steps),
        key=lambda pair: ["deliveries", "shots"].index(pair[0]) if pair[0] in ("deliveries", "shots") else 2,
    )
    order = [p for kind, p in wanted if kind == "shots"]
    list(carry_out(home, wanted, watching.stages(), LogReporter()))
    assert watching.seen[:2] == [(order[1], order[0]), (order[2], order[1])]
    assert all(title != running for title, running in watching.seen)


def test_nothing_is_read_for_what_exists(home: Home) -> None:
    list(carry_out(home, wanted := pairs(planned(home).steps), Fakes().stages, LogReporter()))
    watching = Watching()
    list(carry_out(home, wanted, watching.stages(), LogReporter()))
    assert watching.seen == []


def test_a_failure_to_read_ahead_is_the_steps_to_meet(home: Home) -> None:
    watching = Watching(OSError("the disk is full"))
    outcomes = list(carry_out(home, pairs(planned(home).steps), watching.stages(), LogReporter()))
    assert watching.seen
    assert {outcome.status for outcome in outcomes} == {Status.MADE}


def test_work_waits_for_what_is_being_made_ready_for_it() -> None:
    go, done = threading.Event(), []

    def prepare(running: str) -> None:
        assert go.wait(SOON_S)
        done.append(running)

    ahead = Lookahead(iter([Coming(1, "b", lambda: True, prepare)]))
    ahead.begin(0, "a")
    assert done == []
    threading.Timer(0.05, go.set).start()
    ahead.begin(1, "b")
    assert done == ["a"]


def test_what_was_passed_already_is_not_made_ready() -> None:
    done = []
    coming = [
        Coming(i, name, lambda: True, lambda running, name=name: done.append(name)) for i, name in enumerate("abc")
    ]
    ahead = Lookahead(iter(coming))
    ahead.begin(1, "b")
    ahead.wait()
    assert done == ["c"]


def test_a_title_decoded_ahead_has_its_working_set_and_takes_no_room_but_the_others(
    empty_home: Home, tmp_path: Path
) -> None:
    home = empty_home
    homes.ingest(
        home,
        *(homes.deliver(tmp_path, name, scenes=scenes) for name, scenes in (("a", (25,)), ("b", (30,)), ("c", (35,)))),
    )
    state = read_state(home)
    shots = {step.title: step for step in desired(state).steps() if step.key.kind == "shots"}
    bench = Bench(home, state, LogReporter())
    for title, running in ((title_id("a"), "c"), (title_id("b"), "a"), (title_id("c"), "b")):
        decode_ahead(bench, shots[title], running)
        sets = {path.name for path in home.work.iterdir() if len(path.name) == 64}
        wanted = {title, running} if title != "a" else {"a"}
        assert sets == {state.titles[title_id(name)].files[0].sha256 for name in wanted}
