"""Metrics agree with scikit-learn and SciPy, and their intervals are what drawing titles anew gives."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import average_precision_score

from mediafm_core.errors import DimensionError, LabelsError
from mediafm_core.probes.metrics import bootstrap, measure, resample, title_taus
from mediafm_core.probes.tasks import Metric

seeds = st.integers(0, 10_000)


def clips(seed: int, n_labels: int = 4, n_titles: int = 6):
    """Scores in steps, so that many are equal; each label and each title has both kinds."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(n_titles), 7)
    scores = np.round(rng.normal(size=(len(of), n_labels)), 1)
    targets = rng.random((len(of), n_labels)) < 0.3
    targets[0], targets[1] = True, False
    return scores, targets, of


def tau_b(scores: np.ndarray, ranks: np.ndarray) -> float:
    return float(np.asarray(kendalltau(scores, ranks))[0])


@given(seeds)
def test_macro_and_micro_ap_are_scikit_learns_with_equal_scores_too(seed: int) -> None:
    scores, targets, of = clips(seed)
    for metric, average in ((Metric.MACRO_AP, "macro"), (Metric.MICRO_AP, "micro")):
        expected = average_precision_score(targets, scores, average=average)
        assert measure(metric, scores, targets, of) == pytest.approx(expected, abs=1e-12)


@given(seeds)
def test_tau_is_scipys_tau_b_averaged_over_titles(seed: int) -> None:
    scores, _, of = clips(seed, n_labels=1)
    ranks = np.random.default_rng(seed + 1).integers(0, 4, scores.shape).astype(float)
    taus = np.array([tau_b(scores[of == t, 0], ranks[of == t, 0]) for t in range(6)])
    np.testing.assert_allclose(title_taus(scores[:, 0], ranks[:, 0], of), taus, atol=1e-12)
    assert measure(Metric.KENDALL_TAU, scores, ranks, of) == pytest.approx(np.nanmean(taus), abs=1e-12)


def test_a_label_without_a_clip_and_a_title_without_two_ranks_are_left_out() -> None:
    scores, targets, of = clips(0, n_labels=2)
    targets[:, 1] = False
    assert measure(Metric.MACRO_AP, scores, targets, of) == measure(Metric.AP, scores[:, :1], targets[:, :1], of)
    ranks = np.where(of[:, None] == 0, np.arange(len(of))[:, None], 5.0)
    alone = tau_b(scores[of == 0, 0], ranks[of == 0, 0])
    assert measure(Metric.KENDALL_TAU, scores[:, :1], ranks, of) == pytest.approx(alone)


def test_one_score_for_all_clips_of_a_title_ranks_nothing_and_counts() -> None:
    scores, _, of = clips(1, n_labels=1)
    ranks = np.random.default_rng(2).normal(size=scores.shape)
    silent = np.where(of[:, None] == 0, 0.0, scores)
    others = title_taus(scores[:, 0], ranks[:, 0], of)[1:]
    assert measure(Metric.KENDALL_TAU, silent, ranks, of) == pytest.approx(others.sum() / 6)


@pytest.mark.parametrize("metric", [Metric.MACRO_AP, Metric.KENDALL_TAU])
def test_nothing_to_tell_apart_is_an_error_and_no_number(metric: Metric) -> None:
    nothing = np.zeros((4, 1), float if metric is Metric.KENDALL_TAU else bool)
    with pytest.raises(LabelsError):
        measure(metric, np.arange(4.0)[:, None], nothing, np.zeros(4, int))


def test_a_score_that_is_no_number_is_refused() -> None:
    scores, targets, of = clips(0)
    scores[3, 1] = np.nan
    with pytest.raises(DimensionError, match="1 scores not finite"):
        measure(Metric.MACRO_AP, scores, targets, of)


@pytest.mark.parametrize("metric", list(Metric))
def test_an_interval_is_that_of_repeating_the_clips_of_drawn_titles(metric: Metric) -> None:
    scores, targets, of = clips(3, n_labels=1 if metric in (Metric.AP, Metric.KENDALL_TAU) else 4)
    if metric is Metric.KENDALL_TAU:
        targets = np.random.default_rng(9).normal(size=targets.shape)
    draws = np.random.default_rng(8).multinomial(6, np.full(6, 1 / 6), size=20)
    slow = [_by_repeating(metric, scores, targets, of, draw) for draw in draws]
    found = bootstrap(metric, scores, targets, of, n_draws=20, generator=np.random.default_rng(8))
    np.testing.assert_allclose(found[1:], np.percentile(slow, [2.5, 97.5]), atol=1e-12)
    assert found.value == measure(metric, scores, targets, of)


def _by_repeating(metric, scores, targets, of, draw) -> float:
    rows = [np.flatnonzero(of == title) for title, n in enumerate(draw) for _ in range(n)]
    copies = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    return measure(metric, scores[np.concatenate(rows)], targets[np.concatenate(rows)], copies)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    def sample(seed: int, n_titles: int):
        rng = np.random.default_rng(seed)
        of = np.repeat(np.arange(n_titles), 8)
        targets = rng.random((len(of), 1)) < 0.4
        return targets + rng.normal(size=targets.shape) + rng.normal(size=n_titles)[of][:, None], targets, of

    truth = measure(Metric.AP, *sample(0, 20_000))
    found = [bootstrap(Metric.AP, *sample(s, 60), n_draws=100, generator=np.random.default_rng(s)) for s in range(60)]
    assert np.mean([low <= truth <= high for _, low, high in found]) > 0.85


def test_a_paired_difference_is_tighter_than_two_intervals_and_zero_for_the_same_scores() -> None:
    scores, targets, of = clips(5, n_titles=40)
    better = scores + 0.3 * targets
    drawn, again, gained = (
        resample(Metric.MACRO_AP, each, targets, of, generator=np.random.default_rng(1))
        for each in (scores, scores, better)
    )
    assert drawn.less(again).interval == (0.0, 0.0, 0.0)
    gain, alone = gained.less(drawn).interval, gained.interval
    assert gain.low > 0
    assert gain.high - gain.low < alone.high - alone.low
    assert gained.over(drawn).value == pytest.approx(gain.value / drawn.value)


def test_the_same_generator_gives_the_same_interval_without_a_warning() -> None:
    scores, targets, of = clips(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = (
            bootstrap(Metric.MICRO_AP, scores, targets, of, generator=np.random.default_rng(4)) for _ in range(2)
        )
    assert one == two
