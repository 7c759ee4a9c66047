"""Embeddings made elsewhere come in three forms: the same numbers are the same embeddings, each checked alike."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from mediafm_core.catalogue.suite import Modality
from mediafm_core.catalogue.title import Part
from mediafm_core.delivered import METADATA_KEY, SUITE_KEY, Embeddings, read_embeddings
from mediafm_core.delivered_forms import FORMS, read_form
from mediafm_core.encoders.stage import make_metadata
from mediafm_core.errors import DeliveryError
from mediafm_core.execution import carry_out
from mediafm_core.fusion import make_fused
from mediafm_core.ingest.taking import examine, take
from mediafm_core.narrative.config import WorldConfig
from mediafm_core.narrative.delivery import write_delivery
from mediafm_core.narrative.titles import title
from mediafm_core.narrative.world import World
from mediafm_core.planning.desired import desired
from mediafm_core.shots.stage import make_shots
from mediafm_core.stock import read_state
from mediafm_core.workbench import LogReporter, Stage
from tests.fakes import Fakes, make_home, pairs

WORLD = World.of(WorldConfig(seed=3, video_dims=6, audio_dims=3, text_dims=4, n_tones=5))

Arrays = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A delivery of 12 shots, in Parquet."""
    return write_delivery(WORLD, title(WORLD, 7, 12), tmp_path / "night-train")


def given(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """What a delivery in Parquet says: the suite's record, and its arrays."""
    found = read_embeddings(folder / "embeddings.parquet")
    entries = pq.read_schema(folder / "embeddings.parquet").metadata
    times = np.array([[span.start_s, span.end_s] for span in found.spans])
    arrays = {m.value: found.vectors[m].astype(np.float16) for m in Modality}
    metadata = np.frombuffer(base64.b64decode(entries[METADATA_KEY]), "<f2")
    return json.loads(entries[SUITE_KEY]), {
        **arrays,
        "metadata": metadata,
        "start_s": times[:, 0],
        "end_s": times[:, 1],
    }


def as_safetensors(folder: Path, record: dict[str, Any], arrays: Arrays) -> None:
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, folder / "embeddings.safetensors", {"mediafm.suite": json.dumps(record)})


def as_plain(folder: Path, record: dict[str, Any], arrays: Arrays) -> None:
    (folder / "embeddings.json").write_text(json.dumps(record))
    np.save(folder / "embeddings.shots.npy", np.stack([arrays["start_s"], arrays["end_s"]], axis=1))
    for name in (*Modality, "metadata"):
        np.save(folder / f"embeddings.{name}.npy", arrays[name])


WRITE: dict[str, Callable[[Path, dict[str, Any], Arrays], None]] = {"safetensors": as_safetensors, "npy": as_plain}


def rewritten(folder: Path, form: str, change: Callable[[dict[str, Any], Arrays], None] = lambda _r, _a: None) -> Path:
    """The delivery in another form, after a change."""
    record, arrays = given(folder)
    change(record, arrays)
    (folder / "embeddings.parquet").unlink()
    WRITE[form](folder, record, arrays)
    return folder


def read(folder: Path) -> Embeddings:
    return read_form({path.name: path for path in folder.glob("embeddings.*")})


@pytest.mark.parametrize("form", WRITE)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_every_form_of_the_same_numbers_is_the_same_delivery(folder: Path, form: str, dtype: type) -> None:
    parquet, taken = read(folder), examine(folder).title.suite
    wide = lambda _, arrays: arrays.update({n: arrays[n].astype(dtype) for n in (*Modality, "metadata")})  # noqa: E731
    found = read(rewritten(folder, form, wide))
    assert (found.suite, found.spans) == (parquet.suite, parquet.spans)
    np.testing.assert_array_equal(found.metadata, parquet.metadata)
    for modality in Modality:
        np.testing.assert_array_equal(found.vectors[modality], parquet.vectors[modality])
    title_found = examine(folder).title
    assert title_found.suite == taken
    assert {file.name for file in title_found.part_files(Part.EMBEDDINGS)} in FORMS


def put(**changed: Any) -> Callable[[dict[str, Any], Arrays], None]:
    """Change arrays: each by a function of what it was."""
    return lambda _, arrays: arrays.update({name: change(arrays[name]) for name, change in changed.items()})


WRONG: dict[str, tuple[Callable[[dict[str, Any], Arrays], None], str]] = {
    "width": (put(audio=lambda a: a[:, :2]), "widths"),
    "width of metadata": (put(metadata=lambda a: a[:3]), "widths"),
    "rows": (put(video=lambda a: a[:-1]), "rows"),
    "no shot": (put(**dict.fromkeys((*Modality, "start_s", "end_s"), lambda a: a[:0])), "rows"),
    "NaN": (put(text=lambda a: a * np.float16("nan")), "NaN"),
    "too large": (put(video=lambda a: np.full(a.shape, 1e6, np.float32)), "infinity"),
    "dtype": (put(video=lambda a: a.astype(np.int64)), "int64"),
    "axes": (put(video=lambda a: a[:, :, None]), "not float16 or float32 in 2 axes"),
    "times in float32": (put(start_s=lambda a: a.astype("f4"), end_s=lambda a: a.astype("f4")), "float32"),
    "a shot that ends before it starts": (put(end_s=lambda a: -a), "SpanError"),
    "order of shots": (put(start_s=lambda a: a[::-1], end_s=lambda a: a[::-1]), "other shots"),
    "suite": (lambda record, _: record["video"].pop("sha256"), "KeyError"),
    "alias": (lambda record, _: record.update(alias="No Name"), "IdentityError"),
}


@pytest.mark.parametrize("form", WRITE)
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_delivery_is_refused_in_every_form(folder: Path, form: str, case: str) -> None:
    change, message = WRONG[case]
    with pytest.raises(DeliveryError, match=message):
        examine(rewritten(folder, form, change))


def test_two_forms_at_once_and_half_a_form_are_refused(folder: Path) -> None:
    record, arrays = given(folder)
    as_safetensors(folder, record, arrays)
    with pytest.raises(DeliveryError, match="one form, whole"):
        examine(folder)
    (folder / "embeddings.safetensors").unlink()
    rewritten(folder, "npy")
    (folder / "embeddings.text.npy").unlink()
    with pytest.raises(DeliveryError, match="one form, whole"):
        examine(folder)


@pytest.mark.parametrize("data", [b"", b"no file of this kind", b"PK\x05\x06" + b"\0" * 18])
@pytest.mark.parametrize("name", ["embeddings.safetensors", "embeddings.video.npy", "embeddings.json"])
def test_a_file_that_cannot_be_read_is_refused(folder: Path, name: str, data: bytes) -> None:
    rewritten(folder, "safetensors" if name.endswith("safetensors") else "npy")
    (folder / name).write_bytes(data)
    with pytest.raises(DeliveryError, match="expected a suite, and the arrays"):
        examine(folder)


def test_a_pickle_in_an_array_is_not_opened(folder: Path) -> None:
    rewritten(folder, "npy")
    np.save(folder / "embeddings.video.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(DeliveryError, match="ValueError"):
        examine(folder)


@pytest.mark.parametrize("form", WRITE)
def test_every_form_enters_at_fused(folder: Path, form: str, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", [])
    take(home, examine(rewritten(folder, form)))
    real = {"shots": make_shots, "fused_embeddings": make_fused, "metadata_embedding": make_metadata}
    wanted = [pair for pair in pairs(desired(read_state(home)).steps()) if pair[0] in real]
    stages = {**Fakes().stages, **{kind: Stage(make) for kind, make in real.items()}}
    outcomes = {o.key.kind: o for o in carry_out(home, wanted, stages, LogReporter())}
    assert [o.error for o in outcomes.values()] == ["", "", ""]
    assert outcomes["fused_embeddings"].facts["n_shots"] == 12
    assert outcomes["fused_embeddings"].facts["dims"] == 13
    assert outcomes["metadata_embedding"].facts["source"] == "delivered"
    home.ledger.close()
