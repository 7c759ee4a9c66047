"""How wide a head's input can be: at most twice the fused vector, where heads read what the preset `mediafm` keeps."""

import pytest

from mediafm_core.model.config import SIZES, ModelConfig
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.probes.reads import CONTEXTUAL_READS

EMBEDDED, PAPER, NARRATIVE = (1280, 384, 384), (768, 768, 768), (96, 48, 64)


def model(preset: str, size: str, dims: tuple[int, int, int]) -> ModelConfig:
    return PretrainingConfig.from_json(
        preset_config(preset, size=size, modality_dims=dims, metadata_dims=dims[2])
    ).model


def widest(model: ModelConfig) -> int:
    """Numbers that a head may read: each part of a read is one vector, of shots or of the title."""
    return max(len(read.parts) for read in CONTEXTUAL_READS) * model.dims


def test_each_part_that_a_head_of_an_encoder_may_read_is_as_wide_as_one_vector_of_it() -> None:
    parts = {part for read in CONTEXTUAL_READS for part in read.parts}
    assert parts == {"clip", "title vector", "title mean", "12 before", "12 after"}


@pytest.mark.parametrize("dims", [EMBEDDED, PAPER], ids=["embedded", "paper"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preset", ["mediafm", "demo"])
def test_a_head_of_a_real_suite_reads_at_most_twice_the_fused_width(preset, size, dims) -> None:
    made = model(preset, size, dims)
    assert widest(made) <= 2 * made.fused_dims


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preset", ["paper", "plain"])
def test_what_serves_the_projection_keeps_the_fused_width(preset, size) -> None:
    for dims in (EMBEDDED, PAPER, NARRATIVE):
        made = model(preset, size, dims)
        assert made.dims == made.fused_dims


def test_in_narrative_worlds_a_vector_of_size_tiny_is_within_it_and_its_heads_are_not() -> None:
    within = {size: model("mediafm", size, NARRATIVE) for size in SIZES}
    assert {size for size, made in within.items() if made.dims <= 2 * made.fused_dims} == {"tiny"}
    assert widest(within["tiny"]) == 1024 > 2 * within["tiny"].fused_dims == 416
