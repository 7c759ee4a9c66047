"""Narrative titles as ordinary deliveries: no media, but a shot list, embeddings, a metadata embedding and labels."""

import base64
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.errors import DeliveryError, DimensionError
from mediafm_core.identity import canonical_json
from mediafm_core.narrative.config import SHORT, Lengths
from mediafm_core.narrative.labels import TaskLabels
from mediafm_core.narrative.story import Story
from mediafm_core.narrative.titles import NarrativeTitle, draw_length, title
from mediafm_core.narrative.world import World
from mediafm_core.store.vectors import vector_column, with_metadata

SUITE_KEY = "mediafm.suite"
"""Entry of embeddings.parquet: a JSON object with the suite's alias, and name, dims and sha256 of each modality."""

METADATA_KEY = "mediafm.metadata"
"""Entry of embeddings.parquet: base64 of the metadata embedding, little-endian fp16 as wide as the text's."""

_LABEL_COLUMNS = pa.schema(
    [
        ("task", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("rank", pa.float64()),
    ]
)


def write_delivery(world: World, given: NarrativeTitle, folder: Path) -> Path:
    """Write one title's delivery into a new folder, `_COMPLETE` last; returns the folder.

    Raises:
        DeliveryError: there is something at this path already.
    """
    if folder.exists():
        raise _taken(folder)
    folder.mkdir(parents=True)
    _write(shots_table(given.story), folder / "shots.parquet")
    _write(embeddings_table(world, given), folder / "embeddings.parquet")
    _write(labels_table(given), folder / "labels.parquet")
    (folder / "title.json").write_text(_title_json(given), encoding="utf-8")
    (folder / "_COMPLETE").touch()
    return folder


def generate(
    out: Path, *, n_titles: int, seed: int, world: World, lengths: Lengths = SHORT, longer: Sequence[int] = ()
) -> Iterator[Path]:
    """Write titles of the seeds `seed`, `seed + 1`, ..., each whole or not at all, and yield each folder.

    A title is named by its seed, so two calls whose seeds overlap name the same titles. Nothing is overwritten.

    Args:
        out: where the deliveries go.
        n_titles: how many.
        seed: of the first title.
        world: whose titles they are.
        lengths: how many shots titles have.
        longer: numbers of shots for the first titles, one each, in place of drawn ones.

    Raises:
        DeliveryError: a title's folder exists already.
        DimensionError: a seed or length is out of range, no title is asked for, or `longer` has more than `n_titles`.
    """
    _check_counts(n_titles, len(longer))
    out.mkdir(parents=True, exist_ok=True)
    for number in range(n_titles):
        n_shots = longer[number] if number < len(longer) else draw_length(world, seed + number, lengths)
        yield _write_whole(world, title(world, seed + number, n_shots), out)


def shots_table(story: Story) -> pa.Table:
    """`start_s`, `end_s`: the shot list, without gaps from 0 to the title's end."""
    return pa.table({"start_s": story.starts_s, "end_s": story.ends_s})


def embeddings_table(world: World, given: NarrativeTitle) -> pa.Table:
    """The shots' times and one fp16 vector column for each modality, with the suite and the metadata embedding."""
    columns = {modality.value: vector_column(given.vectors[modality]) for modality in Modality}
    metadata_bytes = given.metadata_vector.astype("<f2").tobytes()
    entries = {SUITE_KEY: canonical_json(_suite_record(world)).encode(), METADATA_KEY: base64.b64encode(metadata_bytes)}
    times = {"start_s": given.story.starts_s, "end_s": given.story.ends_s}
    return with_metadata(pa.table({**times, **columns}), entries)


def labels_table(given: NarrativeTitle) -> pa.Table:
    """One row per task and clip; an empty list is a clip without a label, `rank` is null unless the task ranks."""
    return pa.concat_tables([_task_table(said, given.story) for said in given.labels])


def _task_table(said: TaskLabels, story: Story) -> pa.Table:
    n_clips = len(said.clips.first)
    columns = {
        "task": [said.task] * n_clips,
        "start_s": story.starts_s[said.clips.first],
        "end_s": story.ends_s[said.clips.last - 1],
        "labels": said.labels,
        "rank": [None] * n_clips if said.rank is None else said.rank,
    }
    return pa.table(columns, schema=_LABEL_COLUMNS)


def _suite_record(world: World) -> dict[str, object]:
    suite = world.suite
    return {"alias": suite.alias, **{m.value: _spec_record(suite.spec(m)) for m in Modality}}


def _spec_record(spec: UnimodalSpec) -> dict[str, object]:
    return {"name": spec.instrument.name, "dims": spec.dims, "sha256": spec.instrument.weights_sha256}


def _title_json(given: NarrativeTitle) -> str:
    record = {name: value for name, value in asdict(given.metadata).items() if value}
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="none", use_dictionary=False)


def _write_whole(world: World, given: NarrativeTitle, out: Path) -> Path:
    """Under a hidden name first, which no reader of a landing folder takes; then one rename."""
    target, temporary = out / given.id, out / f".partial-{given.id}"
    if target.exists():
        raise _taken(target)
    shutil.rmtree(temporary, ignore_errors=True)
    write_delivery(world, given, temporary)
    return temporary.rename(target)


def _check_counts(n_titles: int, n_longer: int) -> None:
    if n_titles < 1 or n_longer > n_titles:
        raise DimensionError(
            "narrative titles",
            found=f"{n_titles} titles, {n_longer} lengths given",
            expected="at least one title, and no more lengths than titles",
            next_step="Ask for more titles or give fewer lengths.",
        )


def _taken(folder: Path) -> DeliveryError:
    return DeliveryError(
        f"delivery {folder.name!r}",
        found="something at this path already",
        expected="a free path",
        next_step="Choose another folder or other seeds, or remove what is there.",
    )
