"""A training in a second: five awkward titles, an encoder of two narrow layers."""

from typing import Any

import numpy as np

from mediafm_core.model.config import ModelConfig
from mediafm_core.model.container import unpack
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import ObjectiveConfig, PretrainingConfig, TrainerConfig
from mediafm_core.pretraining.corpus import InMemory
from mediafm_core.pretraining.state import FORMAT
from mediafm_core.sequence.titles import TitleArrays

DIMS = (8, 6, 4)
LENGTHS = (23, 1, 5, 9, 40)  # the last is longer than the window of 32
_FAST = {"steps": 20, "shots_per_step": 60, "warm_up_steps": 3, "checkpoint_every": 10, "held_out_share": 0.0}


def config(
    *, model: dict[str, Any] | None = None, objective: dict[str, Any] | None = None, **trainer: Any
) -> PretrainingConfig:
    """A tiny configuration, with fields of its parts changed."""
    widths = {"video_dims": 8, "audio_dims": 6, "text_dims": 4, "metadata_dims": 5, "window": 32}
    size = {"hidden": 16, "layers": 2, "heads": 2, "dropout": 0.1}
    return PretrainingConfig(
        model=ModelConfig(**{**widths, **size, **(model or {})}),  # pyright: ignore[reportArgumentType]
        objective=ObjectiveConfig(**(objective or {})),  # pyright: ignore[reportArgumentType]
        trainer=TrainerConfig(**{**_FAST, **trainer}),  # pyright: ignore[reportArgumentType]
    )


def title(i: int, n_shots: int, rng: np.random.Generator) -> TitleArrays:
    """One title of noise, two fifths of it without text; the third has no metadata."""
    fused = rng.normal(size=(n_shots, sum(DIMS))).astype(np.float32)
    fused[rng.random(n_shots) < 0.4, DIMS[0] + DIMS[1] :] = 0.0
    return TitleArrays(f"title-{i}", fused, None if i == 2 else rng.normal(size=5).astype(np.float32))


def titles() -> InMemory:
    """A corpus of five titles, one of them a single shot."""
    rng = np.random.default_rng(0)
    return InMemory([title(i, n, rng) for i, n in enumerate(LENGTHS)])


def differing(a: MediaFM, b: MediaFM) -> list[str]:
    """Names of the weights in which two encoders differ by a bit or more."""
    others = b.state_dict()
    return [name for name, tensor in a.state_dict().items() if not tensor.equal(others[name])]


class Kept(list[bytes]):
    """All states that a training kept, in order; one that it fell back to stands at the end once more."""

    good: bytes | None = None

    @property
    def good_step(self) -> int | None:
        return None if self.good is None else step_of(self.good)

    def save(self, state: bytes) -> None:
        self.append(state)

    def set_aside(self) -> None:
        self.good = self[-1]

    def fall_back(self) -> None:
        assert self.good is not None
        self.append(self.good)


def step_of(state: bytes) -> int:
    """Steps done in a state."""
    return int(unpack(state, "a state", FORMAT).manifest["step"])
