"""The environment says where models compute; what it says wrongly is held against no step."""

from functools import partial
from pathlib import Path

import pytest
import torch

from mediafm_assets.carrying import STAGES
from mediafm_assets.resources import DEVICE_VARIABLE, Place, device_from_environment, place_among_processes
from mediafm_core.errors import DeviceError
from mediafm_core.execution import carry_out
from mediafm_core.workbench import LogReporter, Status
from tests.catalogue import LONG
from tests.fakes import Fakes, apply, make_home, pairs, planned

READING = ("mediafm_encoder", "contextual_embeddings", "ablation_report")


def test_the_environment_names_the_device_and_a_gpu_is_taken_where_it_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    assert device_from_environment().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    assert device_from_environment(3) == torch.device("cpu")
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda")
    with pytest.raises(DeviceError, match="at least 1001"):
        device_from_environment(1000)
    monkeypatch.setenv(DEVICE_VARIABLE, "gpu")
    with pytest.raises(DeviceError, match=r"MEDIAFM_DEVICE: 'gpu'; expected one of auto, cpu, cuda"):
        device_from_environment()


def test_every_step_that_an_encoder_computes_asks_the_environment() -> None:
    asking = [STAGES[kind].make for kind in READING] + [STAGES["canaries"].settle]
    assert all(isinstance(each, partial) and each.keywords["device"] is device_from_environment for each in asking)


def test_torchrun_says_which_process_this_is_and_so_which_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert place_among_processes() == Place(rank=5, size=8, on_machine=1)


def test_a_step_whose_device_is_not_there_waits_and_is_not_held_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEVICE_VARIABLE, "gpu")
    home = make_home(tmp_path / "home")
    stages, pair = Fakes().stages, ("contextual_embeddings", f"v1|{LONG.id}")
    for _ in range(4):  # one more than it takes to park a step that fails
        outcomes = carry_out(home, pairs(planned(home).steps), {**stages, pair[0]: STAGES[pair[0]]}, LogReporter())
        (outcome,) = [each for each in outcomes if each.key[:2] == pair]
        assert (outcome.status, "MEDIAFM_DEVICE" in outcome.error) == (Status.BLOCKED, True)
    assert pair in pairs(planned(home).steps)
    assert pair in {each.key[:2] for each in apply(home)}
    home.ledger.close()
