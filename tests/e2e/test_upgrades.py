"""Upgrade stories on a small catalogue with five tasks: what is planned is executed, and readers see whole releases."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from mediafm_assets.jobs import pairs_config, refresh, upgrade
from mediafm_core.catalogue.title import Part
from mediafm_core.narrative.delivery import generate
from mediafm_core.narrative.world import World
from mediafm_core.probes.declaring import set_labels
from mediafm_core.probes.stage import LABEL_NAMES
from mediafm_core.probes.tasks import TASKS
from mediafm_core.release.rollback import roll_back
from mediafm_core.snapshots import open_snapshot
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home, read_checked
from mediafm_core.store.pointer import POINTER, read_pointer
from tests import homes
from tests.e2e.scenario import SNAPSHOT, Account, Pairs, Scenario, of_title, planned_now, run, run_plan
from tests.homes import declare_small_encoder
from tests.ledgers import dump
from tests.narrative_homes import LENGTHS, N_TITLES, WORLD, build_ingested_home, one_thread, write_titles

FIRST_TITLE, NEW_TITLE = "narrative-w5-000001", "narrative-w5-000099"


@pytest.fixture(autouse=True)
def small():
    n_threads = torch.get_num_threads()
    one_thread()
    yield
    torch.set_num_threads(n_threads)


def encoder_pairs(home: Home, encoder: str) -> Pairs:
    """All that hangs on a trained encoder: vectors and predictions of each title, five heads, one report."""
    titles = read_state(home).titles
    return frozenset(
        {(kind, f"{encoder}|{title}") for kind in ("contextual_embeddings", "predictions") for title in titles}
        | {("probe_heads", f"{encoder}|{task}") for task in TASKS}
        | {("probe_report", encoder)}
    )


def trained(encoder: str) -> Pairs:
    return frozenset({("pretraining_corpus", encoder), ("mediafm_encoder", encoder)})


def promote(home: Home, encoder: str) -> Account:
    """What `mediafm release promote` runs."""
    wanted = [("release", encoder), SNAPSHOT]
    return run(home, refresh, pairs_config(wanted), planned=frozenset(wanted))


def seen(home: Home) -> tuple[bytes, str]:
    """What readers see, to the byte: the pointer, and a hash of the snapshot and of every object that it names."""
    shown, pointer = open_snapshot(str(home.root)), read_pointer(home.objects)
    assert pointer is not None
    whole = hashlib.sha256(home.objects.read(pointer.path))
    for row in shown.table.to_pylist():
        for role in ("contextual", "fused", "shots", "predictions"):
            whole.update(read_checked(shown.objects, row[f"{role}_path"], row[f"{role}_digest"]))
    return (home.root / POINTER).read_bytes(), whole.hexdigest()


def edit_labels(home: Home, folder: Path) -> None:
    """Set the labels of `tone` to those that were delivered, but for one clip."""
    state = read_state(home)
    table = pq.read_table(home.blobs.path(state.labels["tone"].table))
    pq.write_table(table.slice(1), folder / "tones.parquet")
    set_labels(home, "tone", folder / "tones.parquet")


def deliver_title(home: Home, folder: Path) -> None:
    """A narrative title of the same world, with labels of its own."""
    homes.ingest(home, *write_titles(folder, 1, seed=99))


def redeliver(home: Home, folder: Path, change: Callable[[Path], None]) -> None:
    """Deliver the first title again, after something in its delivery was changed."""
    (delivery,) = write_titles(folder, 1)
    change(delivery)
    homes.ingest(home, delivery)


def other_pictures(delivery: Path) -> None:
    """Give each shot the pictures of the one that far from the end."""
    file = delivery / "embeddings.parquet"
    table = pq.read_table(file)
    column = table.schema.get_field_index("video")
    turned = table["video"].take(list(range(table.num_rows))[::-1])
    pq.write_table(table.set_column(column, table.schema.field(column), turned), file)


def other_words(delivery: Path) -> None:
    record = json.loads((delivery / "title.json").read_text())
    (delivery / "title.json").write_text(json.dumps({**record, "attribution": "Somebody"}))


def fewer_labels(delivery: Path) -> None:
    table = pq.read_table(delivery / "labels.parquet")
    pq.write_table(table.slice(1), delivery / "labels.parquet")


def of_first(home: Home, *kinds: str) -> Pairs:
    """The pairs of some kinds for the first title, by its own suite and by each encoder."""
    pairs = of_title(home, FIRST_TITLE, *kinds)
    return frozenset(pair for pair in pairs if "|" not in pair[1] or pair[1].startswith(("v", narrative_suite(home))))


def deliver_title_of_other_suite(home: Home, folder: Path) -> None:
    other = World.of(replace(WORLD, seed=6))
    homes.ingest(home, *generate(folder, n_titles=1, seed=1, world=other, lengths=LENGTHS))


def made_of_title_of_other_suite(home: Home) -> Pairs:
    (title,) = [title for title in read_state(home).titles.values() if title.suite != narrative_suite(home)]
    of_suite = {(kind, f"{title.suite}|{title.id}") for kind in ("metadata_embedding", "fused_embeddings")}
    return frozenset({("deliveries", title.id), ("shots", title.id)} | of_suite)


SCENARIOS = [
    Scenario("nothing happens", lambda home, folder: None, lambda home: ()),
    Scenario(
        "an upgrade",
        lambda home, folder: declare_small_encoder(home, "v2", steps=3) and None,
        lambda home: trained("v2") | encoder_pairs(home, "v2"),
    ),
    Scenario(
        "an edit of labels",
        edit_labels,
        lambda home: {
            ("labels", "tone"),
            ("probe_heads", "v1|tone"),
            ("probe_report", "v1"),
            *(("predictions", f"v1|{title}") for title in read_state(home).titles),
        },
    ),
    Scenario(
        "the same delivery again", lambda home, folder: redeliver(home, folder, lambda delivery: None), lambda home: ()
    ),
    Scenario(
        "embeddings delivered anew",
        lambda home, folder: redeliver(home, folder, other_pictures),
        lambda home: (
            of_first(home, "deliveries", "metadata_embedding", "fused_embeddings", "contextual_embeddings")
            | of_first(home, "predictions")
            | {SNAPSHOT}
        ),
    ),
    Scenario(
        "words delivered anew that nobody computes from",
        lambda home, folder: redeliver(home, folder, other_words),
        lambda home: of_first(home, "deliveries") | {SNAPSHOT},
    ),
    Scenario(
        "labels delivered anew: the frozen ones stay",
        lambda home, folder: redeliver(home, folder, fewer_labels),
        lambda home: of_first(home, "deliveries", "predictions") | {SNAPSHOT},
    ),
    Scenario("a title of another suite", deliver_title_of_other_suite, made_of_title_of_other_suite),
    Scenario(
        "a new title",
        deliver_title,
        lambda home: (
            {("deliveries", NEW_TITLE), ("shots", NEW_TITLE), SNAPSHOT}
            | {
                pair
                for pair in of_title(home, NEW_TITLE, "metadata_embedding", "fused_embeddings")
                if pair[1].startswith(narrative_suite(home))
            }
            | of_title(home, NEW_TITLE, "contextual_embeddings", "predictions")
        ),
    ),
]


def narrative_suite(home: Home) -> str:
    return next(suite.id for suite in read_state(home).suites if suite.is_delivered)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_planned_is_executed_committed_and_shown_and_nothing_else(live_home, tmp_path, scenario):
    before = seen(live_home)
    scenario.happens(live_home, tmp_path)
    account = run_plan(live_home)
    assert account.planned == frozenset(scenario.planned(live_home))
    assert account.agrees, account
    assert account.success
    assert planned_now(live_home) == frozenset()
    if SNAPSHOT not in account.planned:
        assert seen(live_home) == before


def test_a_cold_start_ends_with_a_release_that_readers_see(tmp_path):
    home = Home.open(build_ingested_home(tmp_path / "home"))
    declare_small_encoder(home, "v1")
    account = run_plan(home)
    assert account.planned == {("labels", task) for task in TASKS} | trained("v1") | encoder_pairs(home, "v1")
    assert account.agrees, account
    assert read_pointer(home.objects) is None  # until the gate let it through
    assert promote(home, "v1").agrees
    assert open_snapshot(str(home.root)).release == "v1-r1"
    assert planned_now(home) == frozenset()


def test_promotion_rollback_and_promotion_show_the_same_bytes_each_time(live_home):
    first = seen(live_home)
    declare_small_encoder(live_home, "v2", steps=3)
    run_plan(live_home)
    account = promote(live_home, "v2")
    assert account.agrees, account
    second = seen(live_home)
    assert second[0] != first[0]
    assert second[1] != first[1]
    roll_back(live_home)
    publishing = run(live_home, refresh, pairs_config([SNAPSHOT]), planned=frozenset())
    assert publishing.executed == publishing.committed == frozenset()
    assert seen(live_home) == first
    again = promote(live_home, "v2")
    assert again.success
    assert again.executed == again.committed == frozenset()
    assert seen(live_home) == second


def test_the_job_upgrade_takes_an_encoder_from_its_weights_into_production_in_one_run(live_home):
    declare_small_encoder(live_home, "v2", steps=3)
    wanted = encoder_pairs(live_home, "v2") | trained("v2") | {("release", "v2"), SNAPSHOT}
    account = run(live_home, upgrade, {"ops": {"upgrade_to": {"config": {"encoder": "v2"}}}}, planned=wanted)
    assert account.agrees, account
    assert open_snapshot(str(live_home.root)).release == "v2-r1"
    assert planned_now(live_home) == frozenset()


def test_production_takes_in_a_title_while_a_candidate_is_half_built_and_the_graph_makes_it_for_both(
    live_home, tmp_path
):
    before = seen(live_home)
    declare_small_encoder(live_home, "v2", steps=3)
    first = next(iter(read_state(live_home).titles))
    half = [*sorted(trained("v2"), reverse=True), ("contextual_embeddings", f"v2|{first}")]
    assert run(live_home, refresh, pairs_config(half), planned=frozenset(half)).agrees
    assert seen(live_home) == before
    deliver_title(live_home, tmp_path)
    account = run_plan(live_home)
    assert account.agrees, account
    both = of_title(live_home, NEW_TITLE, "contextual_embeddings", "predictions")
    assert {pair[1] for pair in both} == {f"v1|{NEW_TITLE}", f"v2|{NEW_TITLE}"}
    assert both <= account.planned
    assert not account.planned & frozenset(half)
    shown = open_snapshot(str(live_home.root))
    assert (shown.release, shown.table.num_rows) == ("v1-r1", N_TITLES + 1)
    assert {row["contextual_path"].split("/")[2] for row in shown.table.to_pylist()} == {"v1"}
    assert planned_now(live_home) == frozenset()


def test_edited_labels_give_release_r2_of_the_same_encoder(live_home, tmp_path):
    edit_labels(live_home, tmp_path)
    run_plan(live_home)
    assert promote(live_home, "v1").agrees
    assert open_snapshot(str(live_home.root)).release == "v1-r2"
    assert planned_now(live_home) == frozenset()


def test_readers_find_scores_of_every_task_for_every_title(live_home):
    shown = open_snapshot(str(live_home.root))
    assert shown.table.num_rows == N_TITLES
    for row in shown.table.to_pylist():
        table = pq.read_table(live_home.root / row["predictions_path"])
        names = json.loads(table.schema.metadata[LABEL_NAMES.encode()])
        assert set(table["task"].unique().to_pylist()) == set(TASKS) == set(names)
        assert all(len(clip["scores"]) == len(names[clip["task"]]) for clip in table.to_pylist())
        assert max(table["end_s"].to_pylist()) <= row["duration_s"] + 1e-6


def test_every_delivered_clip_is_scored(live_home):
    title = next(iter(read_state(live_home).titles.values()))
    (file,) = title.part_files(Part.LABELS)
    given = pq.read_table(live_home.blobs.path(file.sha256)).select(["task", "start_s", "end_s"]).to_pylist()
    row = next(row for row in open_snapshot(str(live_home.root)).table.to_pylist() if row["title"] == title.id)
    scored = pq.read_table(live_home.root / row["predictions_path"]).select(["task", "start_s", "end_s"])
    clips = {tuple(row.values()) for row in scored.to_pylist()}
    assert {tuple(row.values()) for row in given} <= clips
    assert len(clips) == scored.num_rows


@pytest.mark.parametrize("asset", ["labels", "probe_heads", "predictions", "probe_report", "release"])
def test_making_anything_again_changes_nothing(live_home, asset):
    before = seen(live_home), dump(live_home.ledger)
    again = [key[:2] for key in live_home.ledger.committed_in_order() if key.kind == asset]
    account = run(live_home, refresh, pairs_config(again), planned=frozenset())
    assert account.success
    assert account.executed == account.committed == frozenset()
    assert account.materialised == frozenset(again)
    assert (seen(live_home), dump(live_home.ledger)) == before
