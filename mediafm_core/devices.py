"""Where models of torch compute: what was wished for, and what this machine has of it.

No part of a fingerprint: a device moves a result in its last digits, as a library's version does. It stands in the
facts of what was made on it.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from mediafm_core.errors import DeviceError

if TYPE_CHECKING:
    import torch

DeviceOf: TypeAlias = "Callable[[], torch.device]"
"""Says where to compute, when it comes to that."""


class Device(StrEnum):
    """What can be wished for."""

    AUTO = "auto"  # a GPU where torch finds one, else the CPU
    CPU = "cpu"
    CUDA = "cuda"


def chosen(wish: Device, n_gpus: int, place: int = 0) -> str:
    """What a wish comes to, as torch calls it.

    Args:
        wish: of whoever runs the process.
        n_gpus: how many torch can use.
        place: of this process among those of this machine that compute together, each on a GPU of its own.

    Raises:
        DeviceError: there is no GPU, or none is left for this place.
    """
    if wish is Device.CPU or (wish is Device.AUTO and n_gpus == 0):
        return "cpu"
    if place >= n_gpus:
        raise DeviceError(
            f"device {wish.value!r}",
            found=f"{n_gpus} GPUs that torch can use",
            expected=f"at least {place + 1}, one for each process",
            next_step="Set MEDIAFM_DEVICE=cpu, take fewer processes, or install a CUDA build of torch and its driver.",
        )
    return f"cuda:{place}"


def device_of(wish: Device, place: int = 0) -> "torch.device":
    """The device of this process; the arguments are those of `chosen`.

    Raises:
        DeviceError: as `chosen`.
    """
    import torch

    return torch.device(chosen(wish, torch.cuda.device_count(), place))


def on_cpu() -> "torch.device":
    """The CPU, whoever asks."""
    return device_of(Device.CPU)


def name_of(device: "torch.device") -> str:
    """What facts say of a device: `cpu`, or the GPU's own name."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
