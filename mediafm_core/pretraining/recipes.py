"""What an encoder was asked for: a configuration, told as a preset, a size and what differs from them."""

import shlex
from typing import NamedTuple

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.model.config import SIZES
from mediafm_core.pretraining.changes import changed, differing
from mediafm_core.pretraining.presets import PRESETS, preset_config


class Recipe(NamedTuple):
    """The preset and the size that a configuration is nearest to."""

    preset: str
    size: str
    changes: list[str]  # what it differs by, as `--set` takes it

    @property
    def label(self) -> str:
        """The preset's name; `own` where anything was changed."""
        return "own" if self.changes else self.preset


def recipe_of(spec: EncoderSpec) -> Recipe:
    """By which preset, size and changes an encoder was declared; the fewest changes that make its configuration.

    Raises:
        TrainingError: its configuration cannot be read.
        DimensionError: the model's cannot.
    """
    record = changed(spec.config, ())  # fields that were added since, spelled out
    model = record["model"]
    dims = (model["video_dims"], model["audio_dims"], model["text_dims"])
    widths = {"modality_dims": dims, "metadata_dims": model["metadata_dims"]}
    candidates = [
        Recipe(preset, size, differing(record, preset_config(preset, size=size, **widths)))
        for preset in PRESETS
        for size in SIZES
    ]
    return min(candidates, key=lambda recipe: len(recipe.changes))


def command_of(spec: EncoderSpec) -> str:
    """The command that declares just this encoder, and goes on with its training."""
    recipe = recipe_of(spec)
    given = ["--preset", recipe.preset, "--size", recipe.size, "--seed", str(spec.seed)]
    given += [word for change in recipe.changes for word in ("--set", change)]
    return shlex.join(["mediafm", "encoder", "train", spec.name, *given])
