"""What is read of a home: with some titles alone their steps are the same, and nothing is read of others."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from mediafm_core.execution import carry_out
from mediafm_core.planning.plan import for_titles, plan
from mediafm_core.planning.state import State, Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import LogReporter
from tests import catalogue
from tests.candidates import Candidates
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, TASKS, UNSORTED, V2
from tests.fakes import BrokenError, Fakes, deliver, make_home, pairs

LABELLED = (SILENT, ONE_SHOT)


def steps_of(state: State, title: str) -> list[Step]:
    """What can be made of a title now, but the snapshot, which is of all titles."""
    return [step for step in for_titles(plan(state).steps, state, {title}) if step.title == title]


@contextmanager
def rows_read(home: Home) -> Iterator[list[int]]:
    """How many rows each query gives, while it lasts."""
    counts: list[int] = []

    def counted(_connection, cursor, statement, parameters, *_) -> None:
        if statement.startswith("SELECT"):
            counts.append(len(cursor.connection.cursor().execute(statement, parameters).fetchall()))

    engine = home.ledger._engine
    event.listen(engine, "after_cursor_execute", counted)
    try:
        yield counts
    finally:
        event.remove(engine, "after_cursor_execute", counted)


def live_home(root: Path, *more) -> Home:
    home = make_home(root, (*LABELLED, LONG, *more), production=None)
    for task in TASKS:
        home.declare("labels", task, asdict(catalogue.labels(task, *LABELLED)))
    Candidates().run(home)
    Candidates().go_live(home, "v1")
    return home


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to copy, where v1 is live."""
    home = live_home(tmp_path_factory.mktemp("built") / "home")
    home.ledger.close()
    return home.root


HAPPENINGS = {
    "new title": lambda home: deliver(home, NO_ID),
    "media": lambda home: deliver(home, catalogue.with_media(LONG, "other")),
    "captions of a labelled title": lambda home: deliver(home, catalogue.with_captions(ONE_SHOT, "other")),
    "encoder": lambda home: home.declare("encoder", "v2", asdict(V2)),
    "labels": lambda home: home.declare("labels", "tone", asdict(catalogue.labels("tone", *LABELLED, version=2))),
    "labels of others": lambda home: home.declare("labels", "genre", asdict(catalogue.labels("genre", UNSORTED))),
    "a failure": lambda home: Candidates(failing={("shots", LONG.id): BrokenError()}).run(home),
    "all is made": lambda home: Candidates().run(home),
}


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(sorted(HAPPENINGS)), min_size=1, max_size=4))
def test_the_steps_of_a_title_are_the_same_whether_others_are_read_or_not(
    built: Path, tmp_path_factory: pytest.TempPathFactory, happen: list[str]
) -> None:
    home = Home.open(shutil.copytree(built, tmp_path_factory.mktemp("copy") / "home"))
    for name in happen:
        HAPPENINGS[name](home)
    state = read_state(home)
    for title in state.titles:
        assert steps_of(read_state(home, [title]), title) == steps_of(state, title)
    home.ledger.close()


@pytest.fixture(scope="module")
def larger(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with six titles more."""
    home = Home.open(shutil.copytree(built, tmp_path_factory.mktemp("larger") / "home"))
    for number in range(6):
        deliver(home, catalogue.title(f"more-{number}"))
    Candidates().run(home)
    home.ledger.close()
    return home.root


def test_what_is_read_for_one_title_does_not_grow_with_the_catalogue(built: Path, larger: Path, tmp_path: Path) -> None:
    read = []
    for root in (built, larger):
        home = Home.open(shutil.copytree(root, tmp_path / str(len(read))))
        deliver(home, catalogue.with_media(LONG, "other"))
        with rows_read(home) as counts:
            assert steps_of(read_state(home, [LONG.id]), LONG.id)
        read.append(counts)
        with rows_read(home) as all_counts:
            read_state(home)
        assert sum(all_counts) > sum(counts)
        home.ledger.close()
    assert read[0] == read[1]


def test_steps_of_one_title_are_carried_out_without_reading_others(built: Path, larger: Path, tmp_path: Path) -> None:
    read = []
    for root in (built, larger):
        home = Home.open(shutil.copytree(root, tmp_path / str(len(read))))
        deliver(home, catalogue.with_media(LONG, "other"))
        wanted = pairs(steps_of(read_state(home), LONG.id))[:3]
        with rows_read(home) as counts:
            assert [outcome.error for outcome in carry_out(home, wanted, Fakes().stages, LogReporter())] == ["", "", ""]
        read.append(sum(counts))
        home.ledger.close()
    assert read[0] == read[1]


def test_a_title_that_is_not_there_is_not_in_the_state(tmp_path: Path) -> None:
    home = make_home(tmp_path, (SILENT,))
    assert read_state(home, ["nobody"]).titles == {}
    assert set(read_state(home, ["silent"]).titles) == {"silent"}
    home.ledger.close()
