"""Narrative titles as ordinary deliveries: no media, but a shot list, embeddings, a metadata embedding and labels."""

import base64
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.errors import DeliveryError, DimensionError
from mediafm_core.identity import canonical_json
from mediafm_core.narrative.config import N_SEEDS, SHORT, Lengths
from mediafm_core.narrative.labels import TaskLabels
from mediafm_core.narrative.story import Story
from mediafm_core.narrative.titles import NarrativeTitle, draw_length, id_of, title
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
        DeliveryError: a title's folder exists already, which is seen before anything is written; or it cannot be
            written: those before it are whole.
        DimensionError: a seed or length is out of range, no title is asked for, or `longer` has more than `n_titles`;
            nothing is written then.
    """
    _check_counts(n_titles, seed, longer)
    with _writing_to(out, seed):
        _check_free(out, world, range(seed, seed + n_titles))
    for number in range(n_titles):
        n_shots = longer[number] if number < len(longer) else draw_length(world, seed + number, lengths)
        given = title(world, seed + number, n_shots)
        with _writing_to(out, seed + number):
            folder = _write_whole(world, given, out)
        yield folder


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
    temporary = out / f".partial-{given.id}"
    shutil.rmtree(temporary, ignore_errors=True)
    return write_delivery(world, given, temporary).rename(out / given.id)


@contextmanager
def _writing_to(out: Path, seed: int) -> Iterator[None]:
    """What the system says, as an error that tells from which seed to go on."""
    try:
        yield
    except OSError as error:
        raise DeliveryError(
            f"narrative titles for {str(out)!r}",
            found=f"nothing can be written there ({error})",
            expected="a folder with room, or a place for a new one",
            next_step=f"Mend this and go on from seed {seed}, or choose another folder.",
        ) from error


def _check_counts(n_titles: int, seed: int, longer: Sequence[int]) -> None:
    last = seed + n_titles - 1
    if not (n_titles >= 1 and len(longer) <= n_titles and all(n_shots >= 2 for n_shots in longer)):
        raise DimensionError(
            "narrative titles",
            found=f"{n_titles} titles, lengths given: {', '.join(map(str, longer)) or 'none'}",
            expected="at least one title, no more lengths than titles, and at least 2 shots",
            next_step="Ask for more titles, or give fewer or greater lengths.",
        )
    if not 0 <= seed <= last < N_SEEDS:
        raise DimensionError(
            "narrative titles",
            found=f"seeds {seed} to {last}",
            expected=f"seeds from 0 to {N_SEEDS - 1}",
            next_step="Nothing was written. Begin with a smaller seed, or ask for fewer titles.",
        )


def _check_free(out: Path, world: World, seeds: range) -> None:
    """No title is there yet: what is there may be another one of the same name, so it is never passed over."""
    there = [seed for seed in seeds if (out / id_of(world, seed)).exists()]
    if there:
        raise DeliveryError(
            f"delivery {id_of(world, there[0])!r}",
            found=f"in {str(out)!r} already: {len(there)} of the {len(seeds)} titles asked for are there",
            expected="none of them there",
            next_step=f"Nothing was written. For more titles begin with seed {there[-1] + 1}; "
            "else choose another folder, or remove what is there.",
        )


def _taken(folder: Path) -> DeliveryError:
    return DeliveryError(
        f"delivery {folder.name!r}",
        found="something at this path already",
        expected="a free path",
        next_step="Choose another folder or other seeds, or remove what is there.",
    )
