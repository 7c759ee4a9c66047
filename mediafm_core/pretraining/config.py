"""How an encoder is trained, as checked values that turn into JSON and back. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self, TypeVar

from mediafm_core import paper
from mediafm_core.errors import TrainingError
from mediafm_core.model.config import ModelConfig


class Distance(StrEnum):
    """What 'cosine distance' is taken over."""

    FUSED = "fused"  # the post's: one cosine over the whole vector
    MODALITY = "modality"  # ours: the mean of one cosine for each modality that the shot has, so none drowns another


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What the encoder is asked to predict.

    Raises:
        TrainingError: a share outside its range, or a negative weight.
    """

    mask_share: float = paper.MASK_SHARE  # of a piece's shots that are hidden; at least one
    distance: Distance = Distance.MODALITY
    visible_share: float = 0.20  # of the shots left visible that are also predicted; 0 is the post's objective
    visible_weight: float = 1.0  # of that second loss beside the first

    def __post_init__(self) -> None:
        _require(0.0 < self.mask_share < 1.0, "mask_share", self.mask_share, "a share in (0, 1)")
        _require(0.0 <= self.visible_share <= 1.0, "visible_share", self.visible_share, "a share in [0, 1]")
        _require(self.visible_weight >= 0.0, "visible_weight", self.visible_weight, "0 or more")
        _require(self.distance in tuple(Distance), "distance", self.distance, f"one of {', '.join(Distance)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """How long and how fast.

    Raises:
        TrainingError: a number that no training can have.
    """

    steps: int = 2_000
    shots_per_step: int = 2_048  # pieces are drawn until they hold as many; the last may exceed it
    min_crop_share: float = 1.0  # a piece is a random run of its title's shots, at least this share long; 1 is all
    muon_rate: float = 0.01  # learning rate of the Transformer blocks' matrices
    adamw_rate: float = 3e-3  # learning rate of all else
    weight_decay: float = 0.01  # of both
    warm_up_steps: int = 40  # rates rise linearly, then fall linearly to 0 at the last step
    clip: float = 1.0  # largest norm of the gradient
    max_padded_shots: int = 4_096  # of one forward pass: bounds memory, not what is learnt
    held_out_share: float = 0.05  # of the titles, never trained on, whose loss is reported; 0 holds none out
    evaluate_every: int = 100  # steps between two held-out losses
    checkpoint_every: int = 200  # steps between two saved states

    def __post_init__(self) -> None:
        whole = ("steps", "shots_per_step", "max_padded_shots", "evaluate_every", "checkpoint_every")
        for name in whole:
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("muon_rate", "adamw_rate", "clip"):
            _require(getattr(self, name) > 0.0, name, getattr(self, name), "more than 0")
        for name in ("weight_decay", "warm_up_steps"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require(0.0 < self.min_crop_share <= 1.0, "min_crop_share", self.min_crop_share, "a share in (0, 1]")
        _require(0.0 <= self.held_out_share < 1.0, "held_out_share", self.held_out_share, "a share in [0, 1)")

    def rate_factor(self, step: int) -> float:
        """What the learning rates are multiplied by at `step`, counted from 0."""
        rising = (step + 1) / (self.warm_up_steps + 1)
        falling = (self.steps - step) / max(1, self.steps - self.warm_up_steps)
        return max(0.0, min(1.0, rising, falling))


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingConfig:
    """All that an encoder's weights depend on, beside its corpus and its seed."""

    model: ModelConfig
    objective: ObjectiveConfig
    trainer: TrainerConfig

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, all fields spelled out."""
        objective = {**asdict(self.objective), "distance": str(self.objective.distance)}
        return {"model": self.model.to_json(), "objective": objective, "trainer": asdict(self.trainer)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            TrainingError: a field of the objective or the trainer is unknown, missing or impossible.
            DimensionError: one of the model's is.
        """
        _require(set(record) == {"model", "objective", "trainer"}, "parts", sorted(record), "model, objective, trainer")
        objective = _read(ObjectiveConfig, record["objective"])
        return cls(
            model=ModelConfig.from_json(record["model"]),
            objective=objective,
            trainer=_read(TrainerConfig, record["trainer"]),
        )


_Config = TypeVar("_Config", ObjectiveConfig, TrainerConfig)


def _read(kind: type[_Config], record: Mapping[str, Any]) -> _Config:
    known = {f.name for f in fields(kind)}
    _require(set(record) == known, "fields", sorted(record), f"exactly {sorted(known)}")
    if kind is ObjectiveConfig:
        _require(record["distance"] in tuple(Distance), "distance", record["distance"], f"one of {', '.join(Distance)}")
        return kind(**{**record, "distance": Distance(record["distance"])})
    return kind(**record)


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise TrainingError(
            f"pre-training configuration, {name}",
            found=repr(found),
            expected=expected,
            next_step="Correct the configuration.",
        )
