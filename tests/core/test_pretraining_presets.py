"""What the presets are, field by field; and a configuration that differs from them says by what."""

from typing import Any

import pytest

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.errors import DimensionError, TrainingError
from mediafm_core.pretraining.changes import changed, differing
from mediafm_core.pretraining.presets import PRESETS, preset_config
from mediafm_core.pretraining.recipes import command_of, recipe_of

ALIKE = {
    "model.video_dims": 8, "model.audio_dims": 6, "model.text_dims": 4, "model.metadata_dims": 5,
    "model.mlp_ratio": 4, "model.window": 512, "model.stride_share": 0.75, "model.reading": "windows",
    "model.precision": "float32", "model.missing": "zero",
    "objective.mask_share": 0.2, "objective.masking": "shots", "objective.span_shots": 6, "objective.target": "shot",
    "objective.modality_weight": 1.0, "objective.horizons": [4, 12, 40], "objective.metadata_weight": 0.0,
    "objective.metadata_share": 0.5, "objective.contrast_weight": 0.0, "objective.temperature": 0.1,
    "trainer.min_crop_share": 1.0, "trainer.optimiser": "muon",
    "trainer.weight_decay": 0.01, "trainer.clip": 1.0, "trainer.precision": "float32", "trainer.average_decay": 0.0,
    "trainer.max_padded_shots": 4_096, "trainer.held_out_share": 0.05, "trainer.evaluate_every": 100,
    "trainer.checkpoint_every": 200, "trainer.gru_steps": 500,
}  # fmt: skip
"""What `paper` and `mediafm` have in common, in each size."""

OF_PRESET = {
    "paper": {
        "model.positions": "learned", "model.readout": "projected", "model.stem": [],
        "objective.distance": "fused", "objective.visible_share": 0.0, "objective.visible_weight": 0.0,
        "objective.modality_share": 0.0, "objective.horizon_weight": 0.0,
    },
    "mediafm": {
        "model.positions": "rotary", "model.readout": "hidden", "model.stem": [4, 12, 40],
        "objective.distance": "modality", "objective.visible_share": 0.2, "objective.visible_weight": 1.0,
        "objective.modality_share": 0.15, "objective.horizon_weight": 1.0,
    },
}  # fmt: skip

OF_SIZE = {
    "tiny": {
        "model.hidden": 256, "model.layers": 4, "model.heads": 4, "model.dropout": 0.0,
        "trainer.steps": 600, "trainer.shots_per_step": 2_048, "trainer.muon_rate": 0.03,
        "trainer.adamw_rate": 9e-3, "trainer.warm_up_steps": 40, "trainer.patience": 2,
    },
    "base": {
        "model.hidden": 768, "model.layers": 12, "model.heads": 12, "model.dropout": 0.1,
        "trainer.steps": 100_000, "trainer.shots_per_step": 65_536, "trainer.muon_rate": 0.01,
        "trainer.adamw_rate": 3e-4, "trainer.warm_up_steps": 1_000, "trainer.patience": 0,
    },
    "large": {
        "model.hidden": 1_024, "model.layers": 24, "model.heads": 16, "model.dropout": 0.1,
        "trainer.steps": 200_000, "trainer.shots_per_step": 131_072, "trainer.muon_rate": 0.01,
        "trainer.adamw_rate": 2e-4, "trainer.warm_up_steps": 2_000, "trainer.patience": 0,
    },
}  # fmt: skip


def made(preset: str, size: str = "tiny", *changes: str) -> dict[str, Any]:
    return preset_config(preset, modality_dims=(8, 6, 4), metadata_dims=5, size=size, changes=changes)


def spec(config: dict[str, Any]) -> EncoderSpec:
    return EncoderSpec(name="v1", suite="s", corpus=(), config=config, seed=7)


@pytest.mark.parametrize("preset", OF_PRESET)
@pytest.mark.parametrize("size", OF_SIZE)
def test_a_preset_is_what_it_is_field_by_field(preset: str, size: str) -> None:
    flat = {f"{part}.{field}": value for part, of in made(preset, size).items() for field, value in of.items()}
    assert flat == {**ALIKE, **OF_PRESET[preset], **OF_SIZE[size]}


def test_a_change_moves_its_field_alone_and_the_last_of_two_counts() -> None:
    given = made("mediafm", "tiny", "trainer.steps=1", "trainer.steps=200", "model.stem=[4]", "trainer.optimiser=adamw")
    assert differing(given, made("mediafm")) == ["model.stem=[4]", "trainer.steps=200", "trainer.optimiser=adamw"]
    assert changed(made("mediafm"), differing(given, made("mediafm"))) == given


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("steps=200", TrainingError, r"one of model, objective, trainer, as in trainer\.steps=200"),
        ("trainer.steps", TrainingError, r"no part\.field=value"),
        ("speed.steps=1", TrainingError, "one of model, objective, trainer"),
        ("trainer.stpes=200", TrainingError, r"no field 'stpes' of the trainer; expected one of steps, "),
        ("model.video_dims=3", TrainingError, "a width, which is the suite's"),
        ("trainer.steps=0", TrainingError, "steps: 0; expected at least 1"),
        ("trainer.steps=many", TrainingError, "steps: 'many'; expected a whole number"),
        ("trainer.steps=1.5", TrainingError, r"steps: 1\.5; expected a whole number"),
        ("trainer.steps=true", TrainingError, "steps: True; expected a whole number"),
        ("trainer.clip=NaN", TrainingError, "clip: nan; expected a finite number"),
        ("trainer.optimiser=sgd", TrainingError, "one of muon, adamw"),
        ("objective.horizons=4", TrainingError, "a list of whole numbers"),
        ("model.stem=[0]", DimensionError, "numbers of shots, each at least 1"),
        ("model.positions=none", DimensionError, "one of learned, rotary"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_name(change: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as told:
        made("mediafm", "tiny", change)
    assert "--set" in str(told.value)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", OF_SIZE)
def test_an_encoder_is_known_by_its_preset_and_size(preset: str, size: str) -> None:
    assert recipe_of(spec(made(preset, size))) == (preset, size, [])
    own = recipe_of(spec(made(preset, size, "trainer.clip=2.0")))
    assert own == (preset, size, ["trainer.clip=2.0"])
    assert own.label == "own"


def test_an_older_record_is_known_by_the_fields_that_it_has() -> None:
    older = made("paper")
    del older["model"]["stem"], older["trainer"]["patience"]
    assert recipe_of(spec(older)).changes == ["trainer.patience=0"]


def test_the_command_that_goes_on_with_an_encoder_says_all_that_it_was_declared_by() -> None:
    said = command_of(spec(made("paper", "base", "model.stem=[4, 12]")))
    assert said == "mediafm encoder train v1 --preset paper --size base --seed 7 --set 'model.stem=[4, 12]'"
