"""Named configurations, as the plain JSON that an encoder's record keeps."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from mediafm_core.errors import TrainingError
from mediafm_core.model.config import ModelConfig, Positions, Readout, sized
from mediafm_core.pretraining.changes import changed
from mediafm_core.pretraining.config import Distance, ObjectiveConfig, PretrainingConfig, TrainerConfig

_Make = Callable[..., ModelConfig]
"""A model from its options; size and widths are given already."""

_LENGTHS: Mapping[str, TrainerConfig] = MappingProxyType(
    {
        "tiny": TrainerConfig(steps=600, muon_rate=0.03, adamw_rate=9e-3, patience=2, gru_steps=500),
        "base": TrainerConfig(
            steps=100_000, shots_per_step=65_536, warm_up_steps=1_000, adamw_rate=3e-4, gru_steps=500
        ),
        "large": TrainerConfig(
            steps=200_000, shots_per_step=131_072, warm_up_steps=2_000, adamw_rate=2e-4, gru_steps=500
        ),
    }
)
"""How long an encoder of each size is trained. Of `base` and `large` nothing was ever trained here to the end."""

_DEMO = TrainerConfig(steps=60, shots_per_step=400, warm_up_steps=10, held_out_share=0.0)
"""A handful of titles, well under a minute of CPU: shows the mechanics, says nothing of quality."""


_REACHES = (4, 12, 40)
"""How far the stem looks, in shots: a few shots, about a scene, about a sequence of scenes."""


def _paper(model: _Make, trainer: TrainerConfig) -> PretrainingConfig:
    """The post's objective and positions; sizes and rates are ours, the post has none."""
    objective = ObjectiveConfig(distance=Distance.FUSED, visible_share=0.0, visible_weight=0.0)
    made = model(positions=Positions.LEARNED, readout=Readout.PROJECTED)
    return PretrainingConfig(model=made, objective=objective, trainer=trainer)


def _mediafm(model: _Make, trainer: TrainerConfig) -> PretrainingConfig:
    """Ours, where measurement showed a better choice: docs/experiments.md."""
    objective = ObjectiveConfig(horizon_weight=1.0, modality_share=0.15)
    return PretrainingConfig(model=model(stem=_REACHES), objective=objective, trainer=trainer)


def _demo(model: _Make, _: TrainerConfig) -> PretrainingConfig:
    """Ours without the stem and what it is asked for: in a minute, on a handful of titles, they only blur the shots."""
    return PretrainingConfig(model=model(), objective=ObjectiveConfig(), trainer=_DEMO)


def _plain(model: _Make, _: TrainerConfig) -> PretrainingConfig:
    """What an upgrade to `demo` is compared with."""
    return _paper(model, _DEMO)


PRESETS: Mapping[str, Callable[[_Make, TrainerConfig], PretrainingConfig]] = MappingProxyType(
    {"mediafm": _mediafm, "paper": _paper, "demo": _demo, "plain": _plain}
)
"""Every preset by name. `demo` and `plain` are for seconds on a handful of titles."""


def preset_config(
    name: str,
    *,
    modality_dims: tuple[int, int, int],
    metadata_dims: int,
    size: str = "tiny",
    changes: Iterable[str] = (),
) -> dict[str, Any]:
    """A preset for a suite, as JSON; `PretrainingConfig.from_json` reads it.

    Args:
        name: one of `PRESETS`.
        modality_dims: widths of the suite's video, audio and text embeddings.
        metadata_dims: width of the metadata embedding.
        size: one of the model's `SIZES`.
        changes: of single fields, as `changed` takes them.

    Raises:
        TrainingError: there is no such preset, or a field cannot be changed so.
        DimensionError: there is no such size, or a field of the model cannot be changed so.
    """
    if name not in PRESETS:
        raise TrainingError(
            f"preset {name!r}",
            found="no such preset",
            expected=f"one of {', '.join(PRESETS)}",
            next_step="Choose one of these, and change single fields of it by `--set part.field=value`.",
        )

    def model(**options: Any) -> ModelConfig:
        return sized(size, modality_dims, metadata_dims, **options)

    return changed(PRESETS[name](model, _LENGTHS.get(size, _DEMO)).to_json(), changes)
