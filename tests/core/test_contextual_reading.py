"""How a title is read, by windows or whole and in which precision, and what is kept of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm_core.contextual.embedding import embed_title, spans_read
from mediafm_core.contextual.precision import in_precision
from mediafm_core.model.config import Missing, ModelConfig, Positions, Precision, Reading, Readout
from mediafm_core.model.encoder import MediaFM
from mediafm_core.sequence.batches import collate, piece
from mediafm_core.sequence.windows import Window, owners

CONFIG = ModelConfig(video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=2, heads=2)
METADATA = np.ones(5, np.float32)
OPTIONS = ({}, {"stem": (4, 12, 40), "missing": Missing.LEARNED})
LENGTHS = (1, 511, 512, 513, 4043)


def encoder(config: ModelConfig) -> MediaFM:
    made, g = MediaFM.new(config, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():  # larger than at birth, so that every part is felt
            parameter.add_(torch.randn(parameter.shape, generator=g) * 0.1)
    return made.eval()


def fused(n_shots: int) -> np.ndarray:
    rng = np.random.default_rng(n_shots)
    rows = rng.normal(size=(n_shots, 18)).astype(np.float32)
    rows[rng.random(n_shots) < 0.4, 14:] = 0.0  # silent shots
    return rows


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest 1 - cosine of two arrays' rows."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((1 - (one * other).sum(1) / lengths).max())


@pytest.mark.parametrize("reading", list(Reading))
@pytest.mark.parametrize("n_shots", LENGTHS)
def test_every_shot_is_covered_and_spoken_for_once(reading: Reading, n_shots: int) -> None:
    spans = spans_read(replace(CONFIG, reading=reading), n_shots)
    assert len(owners(spans)) == n_shots
    assert (len(spans) == 1) == (reading is Reading.WHOLE or n_shots <= CONFIG.window)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("reading", list(Reading))
@pytest.mark.parametrize("n_shots", LENGTHS)
def test_a_title_of_any_length_is_read_into_one_vector_for_each_shot(
    reading: Reading, n_shots: int, option: dict
) -> None:
    got = embed_title(encoder(replace(CONFIG, reading=reading, **option)), fused(n_shots), METADATA)
    assert got.shots.shape == (n_shots, 16)
    assert got.title.shape == (16,)
    assert len(np.unique(got.shots, axis=0)) == n_shots


@pytest.mark.parametrize("option", OPTIONS)
def test_a_title_read_whole_is_one_pass_of_the_encoder(option: dict) -> None:
    read = encoder(replace(CONFIG, reading=Reading.WHOLE, **option))
    one = collate([piece(torch.from_numpy(fused(700)), torch.from_numpy(METADATA), Window(0, 700))])
    got = embed_title(read, fused(700), METADATA)
    with torch.no_grad():
        expected = read.encode(*one)
    np.testing.assert_allclose(got.shots, expected.shots[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(got.title, expected.cls[0].numpy(), atol=1e-5)


def test_whole_and_by_windows_are_the_same_where_one_window_holds_the_title() -> None:
    whole, by_windows = (embed_title(encoder(replace(CONFIG, reading=r)), fused(512), METADATA) for r in Reading)
    np.testing.assert_array_equal(whole.shots, by_windows.shots)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("positions", list(Positions))
def test_threads_and_windows_at_once_change_nothing_beyond_rounding(positions: Positions, option: dict) -> None:
    read = encoder(replace(CONFIG, positions=positions, **option))
    expected, n_threads = embed_title(read, fused(900), METADATA), torch.get_num_threads()
    for n, at_once in ((1, 1), (2, 1), (1, 2), (1, 100)):
        torch.set_num_threads(n)
        got = embed_title(read, fused(900), METADATA, windows_at_once=at_once)
        np.testing.assert_allclose(got.shots, expected.shots, atol=1e-5)
        np.testing.assert_allclose(got.title, expected.title, atol=1e-5)
    torch.set_num_threads(n_threads)


def test_a_stem_sees_no_further_than_its_window() -> None:
    read = encoder(replace(CONFIG, window=16, stride_share=1.0, stem=(40,)))
    changed = fused(64)
    changed[63] *= -1
    moved = np.abs(embed_title(read, fused(64), None).shots - embed_title(read, changed, None).shots).max(1) > 0
    assert moved.tolist() == [False] * 48 + [True] * 16


# What is kept


def test_projected_shots_are_the_predictions_and_the_title_stays_cls() -> None:
    hidden, projected = (
        embed_title(encoder(replace(CONFIG, readout=r)), fused(30), METADATA)
        for r in (Readout.HIDDEN, Readout.PROJECTED)
    )
    read = encoder(CONFIG)
    expected = hidden.shots @ read.output_proj.weight.detach().numpy().T + read.output_proj.bias.detach().numpy()
    np.testing.assert_allclose(projected.shots, expected, atol=1e-5)
    np.testing.assert_array_equal(projected.title, hidden.title)


@pytest.mark.parametrize("readout", list(Readout))
def test_the_configuration_says_how_wide_a_shot_is(readout: Readout) -> None:
    config = replace(CONFIG, readout=readout)
    assert embed_title(encoder(config), fused(3), None).shots.shape[1] == config.dims


# Precision


@pytest.mark.parametrize("option", [*OPTIONS, {"readout": Readout.PROJECTED}, {"positions": Positions.LEARNED}])
@pytest.mark.parametrize("n_shots", [1, 30, 600])
def test_bfloat16_is_close_comes_back_as_float32_and_leaves_the_encoder_as_it_was(n_shots: int, option: dict) -> None:
    exact = encoder(replace(CONFIG, **option))
    coarse = encoder(replace(CONFIG, precision=Precision.BFLOAT16, **option))
    got, expected = (embed_title(read, fused(n_shots), METADATA) for read in (coarse, exact))
    assert got.shots.dtype == got.title.dtype == np.float32
    assert 0 < apart(got.shots, expected.shots) < 1e-3
    assert {p.dtype for p in coarse.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in coarse.parameters())


def test_weights_are_cast_once_and_again_when_they_have_changed() -> None:
    read = encoder(replace(CONFIG, precision=Precision.BFLOAT16))
    first = in_precision(read)
    assert in_precision(read) is first
    before = embed_title(read, fused(5), None)
    with torch.no_grad():
        read.norm.weight.mul_(2.0)
        read.norm.bias.mul_(2.0)
    assert in_precision(read) is not first
    np.testing.assert_allclose(embed_title(read, fused(5), None).shots, 2 * before.shots, rtol=0.02)


def test_what_is_read_in_bfloat16_is_that_of_plain_layers_bit_for_bit() -> None:
    config = replace(CONFIG, precision=Precision.BFLOAT16)
    read, plain = in_precision(encoder(config)), encoder(config)
    for parameter in plain.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    rows = torch.from_numpy(fused(512))[None]
    given = (rows, None, torch.linspace(0, 1, 512)[None], torch.from_numpy(METADATA)[None])
    with torch.inference_mode():
        assert torch.equal(read.encode(*given).shots, plain.encode(*given).shots)
