"""Several processes that train one encoder: each draws the whole step, computes its share, and all add up.

What is drawn never depends on how many they are; see docs/adr/0013.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mediafm_core.errors import TrainingError

_TIMEOUT_S = 45.0  # how long a process waits for another one; a process that dies is noticed at once
_CPU = torch.device("cpu")
_BUCKET = 2**24  # numbers that are added up in one message

_T = TypeVar("_T")


def _only_own(value: Any) -> list[Any]:
    return [value]


def _is_the_sum(_: Tensor) -> None:
    """What one process has is the sum already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """This process among those that train together; by default it is the only one, on the CPU.

    Both calls end with a TrainingError where another process is gone.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = _CPU  # where this one computes
    add_up: Callable[[Tensor], None] = _is_the_sum  # replaces a tensor by its sum over the processes, the same in all
    gather: Callable[[Any], list[Any]] = _only_own  # every process's value, by rank

    @property
    def is_first(self) -> bool:
        """Whether this is the process that saves and reports."""
        return self.rank == 0

    def require_same(self, what: str, value: object) -> None:
        """Check that every process has an equal value.

        Raises:
            TrainingError: they have not.
        """
        if any(other != value for other in self.gather(value)):
            raise TrainingError(
                f"pre-training, process {self.rank} of {self.size}",
                found=f"another {what} than in another process",
                expected="the same corpus, configuration, seed and saved state in all",
                next_step="Start all processes from one saved state, or all without.",
            )


@contextmanager
def join(
    *,
    init_method: str = "env://",
    rank: int = -1,
    size: int = -1,
    device: torch.device = _CPU,
    timeout_s: float = _TIMEOUT_S,
) -> Iterator[Peers]:
    """Meet the other processes, and part from them at the end.

    Args:
        init_method: where they meet, as torch.distributed has it; `env://`, under torchrun, also says who is who.
        rank: of this process; -1 if `init_method` says it.
        size: how many they are; -1 likewise.
        device: where this process computes, each GPU for one process. Gradients are added up where they are: by gloo on
            CPUs, by nccl on GPUs, which was never tried here. All else is told through gloo.
        timeout_s: how long to wait for another process before it counts as gone. Longer than the longest question and
            than the writing of a saved state take.

    Raises:
        TrainingError: they do not all come, or one of them is lost later.
    """
    given = {"rank": rank, "world_size": size, "timeout": timedelta(seconds=timeout_s)}
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _or_lost(lambda: dist.init_process_group(backend_on(device), init_method=init_method, **given))
    try:
        yield Peers(rank=dist.get_rank(), size=dist.get_world_size(), device=device, add_up=_add_up, gather=_gather)
    finally:
        dist.destroy_process_group()


def backend_on(device: torch.device) -> str:
    """What processes that compute on such devices talk through, as torch.distributed has it."""
    return "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"


def _add_up(tensor: Tensor) -> None:
    _or_lost(lambda: dist.all_reduce(tensor))


def _gather(value: Any) -> list[Any]:
    values: list[Any] = [None] * dist.get_world_size()
    _or_lost(lambda: dist.all_gather_object(values, value))
    return values


def _or_lost(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except RuntimeError as error:  # what torch.distributed raises when a connection breaks or a time is up
        raise TrainingError(
            "pre-training in several processes",
            found=f"another process is gone ({str(error).splitlines()[0]})",
            expected="all of them to the end",
            next_step="Read that process's log, then start again: training goes on from the last saved state.",
        ) from error


def shares(costs: Sequence[int], n: int) -> list[list[int]]:
    """Share out work evenly: the costliest first, each to whom has least so far.

    Returns:
        `n` ascending lists of indices into `costs`, each index once.
    """
    loads = [0] * n
    taken: list[list[int]] = [[] for _ in range(n)]
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        least = loads.index(min(loads))
        taken[least].append(i)
        loads[least] += costs[i]
    return [sorted(indices) for indices in taken]


def add_up_gradients(parameters: Sequence[nn.Parameter], peers: Peers) -> None:
    """Replace every parameter's gradient by its sum over the processes; a parameter without one has zeros."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    if peers.size == 1:
        return
    for bucket in _buckets(parameters):
        gradients = [p.grad for p in bucket if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        peers.add_up(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        if bucket and sum(p.numel() for p in bucket) + parameter.numel() > _BUCKET:
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket
