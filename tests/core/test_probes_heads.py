"""Kinds of heads: each is a value of one type, learns what it is for, and scores by the one path."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from mediafm_core.errors import DimensionError
from mediafm_core.probes import learning
from mediafm_core.probes.features import Features, Origin
from mediafm_core.probes.fitting import logistic_path, standardise
from mediafm_core.probes.heads import Probe, score
from mediafm_core.probes.labels import LabelSet
from mediafm_core.probes.metrics import measure
from mediafm_core.probes.parts import N_SLOTS
from mediafm_core.probes.paths import GRIDS
from mediafm_core.probes.probing import probe
from mediafm_core.probes.tasks import TASKS, HeadKind, Metric

V1 = Origin("v1", "tiny")
LEARNT = (HeadKind.MLP, HeadKind.ATTENTION, HeadKind.SMOOTH_AP)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def label_set_of(task: str, kind: HeadKind, targets: np.ndarray) -> LabelSet:
    """Six clips for each title."""
    n_clips, labels = len(targets), targets.shape[1]
    titles = tuple(f"title-{i:03d}" for i in range(n_clips // 6))
    starts = np.tile(np.arange(6.0), len(titles))
    return LabelSet(
        task=replace(TASKS[task], head=kind, n_folds=2),
        titles=titles,
        of=np.repeat(np.arange(len(titles)), 6),
        start_s=starts,
        end_s=starts + 1,
        names=tuple("abcdefghij"[:labels]),
        targets=targets,
    )


def reached(labels: LabelSet, values: np.ndarray, read: str = "clip") -> tuple[float, Probe]:
    made = probe(labels, [Features(V1, read, values.astype(np.float32))])
    out = made.held_out
    return measure(labels.task.metric, out.scores, labels.targets, labels.of), made


def test_an_mlp_learns_a_product_that_no_linear_head_sees() -> None:
    x = np.random.default_rng(0).normal(size=(1200, 4))
    targets = (x[:, :1] * x[:, 1:2] > 0.5).astype(bool)
    by_mlp, by_ridge = (reached(label_set_of("genre", kind, targets), x)[0] for kind in (HeadKind.MLP, HeadKind.RIDGE))
    assert by_ridge < targets.mean() + 0.1
    assert by_mlp > by_ridge + 0.3


def test_attention_finds_the_shot_that_tells() -> None:
    """One of eight shots bears a mark, and what it holds is the label; the others hold noise."""
    rng = np.random.default_rng(1)
    slots = rng.normal(size=(1200, N_SLOTS, 6))
    telling = rng.integers(0, N_SLOTS, 1200)
    slots[np.arange(1200), telling, 5] += 5
    targets = slots[np.arange(1200), telling, :1] > 0.3
    mean = slots.mean(axis=1)
    by_mean = reached(label_set_of("retrieval", HeadKind.LOGISTIC, targets), mean)[0]
    labels = label_set_of("retrieval", HeadKind.ATTENTION, targets)
    assert reached(labels, slots.reshape(1200, -1), "shots of the clip")[0] > by_mean + 0.15


def test_attention_refuses_a_read_that_has_no_shots() -> None:
    labels = label_set_of("genre", HeadKind.ATTENTION, np.eye(2, dtype=bool)[np.arange(120) % 2])
    with pytest.raises(DimensionError, match="one by one"):
        reached(labels, np.zeros((120, 8)), "clip")


@pytest.mark.parametrize("metric", [Metric.MACRO_AP, Metric.MICRO_AP])
def test_a_soft_average_precision_is_scikit_learns_when_it_is_hard(metric: Metric, monkeypatch) -> None:
    monkeypatch.setattr(learning, "_TEMPERATURE", 1e-6)
    rng = np.random.default_rng(2)
    scores, y = rng.normal(size=(60, 3)).astype(np.float32), rng.random((60, 3)) < 0.3
    loss = learning._smooth_ap_loss(metric)(
        torch.from_numpy(scores), torch.from_numpy(y.astype(np.float32)), torch.Generator().manual_seed(0)
    )
    expected = average_precision_score(y, scores, average="micro" if metric is Metric.MICRO_AP else "macro")
    assert 1 - loss.item() == pytest.approx(expected, abs=1e-5)


def test_steps_on_the_soft_average_precision_raise_that_of_the_ridge_they_start_from() -> None:
    """Few positives, and negatives that lie far out: squared error bends towards those, the order does not."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 5)) * np.where(np.arange(600) % 5, 1, 6)[:, None]
    y = (x[:, :1] + 0.3 * rng.normal(size=(600, 1)) > 1.2) & (np.abs(x[:, :1]) < 3)
    turned = standardise(x.astype(np.float32))
    path = learning.learn_path(HeadKind.SMOOTH_AP, turned, torch.from_numpy(y.astype(np.float32)), (0, 40), Metric.AP)
    before, after = (average_precision_score(y, (turned.values @ f.weights + f.bias).numpy()) for f in path)
    assert after > before


@pytest.mark.parametrize("kind", LEARNT)
def test_a_learnt_head_is_the_same_each_time_and_scores_the_same_when_read_back(kind: HeadKind) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(180, 2 * N_SLOTS))
    labels = label_set_of("genre", kind, x[:, :3] > 0.2)
    read = "shots of the clip" if kind is HeadKind.ATTENTION else "clip"
    made, again = (reached(labels, x, read)[1] for _ in range(2))
    data = made.to_bytes()
    assert again.to_bytes() == data
    back = Probe.from_bytes(data)
    features = Features(V1, read, x.astype(np.float32))
    np.testing.assert_array_equal(score(back.head, features), score(made.head, features))
    assert (back.head.task.head, back.head.dims) == (kind, 2 * N_SLOTS)
    with pytest.raises(DimensionError):
        score(back.head, Features(V1, read, x[:, :N_SLOTS].astype(np.float32)))


@pytest.mark.parametrize("kind", [HeadKind.MLP, HeadKind.ATTENTION])
def test_a_ranking_can_be_learnt_by_steps_and_never_by_what_asks_for_labels(kind: HeadKind) -> None:
    x = np.random.default_rng(5).normal(size=(600, N_SLOTS))
    labels = label_set_of("popularity", kind, x.mean(axis=1, keepdims=True))
    assert reached(labels, x, "shots of the clip")[0] > 0.5
    for other in (HeadKind.LOGISTIC, HeadKind.SMOOTH_AP):
        with pytest.raises(AssertionError, match="ranks"):
            replace(TASKS["popularity"], head=other)


def by_lbfgs(x: torch.Tensor, y: torch.Tensor, alpha: float, asked: torch.Tensor) -> np.ndarray:
    """Scores of `asked` by a head that was fitted to the end, all labels at once."""
    w = torch.zeros(x.shape[1] + 1, y.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=300, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        apart = torch.nn.functional.binary_cross_entropy_with_logits(x @ w[:-1] + w[-1], y, reduction="none")
        found = apart.mean(dim=0).sum() + alpha / 2 * w[:-1].square().sum()
        found.backward()
        return found

    optimiser.step(loss)
    return (asked @ w[:-1] + w[-1]).detach().numpy()


def test_cross_entropy_stopped_early_scores_as_lbfgs_does_at_its_end() -> None:
    """All along the grid, on clips that were held out: log-odds within 0.02."""
    rng = np.random.default_rng(7)
    x = (rng.normal(size=(900, 40)) @ rng.normal(size=(40, 40))).astype(np.float32)
    y = x[:600] @ rng.normal(size=(40, 8)) / 40 + 1.5 * rng.normal(size=(600, 8)) > 1.5
    turned = standardise(x[:600])
    targets = torch.from_numpy(y.astype(np.float32))
    held_out = torch.from_numpy((x[600:] - turned.mean.numpy()) / turned.scale.numpy())
    grid = GRIDS[HeadKind.LOGISTIC]
    for alpha, found in zip(grid, logistic_path(turned, targets, grid), strict=True):
        mine = (held_out @ found.weights + found.bias).numpy()
        np.testing.assert_allclose(mine, by_lbfgs(turned.values, targets, alpha, held_out), atol=0.02)
