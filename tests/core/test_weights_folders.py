"""Models as folders: what is read is hashed, code and pickles are refused; what is fetched is checked, and once."""

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mediafm_core.errors import WeightsError
from mediafm_core.weights.folders import check_folder, read_folder
from mediafm_core.weights.hub import HubModel, download, fetch, hub_models
from mediafm_core.weights.locked import lock_of
from mediafm_core.weights.manifest import PinnedFile
from tests.hub_server import serve_hub

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3)}
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "model")


def written(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (folder / "preprocessor_config.json").write_text("{}")
    save_file(STATE, folder / "model.safetensors")
    return folder


def test_the_identity_of_a_folder_is_what_is_read_of_it_and_not_where_it_lies(model: Path, tmp_path: Path) -> None:
    here, there = read_folder(model, tmp_path / "stamps"), read_folder(written(tmp_path / "b"), tmp_path / "stamps")
    assert here.sha256 == there.sha256
    (model / "README.md").write_text("words")
    (model / "pytorch_model.bin").write_bytes(b"never read")
    assert read_folder(model, tmp_path / "stamps").sha256 == here.sha256


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_every_file_that_is_read_is_part_of_the_identity(model: Path, tmp_path: Path, name: str) -> None:
    before = read_folder(model, tmp_path / "stamps")
    data = (model / name).read_bytes()
    others = {"config.json": data.replace(b"clip", b"clap"), "preprocessor_config.json": b"{ }"}
    (model / name).write_bytes(others.get(name, data[:-1] + bytes([data[-1] ^ 1])))
    changed = read_folder(model, tmp_path / "stamps")
    assert changed.sha256 != before.sha256
    with pytest.raises(WeightsError, match=before.sha256):
        check_folder(changed, before.sha256, "clip")


def test_a_file_is_hashed_once_while_it_stays(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_folder(model, tmp_path / "stamps")
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert read_folder(model, tmp_path / "stamps") == before


# Several files

PARTS = {
    "one.safetensors": {"a.weight": torch.zeros(2), "a.bias": torch.ones(3)},
    "two.safetensors": {"b.weight": STATE["layer.weight"]},
}


def in_parts(model: Path, parts: dict[str, dict[str, torch.Tensor]] = PARTS, weight_map: Any = None) -> Path:
    """Lay a model's weights into files with an index, which says what is in them unless it is given."""
    (model / "model.safetensors").unlink()
    for name, state in parts.items():
        save_file(state, model / name)
    said = weight_map or {tensor: name for name, state in parts.items() for tensor in state}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": said}))
    return model


def test_shards_are_read_by_their_index_and_all_of_them_are_part_of_the_identity(model: Path, tmp_path: Path) -> None:
    before = read_folder(in_parts(model), tmp_path / "stamps")
    names = ["config.json", "model.safetensors.index.json", "one.safetensors", "preprocessor_config.json"]
    assert [file.path for file in before.files] == [*names, "two.safetensors"]
    assert {name: before.shape(name) for name in before.state()} == {
        "a.weight": (2,),
        "a.bias": (3,),
        "b.weight": (2, 3),
    }
    assert before.shape("c") is None
    save_file({"b.weight": torch.zeros(2, 3)}, model / "two.safetensors")
    assert read_folder(model, tmp_path / "stamps").sha256 != before.sha256


def test_of_a_part_of_a_model_nothing_else_is_read(model: Path, tmp_path: Path) -> None:
    folder = read_folder(in_parts(model), tmp_path / "stamps")
    (model / "one.safetensors").unlink()
    ((name, tensor),) = folder.state("b").items()
    assert (name, tensor.tolist()) == ("weight", STATE["layer.weight"].tolist())


@pytest.mark.parametrize("shard", ["../secret.safetensors", "gone.safetensors", "weights.bin"])
def test_an_index_names_safetensors_beside_it_and_nothing_else(model: Path, tmp_path: Path, shard: str) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="an index that names"):
        read_folder(in_parts(model, weight_map={"layer.weight": shard}), tmp_path / "stamps")


def test_a_tensor_that_the_index_names_and_its_file_lacks_is_an_error(model: Path, tmp_path: Path) -> None:
    in_parts(model, weight_map={"a.weight": "one.safetensors", "b.weight": "one.safetensors"})
    with pytest.raises(WeightsError, match=r"no tensor 'b\.weight' in one\.safetensors"):
        read_folder(model, tmp_path / "stamps")


def test_a_tensor_in_two_files_or_twice_in_the_index_is_an_error(model: Path, tmp_path: Path) -> None:
    twice = {**PARTS, "two.safetensors": {"a.bias": torch.ones(3), "b.weight": torch.ones(1)}}
    with pytest.raises(WeightsError, match=r"'a\.bias' in one\.safetensors and in two"):
        read_folder(in_parts(model, twice), tmp_path / "stamps")
    (model / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}}'
    )
    with pytest.raises(WeightsError, match="'a' stands in it twice"):
        read_folder(model, tmp_path / "stamps")


def test_one_file_beside_shards_is_an_error_for_they_may_differ(model: Path, tmp_path: Path) -> None:
    save_file(STATE, in_parts(model) / "model.safetensors")
    with pytest.raises(WeightsError, match="one of them"):
        read_folder(model, tmp_path / "stamps")


@pytest.mark.parametrize("said", ["{}", '{"weight_map": {}}', '{"weight_map": ["one.safetensors"]}'])
def test_an_index_that_says_nothing_is_an_error(model: Path, tmp_path: Path, said: str) -> None:
    (in_parts(model) / "model.safetensors.index.json").write_text(said)
    with pytest.raises(WeightsError, match="without a weight_map"):
        read_folder(model, tmp_path / "stamps")


def test_a_file_that_was_copied_in_part_is_an_error(model: Path, tmp_path: Path) -> None:
    data = (in_parts(model) / "two.safetensors").read_bytes()
    (model / "two.safetensors").write_bytes(data[:-1])
    with pytest.raises(WeightsError, match=r"two\.safetensors that cannot be read"):
        read_folder(model, tmp_path / "stamps")


def test_a_model_with_code_of_its_own_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "config.json").write_text(json.dumps({"model_type": "clip", "auto_map": {"AutoModel": "m.Model"}}))
    with pytest.raises(WeightsError, match="code of its own"):
        read_folder(model, tmp_path / "stamps")


@pytest.mark.parametrize("kept", [(), ("pytorch_model.bin",)])
def test_a_folder_without_safetensors_is_refused(model: Path, tmp_path: Path, kept: tuple[str, ...]) -> None:
    (model / "model.safetensors").unlink()
    for name in kept:
        (model / name).write_bytes(b"pickle")
    with pytest.raises(WeightsError, match="pickle alone" if kept else "no model.safetensors"):
        read_folder(model, tmp_path / "stamps")


def test_what_is_no_folder_of_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"config\.json that cannot be read"):
        read_folder(tmp_path / "nothing", tmp_path / "stamps")
    (written(tmp_path / "half") / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json that cannot be read"):
        read_folder(tmp_path / "half", tmp_path / "stamps")


# Fetching


def hub_model(folder: Path, **changed) -> HubModel:
    files = tuple(PinnedFile(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in sorted(folder.iterdir()))
    model = HubModel(name="m", modality="video", repository="org/m", revision=REVISION, licence="MIT", files=files)
    return replace(model, **changed)


class Copying:
    """Downloads by copying, and counts."""

    def __init__(self, source: Path) -> None:
        self.source, self.n_calls = source, 0

    def __call__(self, model: HubModel, names: tuple[str, ...], folder: Path) -> None:
        self.n_calls += 1
        folder.mkdir()
        for path in self.source.iterdir():
            if any(path.match(name) for name in names):
                (folder / path.name).write_bytes(path.read_bytes())


def test_a_model_is_fetched_once_and_says_where_it_is_from(model: Path, tmp_path: Path) -> None:
    get, pinned = Copying(model), hub_model(model)
    folder = fetch(pinned, tmp_path / "cache", get=get)
    assert fetch(pinned, tmp_path / "cache", get=get) == folder
    assert get.n_calls == 1
    found = read_folder(folder, tmp_path / "stamps")
    assert found.sha256 == read_folder(model, tmp_path / "stamps").sha256
    assert found.source == {"repository": "org/m", "revision": REVISION, "licence": "MIT"}


def test_bytes_that_are_not_the_pinned_ones_are_not_kept(model: Path, tmp_path: Path) -> None:
    pinned = hub_model(model)
    (model / "model.safetensors").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"model\.safetensors.*sha256"):
        fetch(pinned, tmp_path / "cache", get=Copying(model))
    assert not pinned.folder(tmp_path / "cache").exists()
    assert not list((tmp_path / "cache" / "hub").iterdir())


def test_a_fetched_file_that_was_changed_is_found_at_the_next_fetch(model: Path, tmp_path: Path) -> None:
    pinned = hub_model(model)
    folder = fetch(pinned, tmp_path / "cache", get=Copying(model))
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(WeightsError, match="sha256"):
        fetch(pinned, tmp_path / "cache", get=Copying(model))


def test_what_nobody_pinned_is_held_to_how_it_arrived_first(model: Path, tmp_path: Path) -> None:
    cache, unpinned = tmp_path / "cache", hub_model(model, files=())
    folder = fetch(unpinned, cache, get=Copying(model))
    assert fetch(unpinned, cache, get=Copying(model)) == folder
    shutil.rmtree(folder)
    save_file({"layer.weight": STATE["layer.weight"] + 1}, model / "model.safetensors")  # the hub serves other bytes
    with pytest.raises(WeightsError, match=r"'model\.safetensors' of org--m-.*sha256"):
        fetch(unpinned, cache, get=Copying(model))
    assert not folder.exists()
    lock_of(folder).unlink()
    assert fetch(unpinned, cache, get=Copying(model)) == folder


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_a_file_of_a_fetched_folder_that_changes_is_found_though_nobody_pinned_it(
    model: Path, tmp_path: Path, change: str
) -> None:
    unpinned = hub_model(model, files=())
    folder = fetch(unpinned, tmp_path / "cache", get=Copying(model))
    match change:
        case "changed":
            (folder / "config.json").write_text("{}")
        case "added":
            (folder / "tokenizer.json").write_text("{}")
        case _:
            (folder / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"as when it was fetched first|no such file|sha256"):
        fetch(unpinned, tmp_path / "cache", get=Copying(model))


def test_a_folder_that_was_fetched_before_hashes_were_kept_is_held_to_what_is_there(
    model: Path, tmp_path: Path
) -> None:
    unpinned = hub_model(model, files=())
    folder = fetch(unpinned, tmp_path / "cache", get=Copying(model))
    lock_of(folder).unlink()
    fetch(unpinned, tmp_path / "cache", get=Copying(model))
    (folder / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="sha256"):
        fetch(unpinned, tmp_path / "cache", get=Copying(model))


def test_a_pinned_checkpoint_becomes_safetensors_and_is_not_kept(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    torch.save(STATE, model / "pytorch_model.bin")
    pinned = hub_model(model)
    folder = fetch(pinned, tmp_path / "cache", get=Copying(model))
    assert torch.equal(load_file(folder / "model.safetensors")["layer.weight"], STATE["layer.weight"])
    assert not (folder / "pytorch_model.bin").exists()
    assert fetch(pinned, tmp_path / "cache", get=Copying(model)) == folder


def test_a_checkpoint_that_would_run_code_does_not(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    trap = tmp_path / "ran"
    torch.save(_Trap(trap), model / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError):
        fetch(hub_model(model), tmp_path / "cache", get=Copying(model))
    assert not trap.exists()


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_nobody_pinned_is_not_even_downloaded(model: Path, tmp_path: Path) -> None:
    torch.save(STATE, model / "pytorch_model.bin")
    folder = fetch(hub_model(model, files=()), tmp_path / "cache", get=Copying(model))
    assert sorted(p.name for p in folder.iterdir()) == [
        *("config.json", "model.safetensors", "preprocessor_config.json", "source.json")
    ]


def test_a_model_without_safetensors_is_told_how_its_checkpoint_is_taken(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    torch.save(STATE, model / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"no safetensors.*--sha256 pytorch_model\.bin=HEX"):
        fetch(hub_model(model, files=()), tmp_path / "cache", get=Copying(model))
    assert not list((tmp_path / "cache" / "hub").iterdir())


def test_a_checkpoint_whose_hash_a_person_gives_is_taken_by_it_and_by_no_other(model: Path, tmp_path: Path) -> None:
    save_file({"layer.weight": STATE["layer.weight"] + 1}, model / "model.safetensors")  # others: it is not taken
    torch.save(STATE, model / "pytorch_model.bin")
    checkpoint = next(file for file in hub_model(model).files if file.path == "pytorch_model.bin")
    given = hub_model(model, files=(), hashes=(checkpoint,))
    wrong = replace(given, hashes=(checkpoint._replace(sha256="0" * 64),))
    with pytest.raises(WeightsError, match="0" * 64):
        fetch(wrong, tmp_path / "cache", get=Copying(model))
    folder = fetch(given, tmp_path / "cache", get=Copying(model))
    assert torch.equal(load_file(folder / "model.safetensors")["layer.weight"], STATE["layer.weight"])
    assert fetch(given, tmp_path / "cache", get=Copying(model)) == folder
    with pytest.raises(WeightsError, match="0" * 64):
        fetch(wrong, tmp_path / "cache", get=Copying(model))


def test_safetensors_that_a_hash_was_given_for_are_not_replaced_by_a_checkpoint(model: Path, tmp_path: Path) -> None:
    save_file({"layer.weight": STATE["layer.weight"] + 1}, model / "model.safetensors")
    torch.save(STATE, model / "pytorch_model.bin")
    given = tuple(
        PinnedFile(name, hashlib.sha256((model / name).read_bytes()).hexdigest())
        for name in ("model.safetensors", "pytorch_model.bin")
    )
    folder = fetch(hub_model(model, files=(), hashes=given), tmp_path / "cache", get=Copying(model))
    assert torch.equal(load_file(folder / "model.safetensors")["layer.weight"], STATE["layer.weight"] + 1)
    assert not (folder / "pytorch_model.bin").exists()
    assert fetch(hub_model(model, files=(), hashes=given), tmp_path / "cache", get=Copying(model)) == folder


def test_of_what_a_person_gives_a_hash_that_file_is_held_to_it(model: Path, tmp_path: Path) -> None:
    wrong = hub_model(model, files=(), hashes=(PinnedFile("config.json", "0" * 64),))
    with pytest.raises(WeightsError, match=r"config\.json"):
        fetch(wrong, tmp_path / "cache", get=Copying(model))


def test_of_a_model_in_several_files_all_are_fetched_and_its_tokenizer(model: Path, tmp_path: Path) -> None:
    (in_parts(model) / "tokenizer.json").write_text("{}")
    folder = fetch(hub_model(model, files=()), tmp_path / "cache", get=Copying(model))
    here = read_folder(model, tmp_path / "stamps", ("tokenizer.json",))
    assert read_folder(folder, tmp_path / "stamps", ("tokenizer.json",)).sha256 == here.sha256


@pytest.mark.parametrize("revision", ["main", "v1", REVISION[:12]])
def test_a_branch_or_tag_is_no_revision(model: Path, revision: str) -> None:
    with pytest.raises(WeightsError, match="a commit"):
        hub_model(model, revision=revision)


def test_every_pinned_model_has_a_commit_a_licence_and_a_hash_for_each_file() -> None:
    for model in hub_models().values():
        assert len(model.revision) == 40
        assert model.licence in {"MIT", "Apache-2.0"}
        assert {len(file.sha256) for file in model.files} == {64}


def test_files_come_from_a_hub_and_what_is_not_asked_for_stays_there(model: Path, tmp_path: Path) -> None:
    (model / "README.md").write_text("words")
    pinned = hub_model(model, files=())
    with serve_hub(pinned, model) as endpoint:
        download(pinned, ("*.json", "*.safetensors"), tmp_path / "got", endpoint=endpoint)
    got = sorted(path.name for path in (tmp_path / "got").iterdir() if path.is_file())
    assert got == ["config.json", "model.safetensors", "preprocessor_config.json"]


def test_a_hub_without_the_repository_is_a_typed_error(model: Path, tmp_path: Path) -> None:
    pinned = hub_model(model)
    with serve_hub(pinned, model) as endpoint, pytest.raises(WeightsError, match="org/other"):
        download(replace(pinned, repository="org/other"), ("*.json",), tmp_path / "got", endpoint=endpoint)


@pytest.mark.slow  # the client tries again for half a minute
def test_no_network_is_a_typed_error(model: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="from the hub"):
        download(hub_model(model), ("*.json",), tmp_path / "got", endpoint="http://127.0.0.1:9")
