"""Named configurations, as the plain JSON that an encoder's record keeps."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mediafm_core.errors import TrainingError
from mediafm_core.model.config import Positions, base, tiny
from mediafm_core.pretraining.config import Distance, ObjectiveConfig, PretrainingConfig, TrainerConfig

_Make = Callable[[tuple[int, int, int], int], PretrainingConfig]


def _demo(modality_dims: tuple[int, int, int], metadata_dims: int) -> PretrainingConfig:
    """A handful of titles, well under a minute of CPU: shows the mechanics, says nothing of quality."""
    return PretrainingConfig(
        model=tiny(modality_dims, metadata_dims),
        objective=ObjectiveConfig(),
        trainer=TrainerConfig(steps=60, shots_per_step=400, warm_up_steps=10, held_out_share=0.0),
    )


def _plain(modality_dims: tuple[int, int, int], metadata_dims: int) -> PretrainingConfig:
    """The post's positions and objective at the size and length of `demo`: what an upgrade is compared with."""
    demo = _demo(modality_dims, metadata_dims)
    objective = ObjectiveConfig(distance=Distance.FUSED, visible_share=0.0, visible_weight=0.0)
    return replace(demo, model=replace(demo.model, positions=Positions.LEARNED), objective=objective)


def _small(modality_dims: tuple[int, int, int], metadata_dims: int) -> PretrainingConfig:
    """Hundreds of titles, minutes of CPU."""
    return PretrainingConfig(
        model=tiny(modality_dims, metadata_dims), objective=ObjectiveConfig(), trainer=TrainerConfig()
    )


def _paper(modality_dims: tuple[int, int, int], metadata_dims: int) -> PretrainingConfig:
    """The post's objective and positions at the size of BERT-base; sizes and rates are ours, the post has none."""
    return PretrainingConfig(
        model=base(modality_dims, metadata_dims, Positions.LEARNED),
        objective=ObjectiveConfig(distance=Distance.FUSED, visible_share=0.0, visible_weight=0.0),
        trainer=TrainerConfig(steps=100_000, shots_per_step=65_536, warm_up_steps=1_000, adamw_rate=3e-4),
    )


PRESETS: Mapping[str, _Make] = MappingProxyType({"demo": _demo, "plain": _plain, "small": _small, "paper": _paper})
"""Every preset by name."""


def preset_config(name: str, *, modality_dims: tuple[int, int, int], metadata_dims: int) -> dict[str, Any]:
    """A preset for a suite, as JSON; `PretrainingConfig.from_json` reads it.

    Args:
        name: one of `PRESETS`.
        modality_dims: widths of the suite's video, audio and text embeddings.
        metadata_dims: width of the metadata embedding.

    Raises:
        TrainingError: there is no such preset.
    """
    if name not in PRESETS:
        raise TrainingError(
            f"preset {name!r}",
            found="no such preset",
            expected=f"one of {', '.join(PRESETS)}",
            next_step="Choose one of these, or write the configuration out.",
        )
    return PRESETS[name](modality_dims, metadata_dims).to_json()
