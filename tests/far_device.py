"""A device that every machine has: its tensors say that they are elsewhere, and refuse to meet those of the CPU.

They are held and computed on the CPU, so results are the CPU's but for rounding. What would fail on a GPU because a
tensor was made or left on the CPU fails here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

FAR = torch.device("ipu:0")  # a name that torch knows, has no code for here, and does not look for hardware at

_MAY_MEET = {"aten::_to_copy", "aten::copy_", "aten::_pack_padded_sequence", "aten::_pad_packed_sequence"}
"""Operators that take tensors of two devices on a GPU too: copies, and packing."""


class _Far(torch.Tensor):
    """A tensor on `FAR`."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]
    device = property(lambda _: FAR)  # pyright: ignore[reportAssignmentType]
    is_meta = False  # though torch's core takes it for meta, and so leaves its memory alone

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "_Far":
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, held.size(), device=torch.device("meta"), **layout)

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, op: Any, *_: object) -> Any:
        raise RuntimeError(f"{op} on a far tensor, outside `far_device`")


class _FarMode(TorchDispatchMode):
    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs, given = op._schema.name, kwargs or {}, []
        _each((args, kwargs), given.append)
        far = {id(x.held): x for x in given if isinstance(x, _Far)}
        if far and name not in _MAY_MEET and any(not isinstance(x, _Far) and x.ndim > 0 for x in given):
            raise RuntimeError(f"{op}: tensors on {FAR} and on the CPU")  # only a lone number may meet any tensor
        goes_far = isinstance(given[0], _Far) if given else False
        if device := kwargs.get("device"):
            goes_far, kwargs = device.type in (FAR.type, "meta"), {**kwargs, "device": torch.device("cpu")}
        args, kwargs = _each((args, kwargs), lambda x: x.held if isinstance(x, _Far) else x)
        made = op(*args, **kwargs)
        if not goes_far:
            return made
        with torch.inference_mode(False):  # a view of a tensor from outside inference mode is none of its
            placed = _each(made, lambda x: far[id(x)] if id(x) in far else _Far(x))
        return (placed[0], made[1]) if name == "aten::_pack_padded_sequence" else placed  # its lengths stay here


def _each(x: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Arguments or results of an operator, with its tensors changed."""
    if isinstance(x, torch.Tensor):
        return change(x)
    if isinstance(x, dict):
        return {name: _each(value, change) for name, value in x.items()}
    return type(x)(_each(value, change) for value in x) if isinstance(x, list | tuple) else x


@contextmanager
def far_device() -> Iterator[torch.device]:
    """The device, while it is there."""
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a moved parameter is another object
    try:
        with _FarMode(), torch.autograd.set_multithreading_enabled(False):  # no thread waits for this device's work
            yield FAR
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
