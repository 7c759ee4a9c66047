"""What titles may say since: a title that says nothing new has the fingerprints that it always had."""

from dataclasses import asdict, replace

import pytest

from mediafm_core.catalogue.title import Metadata, Title
from mediafm_core.planning.desired import Shown, desired, snapshot
from mediafm_core.planning.making import plain
from tests import catalogue
from tests.catalogue import ONE_SHOT, SUITE

# Of ONE_SHOT as they were before titles had further fields. A change embeds every catalogue anew.
EMBEDDED = "74bd927c0389d487111cb08253d0a3e3c0afd0ad8f21200b692a71f93237aa3a"
SHOWN = "40f13337488efd2aa9c4468d4e2288b17683613c78a7793d571067c704a7e224"
FIELDS = {"series": "Doors", "season": 1, "episode": 0, "genres": ("drama",), "cast": ("Ada",), "reviews": ("Good.",)}


def fingerprints(title: Title) -> dict[str, str]:
    return {step.key.kind: step.key.fingerprint for step in desired(catalogue.state(title)).chains[title.id]}


def shown(title: Title) -> str:
    encoder = desired(catalogue.state(title)).encoders["v1"]
    made = desired(catalogue.state(ONE_SHOT)).encoders["v1"].contextual[ONE_SHOT.id].key
    return snapshot(encoder.trained.key, "v1", {title.id: Shown(title, made, None)}).key.fingerprint


def with_field(name: str) -> Title:
    return replace(ONE_SHOT, metadata=replace(ONE_SHOT.metadata, **{name: FIELDS[name]}))


def test_a_title_that_says_nothing_new_is_neither_embedded_nor_shown_anew() -> None:
    assert SUITE.id == "plain-592cec27"
    assert fingerprints(ONE_SHOT)["metadata_embedding"] == EMBEDDED
    assert shown(ONE_SHOT) == SHOWN


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_reaches_the_metadata_embedding_and_nothing_else_of_a_title(name: str) -> None:
    before, after = fingerprints(ONE_SHOT), fingerprints(with_field(name))
    assert {kind for kind in before if before[kind] != after[kind]} == {"metadata_embedding"}
    assert shown(with_field(name)) != SHOWN


@pytest.mark.parametrize("title", [ONE_SHOT, *map(with_field, FIELDS)], ids=repr)
def test_a_record_says_a_field_only_where_it_is_given_and_reads_back(title: Title) -> None:
    record = plain(title.metadata)
    assert isinstance(record, dict)
    assert set(asdict(title.metadata)) - set(record) == {
        f for f in FIELDS if getattr(title.metadata, f) in ("", None, ())
    }
    assert Metadata.from_json(record) == title.metadata
