"""The asset graph mirrors the table of kinds and the planner, and loads light."""

import subprocess
import sys
from dataclasses import replace

import dagster as dg
import pytest

from mediafm_assets import partitions
from mediafm_assets.carrying import STAGES
from mediafm_assets.definitions import defs
from mediafm_core.catalogue.declared import AblationWish, FrozenLabels
from mediafm_core.catalogue.kinds import KINDS
from mediafm_core.identity import title_id
from mediafm_core.planning.desired import desired, release
from mediafm_core.planning.plan import snapshot_step
from mediafm_core.stock import read_state

HEAVY = {"torch", "transformers", "sklearn", "openvino", "ctranslate2", "faster_whisper", "matplotlib", "scipy"}

PARTITIONS = {
    ("title",): partitions.titles,
    ("suite", "title"): partitions.suite_titles,
    ("encoder",): partitions.encoders,
    ("encoder", "title"): partitions.encoder_titles,
    ("suite",): partitions.suites,
    ("task",): partitions.tasks,
    ("encoder", "task"): partitions.encoder_tasks,
    (): None,
}

FOR_THE_EYE = {
    ("shots", "deliveries"),
    ("metadata_embedding", "deliveries"),
    ("pretraining_corpus", "fused_embeddings"),
    ("pretraining_corpus", "metadata_embedding"),
    ("labels", "deliveries"),
    ("release", "predictions"),
    ("release", "canaries"),
    ("snapshot", "contextual_embeddings"),
    ("snapshot", "predictions"),
    ("snapshot", "release"),
}
"""Edges that the planner does not follow as inputs: the hash of a title's media or words stands in the step itself, a
corpus and labels are frozen when they are declared, a release asks whether every title has its predictions and whether
canaries are steady, and a snapshot hashes its members together."""

THROUGH_OTHERS = {("snapshot", "mediafm_encoder"), ("release", "mediafm_encoder"), ("release", "probe_heads")}
"""Inputs that the graph does not draw, for a path leads there by assets between."""

nodes = {key.path[-1]: defs.resolve_asset_graph().get(key) for key in defs.resolve_asset_graph().get_all_asset_keys()}


def spec(kind: str) -> dg.AssetSpec:
    return next(s for s in defs.resolve_all_asset_specs() if s.key.path[-1] == kind)


def heavy_after(*arguments: str) -> set[str]:
    """Which heavy libraries a fresh Python has loaded after `arguments`."""
    tell = "import sys, atexit; atexit.register(lambda: print('LOADED', *{n.split('.')[0] for n in sys.modules}));"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", tell + arguments[0]], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert "dagster" in loaded or "typer" in loaded
    return HEAVY.intersection(loaded)


def test_the_definitions_load_without_a_heavy_library():
    assert heavy_after("import mediafm_assets.definitions") == set()


def test_the_commands_help_loads_without_a_heavy_library():
    assert heavy_after("sys.argv = ['mediafm', '--help']; from mediafm_assets.cli import main; main()") == set()


def test_every_kind_is_an_asset_and_has_a_stage_and_there_is_nothing_else():
    assert set(nodes) == set(STAGES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_asset_says_what_its_kind_says(kind):
    asset = spec(kind)
    assert asset.code_version == str(KINDS[kind].code_version)
    assert asset.partitions_def == PARTITIONS[KINDS[kind].axes]
    assert asset.description
    assert asset.kinds
    assert asset.group_name not in (None, "default")


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if "title" in kind.axes])
def test_what_is_made_for_each_title_is_backfilled_many_titles_a_run(kind):
    assert nodes[kind].backfill_policy == dg.BackfillPolicy.multi_run(64)


def test_the_edges_of_the_graph_are_what_the_planners_steps_read(home):
    frozen = FrozenLabels(task="tone", table="0" * 64, titles=(title_id("alpha"), title_id("beta")))
    asked = {"v1": AblationWish(encoder="v1")}
    state = replace(read_state(home), labels={"tone": frozen}, ablations=asked)
    wanted = desired(state)
    steps = [*wanted.steps(), release(wanted.encoders["v1"], None), snapshot_step(state, wanted)]
    planned = {(step.key.kind, key.kind) for step in steps if step for key in step.reads}
    shown = {(kind, parent.path[-1]) for kind, node in nodes.items() for parent in node.parent_keys}
    assert planned - THROUGH_OTHERS == shown - FOR_THE_EYE
    assert planned >= THROUGH_OTHERS
    assert shown >= FOR_THE_EYE


def test_jobs_sensors_and_checks_are_all_there():
    assert {job.name for job in defs.jobs or ()} == {
        "ingest",
        "refresh",
        "train_encoder",
        "upgrade",
        "watch_canaries",
    }
    assert {sensor.name for sensor in defs.sensors or ()} == {"new_titles", "new_encoders", "reconcile"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in defs.sensors or ())
    assert {schedule.name for schedule in defs.schedules or ()} == {"nightly", "daily_canaries", "weekly_training"}
    assert len(list(defs.asset_checks or ())) == 9


def test_the_definitions_are_valid():
    dg.Definitions.validate_loadable(defs)
