"""Weights: pinned bytes or a typed error; nothing foreign runs on the way."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mediafm_core import weights
from mediafm_core.errors import WeightsError
from mediafm_core.weights import converted, installed
from mediafm_core.weights.manifest import INSTALL, PinnedFile, PinnedModel, manifest

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(7)}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PinnedModel:
    """A checkpoint in an installed package that must not be imported."""
    package = tmp_path / "site" / "pinned_fake_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(STATE, package / "w.pth")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return PinnedModel(
        name="fake",
        what="",
        preprocessing="",
        package="pinned-fake-weights",
        version="1.0",
        module="pinned_fake_weights",
        root=".",
        licence="MIT",
        source="",
        files=(PinnedFile("w.pth", hashlib.sha256((package / "w.pth").read_bytes()).hexdigest()),),
        tensors_sha256=converted.digest(STATE),
    )


def checkpoint(model: PinnedModel) -> Path:
    return installed.model_folder(model) / "w.pth"


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_package_is_found_without_running_its_code(model: PinnedModel, tmp_path: Path) -> None:
    assert same(converted.tensors(model, tmp_path / "cache"), STATE)


def test_wrong_bytes_are_refused_before_anything_reads_them(model: PinnedModel, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    checkpoint(model).write_bytes(pickle.dumps(_Trap(trap)))
    with pytest.raises(WeightsError, match="sha256"):
        converted.tensors(model, tmp_path / "cache")
    assert not trap.exists()


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_the_pinned_hash_still_runs_no_code(model: PinnedModel, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    torch.save(_Trap(trap), checkpoint(model))
    pinned = PinnedFile("w.pth", hashlib.sha256(checkpoint(model).read_bytes()).hexdigest())
    with pytest.raises(pickle.UnpicklingError):
        converted.tensors(replace(model, files=(pinned,)), tmp_path / "cache")
    assert not trap.exists()


def test_a_checkpoint_is_converted_once(model: PinnedModel, tmp_path: Path) -> None:
    converted.tensors(model, tmp_path / "cache")
    checkpoint(model).unlink()
    assert same(converted.tensors(model, tmp_path / "cache"), STATE)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_a_damaged_copy_is_never_returned(model: PinnedModel, tmp_path: Path, damage) -> None:
    converted.tensors(model, tmp_path / "cache")
    (copy,) = (tmp_path / "cache").iterdir()
    copy.write_bytes(damage(copy.read_bytes()))
    assert same(converted.tensors(model, tmp_path / "cache"), STATE)
    assert converted.digest(STATE) == converted.digest(converted.tensors(model, tmp_path / "cache"))


def test_conversion_leaves_no_temporary_file(model: PinnedModel, tmp_path: Path) -> None:
    converted.tensors(model, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".safetensors"]


def test_a_missing_package_names_the_command_that_installs_it(model: PinnedModel, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        converted.tensors(replace(model, module="pinned_no_such_package"), tmp_path / "cache")
    assert INSTALL in caught.value.next_step


def test_a_folder_is_verified_against_each_pinned_hash(model: PinnedModel, tmp_path: Path) -> None:
    assert installed.verified_folder(model, tmp_path / "stamps") == installed.model_folder(model)
    with pytest.raises(WeightsError, match="sha256"):
        installed.verified_folder(replace(model, files=(PinnedFile("w.pth", "0" * 64),)), tmp_path / "stamps")
    with pytest.raises(WeightsError, match="no file"):
        installed.verified_folder(replace(model, files=(PinnedFile("gone", "0" * 64),)), tmp_path / "stamps")


def test_a_file_that_changes_after_it_was_verified_is_hashed_again(model: PinnedModel, tmp_path: Path) -> None:
    installed.verified_folder(model, tmp_path / "stamps")
    checkpoint(model).write_bytes(b"another file")
    with pytest.raises(WeightsError, match="sha256"):
        installed.verified_folder(model, tmp_path / "stamps")


def test_a_verified_file_is_not_read_again(model: PinnedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed.verified_folder(model, tmp_path / "stamps")
    monkeypatch.setattr(hashlib, "file_digest", None)
    installed.verified_folder(model, tmp_path / "stamps")


def test_the_identity_of_a_model_is_that_of_its_bytes(model: PinnedModel) -> None:
    other = replace(model, files=(PinnedFile("w.pth", "0" * 64),))
    assert model.sha256 != other.sha256
    assert model.sha256 == replace(model, what="told in other words").sha256


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(WeightsError, match="no such model"):
        weights.sha256("clip")


@pytest.mark.parametrize("name", sorted(manifest()))
def test_each_installed_model_is_the_pinned_one(name: str) -> None:
    if manifest()[name].tensors_sha256:
        assert converted.digest(weights.state(name)) == manifest()[name].tensors_sha256
    else:
        assert all((weights.folder(name) / file.path).is_file() for file in manifest()[name].files)


def test_a_folder_has_no_tensors() -> None:
    with pytest.raises(WeightsError, match="folder"):
        weights.state("all-minilm-l6-v2")
