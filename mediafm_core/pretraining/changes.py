"""Single fields of a configuration, changed by texts such as `trainer.steps=200`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from mediafm_core.errors import TrainingError
from mediafm_core.model.config import ModelConfig
from mediafm_core.pretraining.config import ObjectiveConfig, PretrainingConfig, TrainerConfig

_OF_THE_SUITE = {"video_dims", "audio_dims", "text_dims", "metadata_dims"}

CHANGEABLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        part: tuple(f.name for f in fields(config) if f.name not in _OF_THE_SUITE)
        for part, config in (("model", ModelConfig), ("objective", ObjectiveConfig), ("trainer", TrainerConfig))
    }
)
"""By part, the fields that can be changed: all but the widths, which are the suite's."""


def changed(record: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """A configuration as JSON with fields changed, checked and spelled out.

    Args:
        record: what `PretrainingConfig.to_json` wrote.
        changes: `part.field=value` each, where the value is JSON, or a word; of several for one field the last counts.

    Raises:
        TrainingError: a text is not of this form, there is no such field, or it cannot have this value.
        DimensionError: a field of the model cannot have this value.
    """
    parts = {part: dict(record[part]) for part in CHANGEABLE}
    for change in changes:
        part, field, value = _read(change)
        parts[part][field] = value
    return PretrainingConfig.from_json(parts).to_json()


def differing(record: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """What `changed` makes `record` from `base` by; both are spelled out, with the same widths."""
    return [
        f"{part}.{field}={value if isinstance(value, str) else json.dumps(value)}"
        for part, names in CHANGEABLE.items()
        for field in names
        if (value := record[part][field]) != base[part][field]
    ]


def _read(change: str) -> tuple[str, str, Any]:
    name, sign, text = change.partition("=")
    part, _, field = name.strip().partition(".")
    if not sign or part not in CHANGEABLE:
        raise _refused(change, "no part.field=value", f"one of {', '.join(CHANGEABLE)}, as in trainer.steps=200")
    if field not in CHANGEABLE[part]:
        found = "a width, which is the suite's" if field in _OF_THE_SUITE else f"no field {field!r} of the {part}"
        raise _refused(change, found, f"one of {', '.join(CHANGEABLE[part])}")
    try:
        return part, field, json.loads(text)
    except ValueError:
        return part, field, text.strip()  # a word, such as adamw


def _refused(change: str, found: str, expected: str) -> TrainingError:
    return TrainingError(f"change {change!r}", found=found, expected=expected, next_step="Correct this `--set`.")
