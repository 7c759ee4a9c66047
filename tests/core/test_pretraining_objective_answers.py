"""What predictions are compared with, and how: each against the plainest way to say it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mediafm_core.model.centring import Centred, Centring
from mediafm_core.pretraining.config import Distance, Target
from mediafm_core.pretraining.objective.contrast import contrast
from mediafm_core.pretraining.objective.distance import block_distances, distances
from mediafm_core.pretraining.objective.horizons import View, viewpoint_weights, views
from mediafm_core.pretraining.objective.losses import mean_over
from mediafm_core.pretraining.objective.targets import targets

DIMS = (8, 6, 4)
EDGES = (0, 8, 14, 18)


def shots(*shape: int, seed: int = 0) -> torch.Tensor:
    """(*shape, 18) noise; some shots lack text, some everything."""
    rng = np.random.default_rng(seed)
    fused = rng.normal(size=(*shape, 18)).astype(np.float32)
    fused[rng.random(shape) < 0.4, 14:] = 0.0
    fused[rng.random(shape) < 0.1] = 0.0
    return torch.from_numpy(fused)


# Distances


@pytest.mark.parametrize("kind", list(Distance))
def test_a_visible_shots_target_and_prediction_never_enter_the_mean_over(kind: Distance) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, fused = torch.randn(2, 6, 18, generator=generator), torch.randn(2, 6, 18, generator=generator)
    masked = torch.zeros(2, 6, dtype=torch.bool)
    masked[0, 1] = masked[1, 4] = True

    def loss(p: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        return mean_over(distances(p, Centring(DIMS)(f), DIMS, kind), masked, 2)

    changed_p, changed_f = torch.where(masked[..., None], predicted, 7.0), torch.where(masked[..., None], fused, -3.0)
    assert torch.equal(loss(predicted, fused), loss(changed_p, changed_f))
    assert not torch.equal(loss(predicted, fused), loss(predicted, torch.where(masked[..., None], 1.0, fused)))


def test_the_fused_distance_is_one_minus_the_cosine() -> None:
    rng = np.random.default_rng(0)
    p, t = rng.normal(size=(2, 1, 3, 18))
    centred = Centring(DIMS)(torch.tensor(t, dtype=torch.float32))
    got = distances(torch.tensor(p, dtype=torch.float32), centred, DIMS, Distance.FUSED).numpy()
    c = centred.shots.numpy()
    expected = 1 - (p * c).sum(-1) / np.linalg.norm(p, axis=-1) / np.linalg.norm(c, axis=-1)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_modality_distance_is_the_mean_over_the_modalities_that_a_shot_has() -> None:
    fused = torch.randn(1, 1, 18, generator=torch.Generator().manual_seed(0))
    fused[..., 14:] = 0.0  # no text
    target = Centring(DIMS)(fused)
    predicted = torch.cat([fused[..., :8], -fused[..., 8:14], torch.ones(1, 1, 4)], -1)  # right, opposite, ignored
    assert distances(predicted, target, DIMS, Distance.MODALITY).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", list(Distance))
def test_a_perfect_prediction_costs_nothing_at_any_length_and_an_empty_shot_never(kind: Distance) -> None:
    fused = torch.randn(1, 4, 18, generator=torch.Generator().manual_seed(0))
    fused[0, 3] = 0.0
    target = Centring(DIMS)(fused)
    torch.testing.assert_close(distances(5 * target.shots, target, DIMS, kind), torch.zeros(1, 4), atol=1e-6, rtol=0)
    assert distances(torch.ones(1, 4, 18), target, DIMS, kind)[0, 3] == 0.0


def test_parts_of_a_step_sum_to_its_mean() -> None:
    apart, masked = torch.rand(4, 9), torch.rand(4, 9) < 0.5
    n = int(masked.sum())
    parts = sum(mean_over(apart[i : i + 1], masked[i : i + 1], n) for i in range(4))
    torch.testing.assert_close(parts, apart[masked].mean())
    assert mean_over(apart, torch.zeros(4, 9, dtype=torch.bool), 0) == 0


def test_the_distance_of_a_modality_is_that_of_its_block_alone() -> None:
    target = Centring(DIMS)(shots(7))
    predicted = torch.randn(7, 18, generator=torch.Generator().manual_seed(1))
    got = block_distances(predicted, target, DIMS)
    for i, (start, stop) in enumerate(pairwise(EDGES)):
        p, t = predicted[:, start:stop], target.shots[:, start:stop]
        expected = torch.where(target.present[:, i], 1 - F.cosine_similarity(p, t, dim=-1), 0.0)
        torch.testing.assert_close(got[:, i], expected)


# Denoised targets


def test_a_denoised_shot_is_the_softmax_mean_of_the_near_shots_that_have_the_modality() -> None:
    fused, real = shots(2, 15), torch.ones(2, 15, dtype=torch.bool)
    real[1, 11:] = False
    asked = real & (torch.rand(2, 15, generator=torch.Generator().manual_seed(0)) < 0.5)
    centring = Centring(DIMS)
    got = targets(centring, fused, real, asked, Target.DENOISED)
    whole = centring(fused)
    assert torch.equal(got.present, whole.present[asked])
    for row, (b, t) in enumerate(asked.nonzero().tolist()):
        n = 15 if b == 0 else 11
        for i, (start, stop) in enumerate(pairwise(EDGES)):
            expected = _softmax_mean(whole, b, t, i, range(max(0, t - 4), min(n, t + 5)), slice(start, stop))
            torch.testing.assert_close(got.shots[row, start:stop], expected, atol=1e-6, rtol=1e-5)


def _softmax_mean(whole: Centred, b: int, t: int, i: int, near: range, block: slice) -> torch.Tensor:
    if not whole.present[b, t, i]:
        return torch.zeros(block.stop - block.start)
    rows = torch.stack([F.normalize(whole.shots[b, s, block], dim=-1) for s in near if whole.present[b, s, i]])
    weight = torch.softmax(rows @ F.normalize(whole.shots[b, t, block], dim=-1) / 0.5, dim=0)
    return F.normalize(weight @ rows, dim=-1) / whole.present[b, t].sum().sqrt()


def test_a_denoised_shot_has_the_length_of_the_shot_itself() -> None:
    fused, every = shots(1, 30), torch.ones(1, 30, dtype=torch.bool)
    itself, denoised = (targets(Centring(DIMS), fused, every, every, kind).shots for kind in Target)
    torch.testing.assert_close(denoised.norm(dim=-1), itself.norm(dim=-1))


def test_targets_and_scores_are_never_rounded_to_bfloat16() -> None:
    fused, every, piece = shots(1, 12), torch.ones(1, 12, dtype=torch.bool), torch.zeros(12, dtype=torch.long)

    def score() -> tuple[torch.Tensor, torch.Tensor]:
        target = targets(Centring(DIMS), fused, every, every, Target.DENOISED)
        return target.shots, contrast(fused[0], target, piece, DIMS, Distance.MODALITY, 0.1)

    exact = score()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(torch.equal(a, b) for a, b in zip(exact, score(), strict=True))


def test_denoising_brings_noisy_shots_of_one_scene_nearer_to_what_they_share() -> None:
    truth = F.normalize(torch.randn(18, generator=torch.Generator().manual_seed(0)), dim=-1)
    fused = truth + 0.3 * torch.randn(1, 40, 18, generator=torch.Generator().manual_seed(1))
    every, whole = torch.ones(1, 40, dtype=torch.bool), Centring(DIMS)(truth)
    itself, denoised = (targets(Centring(DIMS), fused, every, every, kind).shots for kind in Target)
    assert (denoised @ whole.shots).mean() > 0.5 + 0.5 * (itself @ whole.shots).mean()


# Horizons


def test_a_window_is_the_mean_of_the_masked_shots_strictly_before_or_after() -> None:
    whole = Centring(DIMS)(shots(3, 20))
    generator, horizons = torch.Generator().manual_seed(0), (1, 4, 12)
    masked = torch.rand(3, 20, generator=generator) < 0.3
    weights = torch.stack([viewpoint_weights(generator, row, horizons) for row in masked])
    seen = list(views(weights, masked, Centred(whole.shots[masked], whole.present[masked]), horizons))
    assert sum(len(view.viewpoint) for view in seen) > 10
    for w, view in enumerate(seen):
        for j, (b, t) in enumerate(divmod(int(at), 20) for at in view.viewpoint):
            k = horizons[w // 2]
            near = range(t + 1, min(20, t + 1 + k)) if w % 2 == 0 else range(max(0, t - k), t)
            _assert_window(view, j, whole, [(b, s) for s in near if masked[b, s]], k)


def _assert_window(view: View, j: int, whole: Centred, hidden: list[tuple[int, int]], k: int) -> None:
    assert float(view.weight[j]) == pytest.approx((len(hidden) / k) ** 0.5)
    mean = torch.stack([whole.shots[b, s] for b, s in hidden]).mean(0)
    torch.testing.assert_close(view.target.shots[j], mean, atol=1e-6, rtol=1e-5)
    assert view.target.present[j].tolist() == torch.stack([whole.present[b, s] for b, s in hidden]).any(0).tolist()


def test_windows_are_asked_for_at_a_quarter_of_the_shots_and_only_where_something_is_masked() -> None:
    generator = torch.Generator().manual_seed(0)
    full = viewpoint_weights(generator, torch.ones(100, dtype=torch.bool), (5,))
    assert (full > 0).any(-1).sum() == 25
    assert full.max() == 1.0
    assert not viewpoint_weights(generator, torch.zeros(100, dtype=torch.bool), (5,)).any()


# Contrast


@pytest.mark.parametrize("kind", list(Distance))
def test_infonce_agrees_with_a_loop_over_every_pair(kind: Distance) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.randn(12, 18, generator=generator), Centring(DIMS)(shots(12))
    piece = torch.tensor([0] * 5 + [2] * 6 + [3])
    got = contrast(predicted, target, piece, DIMS, kind, 0.2)
    expected = 0.0
    for i in range(12):
        others = [j for j in range(12) if piece[j] == piece[i] and target.present[j].any()]
        if i in others:
            scores = torch.stack([1 - _apart(predicted[i], target, j, kind) for j in others]) / 0.2
            expected -= float(scores.log_softmax(0)[others.index(i)])
    assert float(got) == pytest.approx(expected, rel=1e-5)


def _apart(prediction: torch.Tensor, target: Centred, j: int, kind: Distance) -> torch.Tensor:
    return distances(prediction, Centred(target.shots[j], target.present[j]), DIMS, kind)


def test_a_shot_that_is_masked_alone_has_nothing_to_be_told_from() -> None:
    target = Centring(DIMS)(torch.ones(1, 18) * torch.arange(18))
    assert contrast(torch.randn(1, 18), target, torch.tensor([0]), DIMS, Distance.FUSED, 0.1) == 0.0


def test_right_answers_cost_less_than_answers_in_the_wrong_order() -> None:
    target = Centring(DIMS)(torch.randn(6, 18, generator=torch.Generator().manual_seed(0)))
    piece = torch.zeros(6, dtype=torch.long)
    right, wrong = (
        contrast(p, target, piece, DIMS, Distance.MODALITY, 0.1) for p in (target.shots, target.shots.roll(1, 0))
    )
    assert right < 0.1 * wrong
