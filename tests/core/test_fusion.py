"""Fusion: unit rows in which no encoder's scale speaks louder than another's."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.catalogue.suite import Instrument, Modality, Suite, UnimodalSpec
from mediafm_core.errors import DimensionError
from mediafm_core.fusion import fuse, presence, split

WIDTHS = {Modality.VIDEO: 5, Modality.AUDIO: 3, Modality.TEXT: 4}


def spec(modality: Modality) -> UnimodalSpec:
    return UnimodalSpec(
        modality=modality, dims=WIDTHS[modality], instrument=Instrument(name="tiny", weights_sha256="0")
    )


SUITE = Suite(alias="tiny", video=spec(Modality.VIDEO), audio=spec(Modality.AUDIO), text=spec(Modality.TEXT))


def shots(n_shots: int = 4, seed: int = 0) -> dict[str, Any]:
    """All that `fuse` takes; every modality present."""
    rng = np.random.default_rng(seed)
    vectors = {m.value: rng.normal(size=(n_shots, width)).astype(np.float32) for m, width in WIDTHS.items()}
    return {**vectors, "suite": SUITE, "has_audio": np.ones(n_shots, bool), "has_text": np.ones(n_shots, bool)}


def without(given: Mapping[str, Any], modality: str, row: int) -> dict[str, Any]:
    mask = given[f"has_{modality}"].copy()
    mask[row] = False
    return {**given, f"has_{modality}": mask}


masks = st.lists(st.booleans(), min_size=4, max_size=4).map(np.array)


@given(seed=st.integers(0, 99), has_audio=masks, has_text=masks)
def test_every_row_is_of_unit_length_and_its_present_blocks_are_equally_long(seed, has_audio, has_text) -> None:
    fused = fuse(**{**shots(seed=seed), "has_audio": has_audio, "has_text": has_text})
    assert fused.dtype == np.float32
    assert fused.shape == (4, 12)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-6)
    lengths = np.stack([np.linalg.norm(block, axis=1) for block in split(fused, SUITE)], axis=1)
    present = np.stack([np.ones(4, bool), has_audio, has_text], axis=1)
    np.testing.assert_allclose(lengths**2, present / present.sum(axis=1, keepdims=True), atol=1e-6)


@given(scale=st.floats(1e-30, 1e30), modality=st.sampled_from(list(Modality)))
def test_the_scale_of_an_encoder_does_not_matter(scale: float, modality: Modality) -> None:
    plain = shots()
    scaled = {**plain, modality.value: (plain[modality.value] * scale).astype(np.float32)}
    np.testing.assert_allclose(fuse(**scaled), fuse(**plain), atol=1e-5)


def test_a_shot_depends_on_itself_alone() -> None:
    all_four = shots()
    second = {key: value if key == "suite" else value[1:2] for key, value in all_four.items()}
    np.testing.assert_array_equal(fuse(**second), fuse(**all_four)[1:2])


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_rows_of_an_absent_modality_are_never_read(modality: str) -> None:
    plain = without(shots(), modality, 2)
    broken = {**plain, modality: plain[modality].copy()}
    broken[modality][2] = np.nan
    np.testing.assert_array_equal(fuse(**broken), fuse(**plain))
    assert not presence(getattr(split(fuse(**plain), SUITE), modality))[2]


def test_without_text_video_and_audio_gain_weight_and_keep_their_direction() -> None:
    full, silent = fuse(**shots()), fuse(**without(shots(), "text", 0))
    np.testing.assert_allclose(silent[0, :8], full[0, :8] * np.sqrt(3 / 2), atol=1e-6)
    np.testing.assert_array_equal(silent[1:], full[1:])


def test_a_shot_without_pictures_is_told_by_its_zeros() -> None:
    dark = shots()
    dark["video"][3] = 0
    assert list(presence(split(fuse(**dark), SUITE).video)) == [True, True, True, False]


def test_blocks_come_back_as_views_in_the_directions_they_went_in() -> None:
    plain = shots()
    fused = fuse(**plain)
    for name, block in split(fused, SUITE)._asdict().items():
        assert np.shares_memory(block, fused)
        cosine = (block * plain[name]).sum(1) / np.linalg.norm(block, axis=1) / np.linalg.norm(plain[name], axis=1)
        np.testing.assert_allclose(cosine, 1, atol=1e-6)


def test_a_title_without_shots_fuses_to_no_rows() -> None:
    assert fuse(**shots(0)).shape == (0, 12)


def test_presence_survives_half_precision() -> None:
    fused = fuse(**without(shots(), "text", 1)).astype(np.float16).astype(np.float32)
    assert list(presence(split(fused, SUITE).text)) == [True, False, True, True]


@pytest.mark.parametrize("modality", list(Modality))
def test_a_wrong_width_is_refused(modality: Modality) -> None:
    wrong = shots()
    with pytest.raises(DimensionError, match=f"{modality} embedding: width {WIDTHS[modality] - 1}"):
        fuse(**{**wrong, modality.value: wrong[modality.value][:, :-1]})


@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named(modality: Modality, value: float) -> None:
    wrong = shots()
    wrong[modality.value][2, 1] = value
    with pytest.raises(DimensionError, match=r"row 2 .*NaN"):
        fuse(**wrong)


def test_zeros_that_are_said_to_be_present_are_refused() -> None:
    wrong = shots()
    wrong["text"][1] = 0
    with pytest.raises(DimensionError, match=r"row 1 .*said to be present"):
        fuse(**wrong)


def test_a_shot_without_any_modality_is_refused() -> None:
    nothing = without(without(shots(), "text", 3), "audio", 3)
    nothing["video"][3] = 0
    with pytest.raises(DimensionError, match=r"row 3 .*neither"):
        fuse(**nothing)


@pytest.mark.parametrize("key", ["audio", "text", "has_audio", "has_text"])
def test_modalities_over_different_shot_lists_are_refused(key: str) -> None:
    wrong = shots()
    with pytest.raises(DimensionError, match="rows"):
        fuse(**{**wrong, key: wrong[key][:-1]})


def test_fused_vectors_of_another_width_are_not_split() -> None:
    with pytest.raises(DimensionError, match="width 11"):
        split(np.zeros((2, 11), np.float32), SUITE)
