"""Embedding in context: any length, no influence of how the work was cut up, and nothing but the last hidden state."""

import numpy as np
import pytest
import torch

from mediafm_core.contextual.embedding import embed_title
from mediafm_core.errors import DimensionError
from mediafm_core.model.config import ModelConfig
from mediafm_core.model.encoder import MediaFM
from mediafm_core.sequence.windows import owners, windows

WINDOW = 16


@pytest.fixture(scope="module")
def encoder() -> MediaFM:
    config = ModelConfig(
        video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=2, heads=2, window=WINDOW
    )
    return MediaFM.new(config, torch.Generator().manual_seed(0))


def fused(n_shots: int) -> np.ndarray:
    return np.random.default_rng(n_shots).normal(size=(n_shots, 18)).astype(np.float32)


METADATA = np.ones(5, np.float32)


@pytest.mark.parametrize("n_shots", [1, 15, 16, 17, 130])
def test_every_shot_of_a_title_of_any_length_gets_a_vector(encoder: MediaFM, n_shots: int) -> None:
    got = embed_title(encoder, fused(n_shots), METADATA)
    assert got.shots.shape == (n_shots, 16)
    assert got.title.shape == (16,)
    assert got.shots.dtype == got.title.dtype == np.float32


@pytest.mark.parametrize("windows_at_once", [1, 3, 100])
def test_how_many_windows_are_read_at_once_changes_nothing(encoder: MediaFM, windows_at_once: int) -> None:
    got = embed_title(encoder, fused(130), METADATA, windows_at_once=windows_at_once)
    expected = embed_title(encoder, fused(130), METADATA)
    np.testing.assert_allclose(got.shots, expected.shots, atol=1e-5)
    np.testing.assert_allclose(got.title, expected.title, atol=1e-5)


def test_the_number_of_threads_changes_nothing(encoder: MediaFM) -> None:
    n_threads = torch.get_num_threads()
    got = []
    for n in (1, 2):
        torch.set_num_threads(n)
        got.append(embed_title(encoder, fused(40), METADATA).shots)
    torch.set_num_threads(n_threads)
    np.testing.assert_allclose(*got, atol=1e-5)


def test_a_shot_depends_on_the_window_that_speaks_for_it_and_on_no_other(encoder: MediaFM) -> None:
    array = fused(40)
    spans = windows(40, WINDOW, WINDOW * 3 // 4)
    changed = array.copy()
    changed[39] = -changed[39]
    moved = np.abs(embed_title(encoder, array, METADATA).shots - embed_title(encoder, changed, METADATA).shots).max(1)
    sees = np.array([spans[k].start <= 39 < spans[k].stop for k in owners(spans)])
    assert ((moved > 0) == sees).all()


def test_nothing_is_dropped_and_the_encoder_keeps_its_mode(encoder: MediaFM) -> None:
    encoder.train()
    first, again = (embed_title(encoder, fused(5), METADATA).shots for _ in range(2))
    assert encoder.training
    np.testing.assert_array_equal(first, again)
    encoder.eval()
    np.testing.assert_array_equal(embed_title(encoder, fused(5), METADATA).shots, first)
    assert not encoder.training


def test_metadata_may_be_absent_and_then_counts_as_absent(encoder: MediaFM) -> None:
    without = embed_title(encoder, fused(5), None)
    zeros = embed_title(encoder, fused(5), np.zeros(5, np.float32))
    np.testing.assert_array_equal(without.shots, zeros.shots)
    assert not np.allclose(without.shots, embed_title(encoder, fused(5), METADATA).shots, atol=1e-6)


def test_what_does_not_fit_names_the_title(encoder: MediaFM) -> None:
    with pytest.raises(DimensionError, match="title 'pilot'"):
        embed_title(encoder, fused(5)[:, :9], None, title="pilot")
    with pytest.raises(DimensionError, match="title 'pilot'"):
        embed_title(encoder, fused(5)[:0], None, title="pilot")


def test_a_broken_encoder_is_found_out(encoder: MediaFM) -> None:
    broken = MediaFM.new(encoder.config, torch.Generator())
    with torch.no_grad():
        broken.norm.weight[0] = float("nan")
    with pytest.raises(DimensionError, match="not finite"):
        embed_title(broken, fused(5), None, title="pilot")
