"""The commands of releases and of retired encoders, and the card that a promotion leaves."""

import getpass
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm_assets.cli.running import dagster_instance
from mediafm_core.errors import PlanError
from mediafm_core.reports.gather_card import card_of
from mediafm_core.reports.release_card import Table, card_markdown, card_page, shown, write_card
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from tests.commands import exits_with, refused, stated, told
from tests.narrative_homes import N_TITLES, declare_tiny_encoder


@pytest.fixture
def promoted(live_home: Home) -> Home:
    """A home where v2 went live after v1."""
    declare_tiny_encoder(live_home, "v2")
    told(live_home, "apply")
    told(live_home, "release", "promote", "v2")
    return live_home


def cards(home: Home) -> set[str]:
    return {path.name for path in (home.root / "reports" / "releases").glob("*")}


def test_an_upgrade_told_by_its_commands(promoted: Home) -> None:
    """A promotion, its card, its history, both ways back, a comparison, and the old encoder's retirement."""
    assert cards(promoted) == {"v2-r1.html", "v2-r1.md", "v2-r1.svg"}
    assert "live: v1-r1" in told(promoted, "release", "rollback")
    assert "live: v2-r1" in told(promoted, "release", "rollback", "--to", "v2-r1")
    assert "v1-r1, v2-r1" in refused(promoted, "release", "rollback", "--to", "v9-r1")
    rows = json.loads(told(promoted, "release", "history", "--json"))
    assert [(row["what"], row["before"], row["after"]) for row in rows] == [
        ("promotion", None, "v1-r1"),
        ("promotion", "v1-r1", "v2-r1"),
        ("rollback", "v2-r1", "v1-r1"),
        ("rollback", "v1-r1", "v2-r1"),
    ]
    assert {row["user"] for row in rows[1:]} == {getpass.getuser()}
    assert rows[1]["through"] == "job refresh"
    assert rows[1]["run"]
    assert all(verdict["verdict"] == "passes" for row in rows for verdict in row["gate"])
    assert "rollback" in told(promoted, "release", "history")

    found = json.loads(told(promoted, "encoder", "compare", "v1", "v2", "--json"))
    assert (found["n_titles"], found["n_neighbours"]) == (N_TITLES, 10)
    assert found["overlap"] > found["overlap_shuffled"]
    assert "shuffled" in told(promoted, "encoder", "compare", "v1", "v2")

    before = stated(promoted)
    assert "v1-r1 could be gone back to" in refused(promoted, "encoder", "retire", "v1")
    assert "it is in production" in refused(promoted, "encoder", "retire", "v2", "--force")
    assert stated(promoted) == before
    assert "MiB freed" in told(promoted, "encoder", "retire", "v1", "--force")
    with dagster_instance(promoted) as instance:
        assert list(instance.get_dynamic_partitions("encoders")) == ["v2"]
    assert "'v1' was retired" in refused(promoted, "release", "rollback")
    assert "wrote" in told(promoted, "release", "card", "v1-r1")
    assert "The encoder is retired." in (promoted.root / "reports" / "releases" / "v1-r1.md").read_text()


def test_a_floor_is_set_refuses_and_is_taken_back(live_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "tone: floor 0.999" in told(live_home, "release", "floor", "tone", "0.999")
    assert json.loads(told(live_home, "release", "status", "--json"))["floors"] == {"tone": 0.999}
    declare_tiny_encoder(live_home, "v2")
    assert told(live_home, "apply").endswith(
        "v2 is ready; until it is promoted, readers see v1-r1\nnext  mediafm release promote v2\n"
    )
    capsys.readouterr()
    message = exits_with(live_home, 3, "release", "promote", "v2")
    assert message.startswith("GateError: encoder 'v2' at the gate: task tone blocks")
    assert message.count("; expected ") == 1
    assert "task tone blocks" not in capsys.readouterr().out  # it is said once
    assert "task tone blocks" in message
    assert "below the floor of 0.9990" in message
    (_, v2) = json.loads(told(live_home, "release", "status", "--json"))["candidates"]
    assert v2["standing"] == "refused"
    assert "task tone blocks" in v2["reason"]
    assert "refused" in told(live_home, "release", "status")
    assert "no floor" in told(live_home, "release", "floor", "tone", "--none")
    assert read_state(live_home).floors == {}
    told(live_home, "release", "promote", "v2")


def test_a_card_says_what_the_release_was_made_of_and_how_it_was_judged(live_home: Home, tmp_path: Path) -> None:
    state = read_state(live_home)
    assert state.release is not None
    page, text, *_ = (path.read_text() for path in write_card(live_home, "v1-r1", tmp_path / "cards"))
    suite = next(suite for suite in state.suites if suite.id == state.encoders[0].suite)
    for said in (page, text):
        assert "Decision support for people and teams" in said
        assert "It was live when this card was written." in said
        assert "Mechanics, not quality" in said
        assert "Synthetic titles" in said
        assert state.release.heads["tone"] in said
        assert suite.video.instrument.weights_sha256 in said
        assert "MIT" in said  # of the shot detector
        assert "https://github.com/soCzech/TransNetV2" in said.replace("\\", "")
        assert "nothing was live to be compared with" in said.lower()
    assert {path.name for path in (tmp_path / "cards").iterdir()} == {"v1-r1.html", "v1-r1.md", "v1-r1.svg"}
    assert text.count("\n## ") == 14  # five of them tasks


def test_an_encoder_that_was_never_released_has_a_card_too_and_what_is_unknown_has_none(live_home: Home) -> None:
    declare_tiny_encoder(live_home, "v2")
    write_card(live_home, "v2")
    text = (live_home.root / "reports" / "releases" / "v2.md").read_text()
    assert "It was never released." in text
    assert "It was not judged." in text
    with pytest.raises(PlanError, match="no release and no encoder of this name"):
        write_card(live_home, "v9-r1")


def test_a_card_escapes_what_it_is_given(live_home: Home) -> None:
    odd = "<script>|`*\n# x"
    card = card_of(live_home, "v1-r1")
    (table, *_) = card.tables
    spoiled = Table(table.title, "", ("what", "value"), (("a", odd), ("b", None)))
    said = replace(card, tables=(spoiled,))
    assert "<script>" not in card_page(said)
    text = card_markdown(said, None)
    assert "<script>" not in text.replace("\\<", "")
    assert "| a | \\<script\\>\\|\\`\\* \\# x |" in text
    assert shown(-0.5) == "\N{MINUS SIGN}0.500"
