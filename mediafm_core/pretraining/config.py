"""How an encoder is trained, as checked values that turn into JSON and back. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self

from mediafm_core import paper
from mediafm_core.errors import TrainingError
from mediafm_core.model.config import ModelConfig, Precision
from mediafm_core.model.records import from_record, to_record


class Distance(StrEnum):
    """What 'cosine distance' is taken over."""

    FUSED = "fused"  # the post's: one cosine over the whole vector
    MODALITY = "modality"  # ours: the mean of one cosine for each modality that the shot has, so none drowns another


class Masking(StrEnum):
    """Which shots are hidden."""

    SHOTS = "shots"  # the post's: each by itself, at random
    SPANS = "spans"  # runs of `span_shots`
    SCENES = "scenes"  # runs between two changes of scene, as far as the shots themselves tell


class Target(StrEnum):
    """What a masked shot is predicted to be."""

    SHOT = "shot"  # the post's: itself
    DENOISED = "denoised"  # the mean of itself and of the near shots that resemble it


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What the encoder is asked to predict. Every weight is of a loss beside Masked Shot Modeling; 0 switches it off.

    Raises:
        TrainingError: a share outside its range, or a negative weight.
    """

    mask_share: float = paper.MASK_SHARE  # of a piece's shots that are hidden; at least one
    masking: Masking = Masking.SHOTS
    span_shots: int = 6  # length of a run, where runs are hidden
    distance: Distance = Distance.MODALITY
    target: Target = Target.SHOT
    visible_share: float = 0.20  # of the shots left visible that are also predicted; 0 is the post's objective
    visible_weight: float = 1.0
    modality_share: float = 0.0  # chance of each modality of a visible shot to be hidden alone, and predicted
    modality_weight: float = 1.0
    horizon_weight: float = 0.0  # of predicting, from a shot, the means of the masked shots before and after it
    horizons: tuple[int, ...] = (4, 12, 40)  # how many shots before and after those means reach
    metadata_weight: float = 0.0  # of predicting the metadata embedding from [CLS], where it is hidden
    metadata_share: float = 0.5  # of the pieces whose metadata embedding is hidden, if it is to be predicted
    contrast_weight: float = 0.0  # of telling a masked shot from its title's other masked shots (InfoNCE)
    temperature: float = 0.1  # of that

    def __post_init__(self) -> None:
        for name in ("mask_share", "metadata_share"):
            _require(0.0 < getattr(self, name) < 1.0, name, getattr(self, name), "a share in (0, 1)")
        _require(0.0 <= self.visible_share <= 1.0, "visible_share", self.visible_share, "a share in [0, 1]")
        _require(0.0 <= self.modality_share < 1.0, "modality_share", self.modality_share, "a share in [0, 1)")
        weights = [f.name for f in fields(self) if f.name.endswith("_weight")]
        for name in weights:
            _require(getattr(self, name) >= 0.0, name, getattr(self, name), "0 or more")
        _require(self.span_shots >= 1, "span_shots", self.span_shots, "at least 1")
        _require(self.temperature > 0.0, "temperature", self.temperature, "more than 0")
        sound = len(self.horizons) > 0 and all(k >= 1 for k in self.horizons)
        _require(sound, "horizons", self.horizons, "numbers of shots, each at least 1")

    @property
    def msm_alone(self) -> Self:
        """The same masks and distance and nothing else asked, hidden or denoised: losses by it can be compared."""
        weights = {f.name: 0.0 for f in fields(self) if f.name.endswith("_weight")}
        return replace(self, **weights, modality_share=0.0, target=Target.SHOT)


class Optimiser(StrEnum):
    """What moves the blocks' matrices; all else is moved by AdamW."""

    MUON = "muon"  # the post's
    ADAMW = "adamw"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """How long and how fast.

    Raises:
        TrainingError: a number that no training can have.
    """

    steps: int = 2_000
    shots_per_step: int = 2_048  # pieces are drawn until they hold as many; the last may exceed it
    min_crop_share: float = 1.0  # a piece is a random run of its title's shots, at least this share long; 1 is all
    optimiser: Optimiser = Optimiser.MUON
    muon_rate: float = 0.01  # learning rate of the Transformer blocks' matrices, if Muon moves them
    adamw_rate: float = 3e-3  # learning rate of all that AdamW moves
    weight_decay: float = 0.01  # of both
    warm_up_steps: int = 40  # rates rise linearly, then fall linearly to 0 at the last step
    clip: float = 1.0  # largest norm of the gradient
    precision: Precision = Precision.FLOAT32  # of forward and backward passes
    average_decay: float = 0.0  # the encoder kept is the running mean of the weights with this decay; 0 keeps the last
    max_padded_shots: int = 4_096  # of one forward pass; a step gathers the gradients of several
    held_out_share: float = 0.05  # of the titles, never trained on, whose loss is reported; 0 holds none out
    evaluate_every: int = 100  # steps between two held-out losses
    patience: int = 0  # stop after so many held-out losses that are no lower than the lowest, and keep that; 0 goes on
    checkpoint_every: int = 200  # steps between two saved states
    gru_steps: int = 0  # of training the bidirectional GRU that is one of the baselines; 0 does without

    def __post_init__(self) -> None:
        whole = ("steps", "shots_per_step", "max_padded_shots", "evaluate_every", "checkpoint_every")
        for name in whole:
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("muon_rate", "adamw_rate", "clip"):
            _require(getattr(self, name) > 0.0, name, getattr(self, name), "more than 0")
        for name in ("weight_decay", "warm_up_steps", "patience", "gru_steps"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require(0.0 < self.min_crop_share <= 1.0, "min_crop_share", self.min_crop_share, "a share in (0, 1]")
        for name in ("held_out_share", "average_decay"):
            _require(0.0 <= getattr(self, name) < 1.0, name, getattr(self, name), "a share in [0, 1)")
        is_judged = self.patience == 0 or self.held_out_share > 0
        _require(is_judged, "patience", self.patience, "0, where no title is held out")

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
        return to_record(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, in this version or an earlier one.

        Raises:
            TrainingError: a field of the objective or the trainer is unknown, missing or impossible.
            DimensionError: one of the model's is.
        """
        _require(set(record) == {"model", "objective", "trainer"}, "parts", sorted(record), "model, objective, trainer")
        return cls(
            model=ModelConfig.from_json(record["model"]),
            objective=from_record(ObjectiveConfig, record["objective"], _require),
            trainer=from_record(TrainerConfig, record["trainer"], _require),
        )


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise TrainingError(
            f"pre-training configuration, {name}",
            found=repr(found),
            expected=expected,
            next_step="Give it another value, as by `--set trainer.steps=200` of `mediafm encoder train`.",
        )
