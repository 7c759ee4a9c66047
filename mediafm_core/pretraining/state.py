"""A training that can go on where it was killed: every number that the next step depends on. Never a pickle."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from mediafm_core.errors import ArtifactError, TrainingError
from mediafm_core.model.container import Contents, manifest_at, pack, unpack
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.optimisers import Optimisers

FORMAT = 3


@dataclass(slots=True, kw_only=True)
class TrainState:
    """A training between two steps. The same in all processes that train together, however many they are."""

    identity: dict[str, Any]  # configuration, seed and corpus, as JSON: a state goes on only where they are the same
    encoder: MediaFM
    heads: ObjectiveHeads  # parameters that only training needs
    optimisers: Optimisers
    generator: torch.Generator  # decides order, crops, masks and dropout
    average: MediaFM | None = None  # the running mean of the weights, where one is kept
    best: MediaFM | None = None  # as it was at the lowest held-out loss, where that is kept
    step: int = 0  # steps done
    pending: list[int] = field(default_factory=list)  # titles left in this round
    train_losses: list[float] = field(default_factory=list)  # of each step done
    held_out_losses: list[tuple[int, float]] = field(default_factory=list)  # (steps done, loss)

    @property
    def judged(self) -> MediaFM:
        """What the held-out loss is measured on: the running mean of the weights, or the weights themselves."""
        return self.average or self.encoder

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"encoder": self.encoder, "heads": self.heads, "average": self.average, "best": self.best}
        return {name: module for name, module in modules.items() if module is not None}

    def tensors(self) -> dict[str, Tensor]:
        """All numbers that are not in the manifest, by name."""
        tensors = {
            f"{name}.{key}": tensor
            for name, module in self._modules().items()
            for key, tensor in module.state_dict().items()
        }
        for name, optimiser in self.optimisers.named():
            tensors |= flat(name, optimiser)
        losses = torch.tensor(self.train_losses, dtype=torch.float64)
        return tensors | {"generator": self.generator.get_state(), "train_losses": losses}

    def to_bytes(self) -> bytes:
        """All of it, as safetensors with a JSON manifest."""
        manifest = {
            "format": FORMAT,
            "identity": self.identity,
            "step": self.step,
            "pending": self.pending,
            "held_out_losses": self.held_out_losses,
        }
        return pack(self.tensors(), manifest)

    def restore(self, data: bytes) -> None:
        """Become the state that `to_bytes` wrote.

        Raises:
            ArtifactError: the bytes are damaged.
            TrainingError: they are of another training, or of another version of MediaFM.
        """
        tensors, manifest = read_state(data, "training state", FORMAT)
        if manifest["identity"] != self.identity:
            refuse(manifest["identity"], self.identity)
        for name, module in self._modules().items():
            module.load_state_dict(under(name, tensors))
        for name, optimiser in self.optimisers.named():
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": nested(under(name, tensors)), "param_groups": groups})
        self.generator.set_state(tensors["generator"])
        self.train_losses = tensors["train_losses"].tolist()
        self.step, self.pending = manifest["step"], manifest["pending"]
        self.held_out_losses = [(step, loss) for step, loss in manifest["held_out_losses"]]


def step_of(path: Path) -> int:
    """Steps done in a saved state, read without its tensors.

    Raises:
        ArtifactError: the file is damaged, or of another version of MediaFM.
    """
    with _of_a_work_file():
        return manifest_at(path, f"training state {path.name}", FORMAT)["step"]


def read_state(data: bytes, what: str, format_version: int) -> Contents:
    """As `unpack`, but the advice is that of a work file."""
    with _of_a_work_file():
        return unpack(data, what, format_version)


@contextmanager
def _of_a_work_file() -> Iterator[None]:
    try:
        yield
    except ArtifactError as error:
        raise ArtifactError(
            error.culprit,
            found=error.found,
            expected=error.expected,
            next_step="Start this training afresh: delete the saved state, which is a work file and nothing else.",
        ) from error


def flat(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's tensors, by `name.parameter.key`."""
    state = optimiser.state_dict()["state"]
    return {f"{name}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def nested(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """What `flat` made, without its prefix, as the optimiser takes it."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    return state


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose name begins with `prefix.`, without it."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def refuse(found: dict[str, Any], expected: dict[str, Any]) -> NoReturn:
    """Say in what two trainings differ.

    Raises:
        TrainingError: always.
    """
    differing = [name for name in expected if found.get(name) != expected[name]]
    raise TrainingError(
        "training state",
        found=f"another {' and '.join(differing)}",
        expected="the state of this training",
        next_step="Start this training afresh, or go on with the configuration, seed and corpus that it began with.",
    )
