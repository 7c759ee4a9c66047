"""Where models compute is chosen in one place, and all that they make follows them there."""

from typing import Any

import numpy as np
import pytest
import torch

from mediafm_core.contextual.embedding import embed_title
from mediafm_core.devices import Device, chosen, device_of, name_of, on_cpu
from mediafm_core.errors import DeviceError
from mediafm_core.model.checkpoint import load, save
from mediafm_core.model.config import Missing, Positions, Precision, Reading, Readout
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.baselines.compare import compare
from mediafm_core.pretraining.baselines.gru_training import Watched
from mediafm_core.pretraining.config import Distance, Optimiser, PretrainingConfig, Target
from mediafm_core.pretraining.corpus import Reader, divide
from mediafm_core.pretraining.peers import Peers, backend_on
from mediafm_core.pretraining.trainer import Trained, train
from mediafm_core.probes.ablation.material import untrained
from tests.far_device import FAR, far_device
from tests.trainings import Kept, config, titles

pytestmark = pytest.mark.filterwarnings("ignore:at..frobenius_norm is deprecated")  # torch's own way with a rare device
ALL_LOSSES = {"horizon_weight": 1.0, "metadata_weight": 0.5, "contrast_weight": 0.5, "modality_share": 0.3}
ROTARY = {"stem": (2, 5), "missing": Missing.LEARNED}
LEARNED = {"positions": Positions.LEARNED}
TRAININGS: dict[str, dict[str, Any]] = {
    "all losses, rotary positions, Muon": {"objective": ALL_LOSSES, "model": ROTARY},
    "denoised targets, fused distance, learned positions, AdamW": {
        "objective": {**ALL_LOSSES, "target": Target.DENOISED, "distance": Distance.FUSED},
        "model": LEARNED,
        "optimiser": Optimiser.ADAMW,
    },
    "running mean, best weights, held-out loss": {
        "average_decay": 0.5, "patience": 9, "held_out_share": 0.4, "evaluate_every": 1
    },
}  # fmt: skip


def require_same_losses(found: Trained, expected: Trained) -> None:
    """But for rounding: another device takes other ways through torch."""
    np.testing.assert_allclose(found.train_losses, expected.train_losses, atol=1e-5)
    np.testing.assert_allclose(found.held_out_losses or [], expected.held_out_losses or [], atol=1e-5)


def trained_on(device: torch.device, made: PretrainingConfig, **given: Any) -> Trained:
    return train(titles(), made, seed=1, peers=Peers(device=device), **given)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_follows_its_device_and_is_the_same_there_but_for_rounding(name: str) -> None:
    made = config(steps=2, **TRAININGS[name])
    expected = trained_on(on_cpu(), made)
    with far_device() as device:
        found = trained_on(device, made)
        assert {p.device for p in found.encoder.parameters()} == {FAR}
    require_same_losses(found, expected)


def test_a_training_goes_on_on_another_device_from_the_same_state() -> None:
    made, states = config(steps=3, checkpoint_every=1, model={"dropout": 0.3}), Kept()
    straight = trained_on(on_cpu(), made, states=states)
    with far_device() as device:
        resumed = trained_on(device, made, resume=states[1])
    require_same_losses(resumed, straight)


def test_products_in_bfloat16_are_taken_where_the_encoder_is() -> None:
    with far_device() as device:
        assert trained_on(device, config(steps=1, precision=Precision.BFLOAT16)).encoder.device == FAR


def test_baselines_are_measured_and_trained_where_the_encoder_is() -> None:
    made = config(steps=1, held_out_share=0.4, gru_steps=2, checkpoint_every=1, model={"window": 6})
    reader = Reader(titles(), made.model)
    split = divide(len(reader), 0.4, torch.Generator().manual_seed(1))
    encoder, states = trained_on(on_cpu(), made).encoder, []
    expected = compare(encoder, reader, split, made, 1, Watched(save=states.append)).rows
    with far_device() as device:
        there = load(save(encoder, {}), device).encoder
        found = compare(there, reader, split, made, 1, Watched(resume=states[0])).rows
    assert [row.name for row in found] == [row.name for row in expected]
    np.testing.assert_allclose([row.loss for row in found], [row.loss for row in expected], atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        ROTARY,
        LEARNED,
        {"reading": Reading.WHOLE, "readout": Readout.PROJECTED},
        {"precision": Precision.BFLOAT16},
    ],
)
def test_a_title_is_read_where_the_encoder_is_and_its_vectors_come_back(model: dict[str, Any]) -> None:
    read = titles().read(4)
    encoder = MediaFM.new(config(model=model).model, torch.Generator().manual_seed(0)).eval()
    expected = embed_title(encoder, read.fused, read.metadata)
    with far_device() as device:
        there = load(save(encoder, {}), device).encoder
        found = embed_title(there, read.fused, read.metadata)
        assert untrained(there).device == FAR
    rounding = 1e-5 if there.config.precision is Precision.FLOAT32 else 0.02
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=rounding, rtol=0)


def test_a_tensor_that_is_left_on_the_cpu_is_found() -> None:
    with far_device() as device:
        far = torch.ones(3).to(device)
        assert torch.arange(3, device=far.device).device == FAR
        with pytest.raises(RuntimeError, match="on the CPU"):
            torch.add(far, torch.arange(3))


@pytest.mark.parametrize(
    ("wish", "n_gpus", "place", "expected"),
    [
        (Device.AUTO, 0, 3, "cpu"),
        (Device.AUTO, 2, 1, "cuda:1"),
        (Device.CPU, 2, 0, "cpu"),
        (Device.CUDA, 1, 0, "cuda:0"),
    ],
)
def test_a_gpu_is_taken_where_there_is_one_and_each_process_has_its_own(
    wish: Device, n_gpus: int, place: int, expected: str
) -> None:
    assert chosen(wish, n_gpus, place) == expected


@pytest.mark.parametrize(("wish", "n_gpus", "place"), [(Device.CUDA, 0, 0), (Device.AUTO, 2, 2), (Device.CUDA, 1, 1)])
def test_a_gpu_that_is_not_there_is_an_error_that_says_what_to_do(wish: Device, n_gpus: int, place: int) -> None:
    with pytest.raises(DeviceError, match=f"{n_gpus} GPUs .* at least {place + 1}.*MEDIAFM_DEVICE=cpu"):
        chosen(wish, n_gpus, place)


def test_a_device_has_a_name() -> None:
    assert name_of(on_cpu()) == name_of(device_of(Device.CPU, 3)) == "cpu"


def test_gradients_are_added_up_where_they_are() -> None:
    assert backend_on(on_cpu()) == "gloo"
    assert backend_on(torch.device("cuda", 1)) == "cpu:gloo,cuda:nccl"
