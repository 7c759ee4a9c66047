"""The ablation of a stored encoder: made where somebody asked, from frozen inputs; outside vectors are checked."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_assets.carrying import STAGES
from mediafm_assets.cli.running import initialise
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import DeliveryError, PlanError
from mediafm_core.execution import carry_out
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import Step
from mediafm_core.probes.ablation.asking import ask_ablation, stop_asking
from mediafm_core.probes.ablation.document import Source, source_of
from mediafm_core.probes.ablation.keeping import kept
from mediafm_core.probes.ablation.outside import declare_outside
from mediafm_core.probes.ablation.post_metadata import PostMetadata
from mediafm_core.probes.ablation.stored import (
    Embedded,
    StoredTitle,
    clip_table,
    embedded_by,
    stored_material,
    stored_titles,
)
from mediafm_core.probes.ablation.variants import ISOLATED, METADATA, UNTRAINED
from mediafm_core.probes.declaring import set_labels
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.report import CONTEXTUAL
from mediafm_core.probes.stage import probes_of
from mediafm_core.reports.ablation_page import ablation_page
from mediafm_core.reports.gather_ablation import ablation_document, page_of
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import vectors_of
from mediafm_core.workbench import LogReporter, Outcome
from tests import homes, narrative_homes
from tests.conftest import built_once

TASK = "popularity"


def build_beside(root: Path, live: Path) -> Path:
    """The live home, whose `v1` has five heads; `v2` is trained and has embedded the titles too."""
    narrative_homes.one_thread()
    home = Home.open(shutil.copytree(live, root))
    narrative_homes.declare_tiny_encoder(home, "v2")
    titles = [("contextual_embeddings", f"v2|{title}") for title in read_state(home).titles]
    narrative_homes.carry(home, [("pretraining_corpus", "v2"), ("mediafm_encoder", "v2"), *titles])
    home.ledger.close()
    return root


def build_small(root: Path) -> Path:
    """Twelve narrative titles with labels of one task, and two tiny encoders with their heads."""
    narrative_homes.one_thread()
    home = initialise(root)
    deliveries = narrative_homes.write_titles(root / "delivered", narrative_homes.N_TITLES)
    homes.ingest(home, *deliveries)
    homes.apply(home)
    set_labels(home, TASK, _ranks(deliveries, root / "ranks.parquet"))
    for name, optimiser in (("v1", "muon"), ("v2", "adamw")):
        narrative_homes.declare_tiny_encoder(home, name, optimiser=optimiser)
    homes.apply(home)
    home.ledger.close()
    return root


def _ranks(deliveries: list[Path], target: Path) -> Path:
    tables = []
    for folder in deliveries:
        table = pq.read_table(folder / "labels.parquet", filters=[("task", "=", TASK)])
        mine = table.select(["start_s", "end_s", "rank"])
        tables.append(mine.append_column("title", pa.array([folder.name] * mine.num_rows)))
    pq.write_table(pa.concat_tables(tables), target)
    return target


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, finished_live_home: Path, tmp_path: Path) -> Home:
    beside = built_once(tmp_path_factory, "live-home-beside", lambda root: build_beside(root, finished_live_home))
    return Home.open(shutil.copytree(beside, tmp_path / "home"))


def wanted(home: Home) -> Step:
    return desired(read_state(home)).ablations["v1"]


def planned(home: Home) -> set[str]:
    """The encoders of which an ablation is in the plan."""
    steps = explained_plan(home, read_state(home)).steps
    return {step.key.partition for step in steps if step.key.kind == "ablation_report"}


def labels_of(home: Home) -> LabelSet:
    return next(p.held_out.labels for p in probes_of(home, wanted(home)) if p.head.task.name == TASK)


# asking


def test_nobody_who_did_not_ask_has_it_in_a_plan_and_who_asked_has_it_until_it_is_made_or_unwanted(home) -> None:
    assert planned(home) == set()
    asked = ask_ablation(home, "v1")
    assert asked.wish.others == ("v2",)
    assert planned(home) == {"v1"}
    assert stop_asking(home, "v1")
    assert planned(home) == set()
    assert not stop_asking(home, "v1")


def test_what_stands_beside_is_frozen_until_it_is_asked_again(home) -> None:
    ask_ablation(home, "v1")
    before = wanted(home).key
    narrative_homes.declare_tiny_encoder(home, "v3")
    assert wanted(home).key == before
    assert ask_ablation(home, "v1").not_trained == ("v3",)
    assert wanted(home).key == before


def test_other_labels_make_it_stale_and_a_home_rebuilt_still_wants_it(home, tmp_path) -> None:
    ask_ablation(home, "v1")
    before = wanted(home).key
    file = tmp_path / "ranks.csv"
    rows = [f"{title},0,{end},{end}" for title in read_state(home).titles for end in (10, 20)]
    file.write_text("\n".join(["title,start_s,end_s,rank", *rows]))
    set_labels(home, TASK, file)
    assert wanted(home).key != before
    home.rebuild_ledger()
    assert wanted(home).reads


def test_an_encoder_without_heads_or_that_there_is_not_is_refused(home) -> None:
    narrative_homes.declare_tiny_encoder(home, "v3")
    with pytest.raises(PlanError, match=r"no head yet for .*popularity"):
        ask_ablation(home, "v3")
    with pytest.raises(PlanError, match="no such encoder"):
        ask_ablation(home, "v9")


# outside vectors


def clips(home: Home, **changed: Any) -> pa.Table:
    """A vector of three numbers for each labelled clip."""
    ask_ablation(home, "v1")
    labels = labels_of(home)
    columns = {
        "title": [labels.titles[i] for i in labels.of],
        "start_s": labels.start_s,
        "end_s": labels.end_s,
        "vector": np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32).tolist(),
    }
    return pa.table({**columns, **changed})


def written(table: pa.Table, folder: Path) -> Path:
    pq.write_table(table, folder / "vectors.parquet")
    return folder / "vectors.parquet"


@pytest.mark.parametrize("kind", ["list<float>", "FixedSizeBinary"])
def test_outside_vectors_are_kept_as_given_and_stand_beside_what_is_asked_for_afterwards(home, tmp_path, kind) -> None:
    table = clips(home)
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    if kind == "FixedSizeBinary":
        halves = pa.array([row.astype("<f2").tobytes() for row in vectors], pa.binary(6))
        table, vectors = table.set_column(3, "vector", halves), vectors.astype(np.float16).astype(np.float32)
    before = wanted(home).key
    taken = declare_outside(home, "clip-b32", written(table, tmp_path))
    assert (taken.n_clips, taken.dims, taken.covered[TASK]) == (len(vectors), 3, (len(vectors), len(vectors)))
    np.testing.assert_array_equal(clip_table(home, taken.table).vectors, vectors)
    assert wanted(home).key == before
    ask_ablation(home, "v1")
    assert wanted(home).ingredients["outside"] == {"clip-b32": taken.table}


def with_row(index: int, value: object) -> Callable[[pa.Table, str], pa.Table]:
    def change(table: pa.Table, column: str) -> pa.Table:
        cells = table[column].to_pylist()
        cells[index] = value
        place = table.column_names.index(column)
        return table.set_column(place, column, pa.array(cells, table.schema.field(column).type))

    return change


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("vector", [1.0, 2.0], "row 3: a vector of another width; expected vectors of one width, 3"),
        ("vector", [1.0, 2.0, float("nan")], "row 3: NaN"),
        ("vector", [1.0, None, 2.0], "row 3: NaN, infinity or an empty number"),
        ("vector", None, "row 3: a cell that is empty"),
        ("title", "misspelt", "row 3: a span that is no labelled clip's"),
        ("start_s", float("inf"), "row 3: a time that is no number"),
        ("end_s", 1e6, "row 3: a span that is no labelled clip's"),
    ],
)
def test_a_bad_row_is_named_by_number_and_nothing_is_taken(home, tmp_path, column, value, found) -> None:
    file = written(with_row(2, value)(clips(home), column), tmp_path)
    with pytest.raises(DeliveryError) as refused:
        declare_outside(home, "clip-b32", file)
    assert found in str(refused.value)
    assert home.ledger.declared("outside") == {}


def test_a_clip_twice_other_columns_half_a_task_or_no_parquet_are_refused(home, tmp_path) -> None:
    table = clips(home)
    n_clips = table.num_rows
    for bad, found in (
        (pa.concat_tables([table, table.slice(4, 1)]), f"row {n_clips + 1}: a clip that stands in an earlier row"),
        (table.rename_columns(["title", "start_s", "end_s", "vectors"]), "columns title, start_s, end_s, vectors"),
        (table.slice(1), f"{n_clips - 1} of {n_clips} of popularity"),
        (table.set_column(3, "vector", pa.array(["x"] * n_clips)), "column vector of type string"),
    ):
        with pytest.raises(DeliveryError) as refused:
            declare_outside(home, "clip-b32", written(bad, tmp_path))
        assert found in str(refused.value)
    (tmp_path / "vectors.parquet").write_text("no")
    with pytest.raises(DeliveryError, match="cannot be read"):
        declare_outside(home, "clip-b32", tmp_path / "vectors.parquet")


# what is stored


def test_embeddings_made_elsewhere_have_no_row_of_other_metadata_and_it_is_said_why(home) -> None:
    ask_ablation(home, "v1")
    state = read_state(home)
    titles = stored_titles(home, desired(state).encoders["v1"].heads[TASK].also)
    suite = next(s for s in state.suites if s.id == state.encoders[0].suite)
    assert "made elsewhere" in (PostMetadata(home, suite, titles).absent or "")


def test_what_the_post_reads_is_embedded_as_the_titles_own_embeddings_were(empty_home, tmp_path) -> None:
    home = empty_home
    folder = homes.deliver(tmp_path, "alpha", synopsis="A fox.")
    homes.describe(folder, "A fox.", cast=["Ada Ember"])
    homes.ingest(home, folder, homes.deliver(tmp_path, "beta", synopsis="An owl."))
    (suite,) = read_state(home).suites
    chains = desired(read_state(home)).chains
    keys = {title: step.key for title, chain in chains.items() for step in chain if "metadata_emb" in step.key.kind}
    list(carry_out(home, [key[:2] for key in keys.values()], STAGES, LogReporter()))
    titles = {title: StoredTitle(key, key, key) for title, key in keys.items()}
    stored = {t: vectors_of(pq.read_table(io.BytesIO(home.read(key))))[0] for t, key in keys.items()}
    post = PostMetadata(home, suite, titles)
    assert post.absent is None
    np.testing.assert_array_equal(post("beta"), stored["beta"])  # says nothing more
    assert not np.allclose(post("alpha"), stored["alpha"], atol=1e-2)
    homes.ingest(home, homes.deliver(tmp_path / "again", "alpha", synopsis="Another story."))
    np.testing.assert_array_equal(PostMetadata(home, suite, titles)("alpha"), post("alpha"))  # what was read stands
    assert "no labelled title" in (PostMetadata(home, suite, {"beta": titles["beta"]}).absent or "")
    server = replace(suite.text, instrument=replace(suite.text.instrument, settings={"server": "http://x"}))
    assert "behind an API" in (PostMetadata(home, replace(suite, text=server), titles).absent or "")


def test_other_encoders_are_read_from_the_store_or_made_to_the_same_bits(home) -> None:
    ask_ablation(home, "v1")
    state = read_state(home)
    titles = stored_titles(home, desired(state).encoders["v1"].heads[TASK].also)
    suite = next(s for s in state.suites if s.id == state.encoders[0].suite)
    material, trained = stored_material(home, suite, titles), wanted(home).inputs["other_v2"]
    stored = embedded_by(home, trained, material, titles)
    absent = {
        title: ArtifactKey("contextual_embeddings", f"v2|{title}", given.fused.fingerprint)
        for title, given in titles.items()
    }
    made = Embedded(home, trained, material, absent)
    for title in list(titles)[:2]:
        np.testing.assert_array_equal(stored[title].vectors, made[title].vectors)
        np.testing.assert_array_equal(stored[title].title_vector, made[title].title_vector)
        assert stored[title].origin.encoder == made[title].origin.encoder == "v2"


class Stopping(LogReporter):
    """Kills the run after some rows, as a signal would, and keeps what it was told."""

    def __init__(self, after: int | None = None) -> None:
        self.notes: list[str] = []
        self._after = after

    def advance(self, fraction: float, note: str = "") -> None:
        if self._after is not None and len(self.notes) == self._after:
            raise KeyboardInterrupt
        self.notes.append(note)


def run(home: Home, reporter: Stopping) -> Outcome:
    (outcome,) = carry_out(home, [("ablation_report", "v1")], STAGES, reporter)
    return outcome


@pytest.mark.slow
def test_a_killed_run_goes_on_after_its_last_row_and_the_report_holds_every_row_and_finding(tmp_path) -> None:
    home = Home.open(build_small(tmp_path / "small"))
    declare_outside(home, "clip-b32", written(clips(home), tmp_path))
    ask_ablation(home, "v1")
    with pytest.raises(KeyboardInterrupt):
        run(home, Stopping(after=5))
    rows = list(kept(home, wanted(home).key, {TASK: labels_of(home)}))
    assert len(rows) == 5
    going_on = Stopping()
    outcome = run(home, going_on)
    assert not outcome.error, outcome.error
    assert going_on.notes[0].startswith("row 7/")  # one is the head's own, five were kept
    assert not list(home.work.glob("ablation-*"))
    assert planned(home) == set()
    document = ablation_document(home, "v1")
    assert document is not None
    by_name = {row["features"]: row for row in document["rows"]}
    assert {CONTEXTUAL, UNTRAINED, ISOLATED, METADATA, "encoder v2", "outside clip-b32"} <= set(by_name)
    assert [r["value"] for r in document["rows"]] == sorted((r["value"] for r in document["rows"]), reverse=True)
    assert (by_name[CONTEXTUAL]["ahead"], by_name[UNTRAINED]["dims"]) == (0.0, by_name[UNTRAINED]["dims"])
    for row in document["rows"]:
        assert row["ahead"] == pytest.approx(by_name[CONTEXTUAL]["value"] - row["value"], abs=1e-6)
    assert len(document["findings"]) == 6
    assert [c["says"] for c in document["findings"][-1]["contrasts"]] == [f"{TASK}: {CONTEXTUAL} - encoder v2"]
    page = ablation_page(page_of(document, "v2"))
    assert "Synthetic titles." in page
    assert page.count("own-row") >= 1
    assert "outside clip-b32" in page


def test_a_row_says_whose_vectors_it_reads() -> None:
    said = {name: source_of(name) for name in (CONTEXTUAL, f"{CONTEXTUAL}, MLP head", ISOLATED, UNTRAINED, "fused")}
    assert list(said.values()) == [Source.OWN, Source.APART, Source.APART, Source.UNTRAINED, Source.NONE]
    assert (source_of("encoder paper"), source_of("outside x")) == (Source.OTHER, Source.OUTSIDE)
