"""Laws of masking: the share is exact, no shot is favoured, runs are runs, and scenes follow a stated rule."""

import numpy as np
import pytest
import torch

from mediafm_core.pretraining.config import Masking, ObjectiveConfig
from mediafm_core.pretraining.objective.masking import Chosen, choose_shots
from mediafm_core.pretraining.objective.scenes import scenes

DIMS = (8, 6, 4)


def shots(n: int, seed: int = 0) -> torch.Tensor:
    """(n, 18) noise, a third of it without text."""
    rng = np.random.default_rng(seed)
    fused = rng.normal(size=(n, 18)).astype(np.float32)
    fused[rng.random(n) < 0.33, 14:] = 0.0
    return torch.from_numpy(fused)


def staged(*lengths: int) -> torch.Tensor:
    """Scenes of these lengths: each a direction of its own, with some noise on every shot."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(len(lengths), 18))
    clean = np.repeat(middles, lengths, axis=0)
    return torch.from_numpy((clean + 0.2 * rng.normal(size=clean.shape)).astype(np.float32))


def choose(fused: torch.Tensor, seed: int = 0, **options: object) -> Chosen:
    return choose_shots(torch.Generator().manual_seed(seed), fused, DIMS, ObjectiveConfig(**options))  # pyright: ignore


def runs(masked: torch.Tensor) -> list[tuple[int, int]]:
    """Start and length of each run of hidden shots."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], masked.int().numpy(), [0]])))
    return [(int(start), int(stop - start)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize("masking", list(Masking))
@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
@pytest.mark.parametrize("n_shots", [1, 2, 10, 50])
def test_the_asked_share_of_a_piece_is_hidden_and_at_least_one_shot(
    masking: Masking, share: float, n_shots: int
) -> None:
    chosen = choose(shots(n_shots), masking=masking, mask_share=share)
    n_masked = max(1, round(n_shots * share))
    assert chosen.masked.sum() == n_masked
    assert chosen.visible.sum() == round((n_shots - n_masked) * ObjectiveConfig().visible_share)
    assert not (chosen.masked & chosen.visible).any()


@pytest.mark.parametrize("masking", [Masking.SHOTS, Masking.SPANS])
def test_every_shot_is_hidden_as_often_as_any_other(masking: Masking) -> None:
    fused = shots(30)
    hidden = torch.stack([choose(fused, seed, masking=masking).masked for seed in range(1000)])
    assert ((hidden.float().mean(0) - 0.2).abs() < 0.05).all()


def test_every_scene_is_hidden_as_often_as_any_other_of_its_length() -> None:
    fused = staged(10, 10, 10, 10)
    hidden = torch.stack([choose(fused, seed, masking=Masking.SCENES, mask_share=0.25).masked for seed in range(500)])
    assert ((hidden.float().mean(0) - 0.25).abs() < 0.07).all()


def test_the_posts_objective_asks_for_no_visible_shot() -> None:
    assert not choose(shots(10), visible_share=0.0).visible.any()


def test_the_same_draw_makes_the_same_choice_and_another_another() -> None:
    for masking in Masking:
        first, again, other = (choose(shots(60), seed, masking=masking) for seed in (1, 1, 2))
        assert torch.equal(first.masked, again.masked)
        assert not torch.equal(first.masked, other.masked)


# Spans


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_whole_runs_but_for_the_one_that_is_cut_and_those_at_the_ends(seed: int) -> None:
    masked = choose(shots(200), seed, masking=Masking.SPANS, span_shots=6).masked
    short = [(start, n) for start, n in runs(masked) if n < 6]
    assert len([1 for start, n in short if start > 0 and start + n < 200]) <= 1
    assert len(runs(masked)) <= 40 // 6 + 3


def test_a_span_of_one_shot_hides_shots_one_by_one() -> None:
    lengths = [n for _, n in runs(choose(shots(200), masking=Masking.SPANS, span_shots=1).masked)]
    assert np.mean(lengths) < 2


# Scenes


def test_changes_of_scene_are_found_where_they_are() -> None:
    lengths = (12, 7, 20, 9, 5, 14)
    expected = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    assert torch.equal(scenes(staged(*lengths), DIMS), expected)


def test_a_hidden_scene_is_hidden_whole_until_the_share_is_met() -> None:
    fused = staged(10, 10, 10, 10, 10)
    masked = choose(fused, masking=Masking.SCENES, mask_share=0.5).masked  # 25 shots: two scenes and a half
    assert sorted(masked.view(5, 10).sum(-1).tolist()) == [0, 0, 5, 10, 10]
    assert runs(masked.view(5, 10)[masked.view(5, 10).sum(-1) == 5][0]) == [(0, 5)]


def test_scenes_are_at_least_five_shots_long_but_at_the_ends() -> None:
    lengths = scenes(shots(500), DIMS).bincount()
    assert lengths[1:-1].min() > 4


@pytest.mark.parametrize("fused", [torch.zeros(9, 18), torch.ones(9, 18), shots(1), torch.zeros(1, 18)])
def test_a_piece_that_never_changes_is_one_scene(fused: torch.Tensor) -> None:
    assert not scenes(fused, DIMS).any()


def test_scenes_do_not_depend_on_how_long_the_vectors_are() -> None:
    fused = staged(12, 7, 20, 9)
    assert torch.equal(scenes(fused, DIMS), scenes(fused * torch.rand(48, 1).clamp(min=0.1), DIMS))
