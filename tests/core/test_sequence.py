"""Windows cover titles of any length, and stitching takes each shot from the window that sees most around it."""

import numpy as np
import pytest
import torch

from mediafm_core.errors import DimensionError
from mediafm_core.sequence.batches import by_length, collate, piece
from mediafm_core.sequence.titles import TitleArrays, as_tensors
from mediafm_core.sequence.windows import Window, owners, stitch, windows

LENGTHS = [1, 2, 511, 512, 513, 895, 896, 897, 4043]


@pytest.mark.parametrize("n_shots", LENGTHS)
@pytest.mark.parametrize("stride", [384, 1, 256, 512])
def test_windows_cover_every_shot_and_are_full_where_the_title_is_long_enough(n_shots: int, stride: int) -> None:
    spans = windows(n_shots, 512, stride)
    covered = np.zeros(n_shots, int)
    for span in spans:
        covered[span.start : span.stop] += 1
    assert (covered >= 1).all()
    assert {span.n_shots for span in spans} == {min(n_shots, 512)}
    steps = np.diff([span.start for span in spans])
    assert (steps >= 1).all()
    assert (steps <= stride).all()


def test_a_title_that_fits_is_one_window_and_one_more_shot_makes_two() -> None:
    assert windows(512, 512, 384) == [Window(0, 512)]
    assert windows(513, 512, 384) == [Window(0, 512), Window(1, 513)]


@pytest.mark.parametrize(("n_shots", "stride"), [(0, 384), (-1, 384), (5, 0), (600, 513)])
def test_no_shots_or_an_impossible_stride_is_a_typed_error(n_shots: int, stride: int) -> None:
    with pytest.raises(DimensionError, match="windows over a title"):
        windows(n_shots, 512, stride)


@pytest.mark.parametrize("n_shots", [1, 7, 8, 9, 50])
def test_stitching_reads_each_shot_from_the_window_with_the_nearest_centre(n_shots: int) -> None:
    spans = windows(n_shots, 8, 3)
    for shot, k in enumerate(owners(spans)):
        near = [
            abs(shot - (s.start + s.stop - 1) / 2) if s.start <= shot < s.stop else np.inf for s in spans
        ]  # brute force
        assert near[k] == min(near)
        assert k == near.index(min(near))


def test_stitching_windows_of_one_array_gives_the_array_back() -> None:
    states = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    spans = windows(50, 8, 3)
    cls = [np.full(2, k, np.float32) for k in range(len(spans))]
    joined = stitch(spans, [states[s.start : s.stop] for s in spans], cls)
    np.testing.assert_array_equal(joined.shots, states)
    np.testing.assert_allclose(joined.title, owners(spans).mean(), rtol=1e-6)  # each shot counts once


def test_states_that_do_not_fit_their_windows_are_refused() -> None:
    with pytest.raises(DimensionError, match="states of a title's windows"):
        stitch([Window(0, 3)], [np.zeros((2, 4), np.float32)], [np.zeros(4, np.float32)])


def test_windows_with_a_gap_are_refused() -> None:
    with pytest.raises(DimensionError, match="in no window"):
        owners([Window(0, 2), Window(6, 8)])


def test_a_window_knows_where_in_the_whole_title_it_stands() -> None:
    got = piece(torch.zeros(10, 4), torch.zeros(2), Window(5, 10))
    torch.testing.assert_close(got.fraction, torch.tensor([0.55, 0.65, 0.75, 0.85, 0.95]))


def test_padding_is_zero_and_marked() -> None:
    pieces = [piece(torch.ones(n, 4), torch.ones(2), Window(0, n)) for n in (3, 1)]
    batch = collate(pieces, pad_to=5)
    assert batch.real.tolist() == [[True] * 3 + [False] * 2, [True] + [False] * 4]
    assert batch.fused.sum() == 4 * 4
    assert batch.fraction[~batch.real].eq(0).all()


def test_there_is_a_padding_mask_where_there_is_padding_alone() -> None:
    short, long = (piece(torch.ones(n, 2), torch.ones(3), Window(0, n)) for n in (1, 3))
    assert collate([long, long]).padding_mask is None
    padded = collate([short, long])
    assert padded.padding_mask is padded.real


@pytest.mark.parametrize("pad_to", [2, 0])
def test_a_piece_longer_than_the_padding_is_a_typed_error(pad_to: int) -> None:
    with pytest.raises(DimensionError, match="a batch of titles"):
        collate([piece(torch.ones(3, 4), torch.ones(2), Window(0, 3))], pad_to=pad_to)


def test_grouping_takes_every_piece_once_and_never_pads_more_than_it_reads() -> None:
    lengths = [1, 135, 5, 12, 20, 135, 1, 600, 3]
    groups = by_length(lengths, 300)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[i] for i in group)
        assert len(group) == 1 or padded <= 300
        assert padded <= 2 * sum(lengths[i] for i in group)


@pytest.mark.parametrize(
    "fused",
    [
        np.zeros((0, 4), np.float32),
        np.zeros((3, 5), np.float32),
        np.zeros((3, 4), np.float64),
        np.full((3, 4), np.nan, np.float32),
    ],
)
def test_arrays_that_no_encoder_can_read_are_refused_with_their_title(fused: np.ndarray) -> None:
    with pytest.raises(DimensionError, match="title 'pilot', fused"):
        as_tensors(TitleArrays("pilot", fused, None), 4, 2)


def test_a_title_without_metadata_has_zeros_and_a_read_only_array_is_taken() -> None:
    fused = np.ones((2, 4), np.float32)
    fused.flags.writeable = False
    got = as_tensors(TitleArrays("pilot", fused, None), 4, 2)
    assert got.metadata.tolist() == [0, 0]
    assert got.fused.sum() == 8
