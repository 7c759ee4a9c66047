"""A training that can go on where it was killed: every number that the next step depends on. Never a pickle."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mediafm_core.errors import TrainingError
from mediafm_core.model.container import pack, unpack
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.optimisers import Optimisers

FORMAT = 1
_GENERATOR = "generator"


@dataclass(slots=True, kw_only=True)
class TrainState:
    """A training between two steps."""

    identity: dict[str, Any]  # configuration, seed and corpus, as JSON: a state goes on only where they are the same
    encoder: MediaFM
    optimisers: Optimisers
    generator: torch.Generator  # decides order, crops, masks and dropout
    step: int = 0  # steps done
    pending: list[int] = field(default_factory=list)  # titles left in this round
    train_losses: list[float] = field(default_factory=list)  # of each step done
    held_out_losses: list[tuple[int, float]] = field(default_factory=list)  # (steps done, loss)

    def to_bytes(self) -> bytes:
        """All of it, as safetensors with a JSON manifest."""
        tensors = {f"encoder.{name}": tensor for name, tensor in self.encoder.state_dict().items()}
        for name, optimiser in self.optimisers._asdict().items():
            tensors |= _flat(name, optimiser)
        manifest = {
            "format": FORMAT,
            "identity": self.identity,
            "step": self.step,
            "pending": self.pending,
            "train_losses": self.train_losses,
            "held_out_losses": self.held_out_losses,
        }
        return pack(tensors | {_GENERATOR: self.generator.get_state()}, manifest)

    def restore(self, data: bytes) -> None:
        """Become the state that `to_bytes` wrote.

        Raises:
            ArtifactError: the bytes are damaged or of another format.
            TrainingError: they are of another training.
        """
        tensors, manifest = unpack(data, "training state", FORMAT)
        if manifest["identity"] != self.identity:
            _refuse(manifest["identity"], self.identity)
        self.encoder.load_state_dict(_under("encoder", tensors))
        for name, optimiser in self.optimisers._asdict().items():
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": _nested(_under(name, tensors)), "param_groups": groups})
        self.generator.set_state(tensors[_GENERATOR])
        self.step, self.pending = manifest["step"], manifest["pending"]
        self.train_losses = manifest["train_losses"]
        self.held_out_losses = [(step, loss) for step, loss in manifest["held_out_losses"]]


def _flat(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{name}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def _nested(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    return state


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _refuse(found: dict[str, Any], expected: dict[str, Any]) -> None:
    differing = [name for name in expected if found.get(name) != expected[name]]
    raise TrainingError(
        "training state",
        found=f"another {' and '.join(differing)}",
        expected="the state of this training",
        next_step="Start this training afresh, or go on with the configuration, seed and corpus that it began with.",
    )
