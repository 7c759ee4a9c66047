"""What the assets are partitioned by. The keys mirror the ledger; `sync` is the only place that adds or removes one."""

import warnings

import dagster as dg

from mediafm_core.probes.tasks import TASKS
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home

titles = dg.DynamicPartitionsDefinition(name="titles")
suites = dg.DynamicPartitionsDefinition(name="suites")
encoders = dg.DynamicPartitionsDefinition(name="encoders")
tasks = dg.StaticPartitionsDefinition(list(TASKS))
# two dimensions at most; a key's parts stand in the alphabetical order of the dimensions
suite_titles = dg.MultiPartitionsDefinition({"suite": suites, "title": titles})
encoder_titles = dg.MultiPartitionsDefinition({"encoder": encoders, "title": titles})
encoder_tasks = dg.MultiPartitionsDefinition({"encoder": encoders, "task": tasks})

with warnings.catch_warnings():
    # the mappings between dimensions are marked beta; tests/upstream pins what we use of them
    warnings.simplefilter("ignore", dg.BetaWarning)
    title_of_suite_title = dg.MultiToSingleDimensionPartitionMapping("title")
    encoder_of_encoder_title = dg.MultiToSingleDimensionPartitionMapping("encoder")
    task_of_encoder_task = dg.MultiToSingleDimensionPartitionMapping("task")
    same_encoder = dg.MultiPartitionMapping(
        {"encoder": dg.DimensionPartitionMapping("encoder", dg.IdentityPartitionMapping())}
    )
    same_title = dg.MultiPartitionMapping(
        {"title": dg.DimensionPartitionMapping("title", dg.IdentityPartitionMapping())}
    )
every_partition = dg.AllPartitionMapping()


def sync(instance: dg.DagsterInstance, home: Home) -> None:
    """Make the partition keys those of the catalogue: add what is new, remove what is gone."""
    # in this order: a key is added after its declaration, so one that is seen here and not declared below is gone
    present = {name: set(instance.get_dynamic_partitions(name)) for name in ("titles", "suites", "encoders")}
    state = read_state(home, ())  # a key needs no more of a title than its name
    wanted = {
        "titles": [title for title in home.ledger.declared("title") if title not in state.withdrawn],
        "suites": [suite.id for suite in state.suites],
        "encoders": [encoder.name for encoder in state.encoders],
    }
    for definition, keys in wanted.items():
        if new := [key for key in keys if key not in present[definition]]:
            instance.add_dynamic_partitions(definition, new)
        for gone in present[definition].difference(keys):
            instance.delete_dynamic_partition(definition, gone)
