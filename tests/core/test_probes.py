"""Heads: fitted as the libraries would, judged on titles that they have not seen, bound to one encoder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import ArtifactError, DimensionError, EncoderMismatchError, LabelsError
from mediafm_core.identity import fingerprint
from mediafm_core.probes import fitting
from mediafm_core.probes.comparing import interval
from mediafm_core.probes.features import Features, Origin, TitleShots
from mediafm_core.probes.fitting import logistic_path, ridge_path, standardise
from mediafm_core.probes.gate import Verdict, gate
from mediafm_core.probes.heads import Probe, predict, score
from mediafm_core.probes.labels import LabelSet, OutOfFold, label_set
from mediafm_core.probes.metrics import measure
from mediafm_core.probes.probing import fit_probe, out_of_fold
from mediafm_core.probes.reads import CONTEXTUAL_READS, READS, read_label_set
from mediafm_core.probes.report import BASELINES, CONTEXTUAL, report_rows
from mediafm_core.probes.tasks import TASKS, Metric, TaskKind
from mediafm_core.store.manifest import Manifest, serialise

N_SHOTS, N_CLIPS, DIMS = 12, 6, 8
V1, FUSED = Origin("v1", "tiny"), Origin("fused", "tiny")


def catalogue(n_titles: int = 24, origin: Origin = V1) -> dict[str, TitleShots]:
    rng = np.random.default_rng(0)
    ends = np.arange(1.0, N_SHOTS + 1) * 5
    return {
        f"title-{i:02d}": TitleShots(
            title=f"title-{i:02d}",
            origin=origin,
            start_s=ends - 5,
            end_s=ends,
            vectors=rng.normal(size=(N_SHOTS, DIMS)).astype(np.float32) + rng.normal(size=DIMS).astype(np.float32),
            title_vector=rng.normal(size=DIMS).astype(np.float32),
        )
        for i in range(n_titles)
    }


def labels_of(task_name: str, titles: dict[str, TitleShots]) -> LabelSet:
    """Labels that the clips' own vectors tell, with some noise."""
    task, rng = TASKS[task_name], np.random.default_rng(1)
    rows = [(t, 2.0 * DIMS * i % 50, 2.0 * DIMS * i % 50 + 10) for t in titles for i in range(N_CLIPS)]
    ids, starts, ends = zip(*rows, strict=True)
    plain = label_set(TASKS["popularity"], ids, starts, ends, ranks=np.zeros(len(rows)))
    truth = read_label_set(READS["clip"], titles, plain).values[:, :3] + rng.normal(size=(len(rows), 3)) * 0.3
    if task.kind is TaskKind.RANKING:
        return replace(plain, task=task, targets=truth[:, :1].astype(np.float64))
    names = task.labels or ("a", "b", "c")
    return replace(plain, task=task, names=names, targets=truth[:, : len(names)] > 0.5)


@pytest.fixture(scope="module")
def titles() -> dict[str, TitleShots]:
    torch.set_num_threads(1)
    return catalogue()


@pytest.fixture(scope="module")
def probes(titles) -> dict[str, Probe]:
    return {name: fit_probe(labels_of(name, titles), titles, CONTEXTUAL_READS) for name in TASKS}


def columns(n: int = 200, width: int = 6):
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) * 5 + 7).astype(np.float32)
    y = (x[:, :3] - x[:, :3].mean(axis=0) + 4 * rng.normal(size=(n, 3)) > [0, 3, -8]).astype(np.float32)
    return x, y


@pytest.mark.parametrize("width", [6, 300])
def test_ridge_is_scikit_learns_with_more_clips_than_columns_and_with_fewer(width: int) -> None:
    x, y = columns(width=width)
    turned = standardise(x)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    for alpha, found in zip((0.5, 0.02), ridge_path(turned, torch.from_numpy(y), (0.5, 0.02)), strict=True):
        expected = Ridge(alpha=alpha * len(x)).fit(z, y)
        np.testing.assert_allclose(found.weights.numpy(), expected.coef_.T, atol=2e-4)
        np.testing.assert_allclose(found.bias.numpy(), expected.intercept_, atol=1e-5)


def test_cross_entropy_is_scikit_learns_when_it_runs_to_its_end(monkeypatch) -> None:
    monkeypatch.setattr(fitting, "N_STEPS", 100)
    x, y = columns()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    for alpha, found in zip(
        (0.3, 0.003), logistic_path(standardise(x), torch.from_numpy(y), (0.3, 0.003)), strict=True
    ):
        for j in range(3):
            expected = LogisticRegression(C=1 / (alpha * len(x)), tol=1e-8, max_iter=1000).fit(z, y[:, j])
            np.testing.assert_allclose(found.weights[:, j].numpy(), expected.coef_[0], atol=2e-3)
            np.testing.assert_allclose(found.bias[j].item(), expected.intercept_[0], atol=2e-3)


def test_cross_entropy_stays_finite_where_labels_are_told_apart_for_certain_or_never_vary() -> None:
    x, _ = columns()
    y = np.stack([x[:, 0] > 7, np.ones(len(x)), np.zeros(len(x))], axis=1).astype(np.float32)
    turned = standardise(np.concatenate([x, np.full((len(x), 1), 5, np.float32)], axis=1))
    *_, found = logistic_path(turned, torch.from_numpy(y), (0.1, 1e-6))
    scores = (turned.values @ found.weights + found.bias).numpy()
    assert np.isfinite(scores).all()
    assert ((scores[:, 0] > 0) == y[:, 0]).mean() > 0.98
    assert (scores[:, 1] > 0).all()
    assert (scores[:, 2] < 0).all()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_learnt_where_vectors_tell_it(task: str, probes) -> None:
    held_out = probes[task].held_out
    labels, metric = held_out.labels, held_out.labels.task.metric
    chance = 0.0 if metric is Metric.KENDALL_TAU else labels.targets.mean()
    assert measure(metric, held_out.scores, labels.targets, labels.of) > chance + 0.3
    assert probes[task].head.read in {read.name for read in CONTEXTUAL_READS}


@pytest.mark.parametrize("task", ["genre", "ad_relevancy"])
def test_the_read_that_tells_the_labels_is_chosen(task: str, titles) -> None:
    labels = labels_of(task, titles)
    told = read_label_set(READS["clip + neighbours within 12"], titles, labels).values[:, DIMS : DIMS + 3]
    labels = replace(labels, targets=told > np.median(told, axis=0))
    reads = [READS[name] for name in ("clip", "clip + neighbours within 12", "clip + title vector")]
    assert fit_probe(labels, titles, reads).head.read == "clip + neighbours within 12"


def test_noise_that_belongs_to_titles_scores_near_chance() -> None:
    """Random folds would learn the titles by heart: here they do, where each clip is called a title of its own.

    A title's clips stand and fall together, so a precision at chance spreads as the share of hits among as many tosses
    as there are titles. Over all draws it may stray by three standard deviations of that, .037.
    """
    n_titles, n_draws, share = 200, 8, 0.4
    titles = catalogue(n_titles)
    labels = labels_of("retrieval", titles)
    features = [read_label_set(read, titles, labels) for read in CONTEXTUAL_READS]

    def above_chance(seed: int, *, by_titles: bool) -> float:
        noise = (np.random.default_rng(seed).random(n_titles) < share)[labels.of][:, None]
        as_titles = {} if by_titles else {"titles": tuple(map(str, range(len(noise)))), "of": np.arange(len(noise))}
        scores = out_of_fold(replace(labels, targets=noise, **as_titles), features).scores
        return measure(Metric.AP, scores, noise, labels.of) - noise.mean()

    bound = 3 * np.sqrt(share * (1 - share) / (n_titles * n_draws))
    assert np.mean([above_chance(seed, by_titles=True) for seed in range(n_draws)]) < bound
    assert above_chance(0, by_titles=False) > 2 * bound


def test_popularity_is_judged_in_ten_folds_and_within_titles_alone(titles, probes) -> None:
    held_out = probes["popularity"].held_out
    labels, task = held_out.labels, held_out.labels.task
    assert task.n_folds == 10
    lifted = held_out.scores + 100 * np.random.default_rng(0).normal(size=len(labels.titles))[labels.of][:, None]
    before, after = (measure(task.metric, s, labels.targets, labels.of) for s in (held_out.scores, lifted))
    assert after == pytest.approx(before, abs=0.02)  # rounding ties scores that lay next to each other


def test_labels_of_a_held_out_title_do_not_reach_its_scores(titles) -> None:
    labels = labels_of("genre", titles)
    features = [read_label_set(READS["clip"], titles, labels)]
    turned_over = np.where(labels.of[:, None] == 3, ~labels.targets, labels.targets)
    mine = labels.of == 3
    before, after = (
        out_of_fold(given, features).scores[mine] for given in (labels, replace(labels, targets=turned_over))
    )
    np.testing.assert_array_equal(before, after)


def test_report_gate_and_predictions_score_a_clip_by_one_function(titles, probes) -> None:
    head = probes["tone"].head
    labels = probes["tone"].held_out.labels
    together = score(head, read_label_set(READS[head.read], titles, labels))
    mine = labels.of == 2
    alone = predict(head, titles[labels.titles[2]], labels.start_s[mine], labels.end_s[mine])
    np.testing.assert_allclose(alone, together[mine], atol=1e-5)
    assert together.shape == (len(labels), len(head.names))
    assert together.dtype == np.float32


@pytest.mark.parametrize("other", [Origin("v2", "tiny"), Origin("v1", "large"), FUSED])
def test_a_head_refuses_the_vectors_of_another_encoder_or_suite(other: Origin, probes) -> None:
    head = probes["genre"].head
    with pytest.raises(EncoderMismatchError, match="'v1' on suite 'tiny'"):
        score(head, Features(other, head.read, np.zeros((1, head.dims), np.float32)))
    with pytest.raises(EncoderMismatchError):
        predict(head, catalogue(1, other)["title-00"], np.array([0.0]), np.array([5.0]))


def test_a_head_refuses_an_encoder_of_the_same_name_that_is_another_one(probes) -> None:
    head = replace(probes["genre"].head, origin=V1._replace(made_by="a" * 64))
    values = np.zeros((1, head.dims), np.float32)
    with pytest.raises(EncoderMismatchError, match=r"bbbbbbbbbbbb.*aaaaaaaaaaaa"):
        score(head, Features(V1._replace(made_by="b" * 64), head.read, values))
    for same in (V1._replace(made_by="a" * 64), V1):  # the second comes from no store, and does not know
        score(head, Features(same, head.read, values))


def test_a_committed_head_knows_its_encoder_by_fingerprint(probes) -> None:
    names = (("mediafm_encoder", "v1"), ("probe_heads", "v1|genre"))
    encoder, head = (ArtifactKey(*name, fingerprint(name[0], {})) for name in names)
    data = probes["genre"].to_bytes()
    assert Probe.from_bytes(data).head.origin.made_by == ""
    committed = serialise(data, Manifest(key=head, ingredients={}, inputs={"encoder": encoder}))
    assert Probe.from_bytes(committed).head.origin == V1._replace(made_by=encoder.fingerprint)


def test_the_gate_compares_by_pairs_so_a_small_loss_everywhere_is_seen_beside_titles_that_vary(probes) -> None:
    live = probes["genre"].held_out
    slightly = live._replace(scores=live.scores + 0.02 * np.random.default_rng(0).normal(size=live.scores.shape))
    row = gate({"genre": slightly}, {"genre": live}, {}).rows[0]
    alone = interval(live)
    assert row.low is not None
    assert row.high is not None
    assert row.high - row.low < 0.2 * (alone.high - alone.low)


def test_a_head_refuses_another_read_and_another_width(probes) -> None:
    head = probes["genre"].head
    for read, width in (("position", head.dims), (head.read, head.dims + 1)):
        with pytest.raises(DimensionError):
            score(head, Features(V1, read, np.zeros((1, width), np.float32)))


@pytest.mark.parametrize("task", TASKS)
def test_a_probe_read_back_scores_bit_by_bit_the_same(task: str, probes, titles) -> None:
    probe = probes[task]
    data = probe.to_bytes()
    back = Probe.from_bytes(data)
    labels = probe.held_out.labels
    features = read_label_set(READS[probe.head.read], titles, labels)
    np.testing.assert_array_equal(score(back.head, features), score(probe.head, features))
    np.testing.assert_array_equal(back.held_out.scores, probe.held_out.scores)
    assert back.held_out.labels.digest == labels.digest
    assert back.to_bytes() == data


def test_the_same_titles_and_labels_give_the_same_bytes(titles, probes) -> None:
    again = fit_probe(labels_of("retrieval", titles), titles, CONTEXTUAL_READS)
    assert again.to_bytes() == probes["retrieval"].to_bytes()


def test_damaged_bytes_are_refused(probes) -> None:
    with pytest.raises(ArtifactError, match="probe head"):
        Probe.from_bytes(probes["genre"].to_bytes()[:-9])


def test_one_labelled_title_is_too_few() -> None:
    titles = catalogue(1)
    with pytest.raises(LabelsError, match="too few"):
        fit_probe(labels_of("genre", titles), titles, [READS["clip"]])


def test_the_report_has_contextual_and_every_baseline_for_each_task(titles, probes) -> None:
    fused = catalogue(origin=FUSED)
    rows = report_rows([probes["genre"], probes["popularity"]], fused, n_draws=20)
    assert [(r.task, r.features) for r in rows] == [
        (task, features) for task in ("genre", "popularity") for features in (CONTEXTUAL, *BASELINES)
    ]
    assert all(r.low <= r.value <= r.high for r in rows)
    held_out = probes["genre"].held_out
    assert rows[0].value == measure(Metric.MACRO_AP, held_out.scores, held_out.labels.targets, held_out.labels.of)
    assert [r.dims for r in rows[1:7]] == [DIMS, 2 * DIMS, 3 * DIMS, 2 * DIMS, 4 * DIMS, 8 * DIMS]
    assert [r.dims for r in rows[7:9]] == [7 * DIMS + 9, 7]
    assert rows == report_rows([probes["genre"], probes["popularity"]], fused, n_draws=20)


def worse(out: OutOfFold, noise: float) -> OutOfFold:
    return out._replace(scores=out.scores + noise * np.random.default_rng(0).normal(size=out.scores.shape))


def test_the_gate_blocks_the_worse_and_lets_the_equal_and_the_better_pass(probes) -> None:
    good = {name: probe.held_out for name, probe in probes.items()}
    bad = {**good, "genre": worse(good["genre"], 3)}
    assert gate(good, good, {}).passed
    assert gate(good, bad, {}).passed
    refused = gate(bad, good, {})
    assert [row.task for row in refused.rows if row.verdict is Verdict.BLOCKS] == ["genre"]
    assert not refused.passed
    row = next(row for row in refused.rows if row.task == "genre")
    assert row.high is not None
    assert row.high < 0
    assert "worse than production" in row.reason


def test_a_candidate_that_is_worse_on_one_title_alone_passes(probes) -> None:
    good = probes["genre"].held_out
    odd = np.where(good.labels.of[:, None] == 0, -good.scores, good.scores)
    row = gate({"genre": good._replace(scores=odd)}, {"genre": good}, {}).rows[0]
    assert row.low is not None
    assert row.low < 0
    assert row.verdict is Verdict.PASSES


def test_a_floor_blocks_and_a_first_release_needs_nothing_else(probes) -> None:
    first = {"genre": probes["genre"].held_out}
    assert gate(first, None, {"genre": 0.1}).passed
    refused = gate(first, None, {"genre": 0.99})
    assert "below the floor of 0.99" in refused.rows[0].reason
    assert not refused.passed


def test_a_task_that_production_has_and_the_candidate_lacks_blocks(probes) -> None:
    live = {name: probes[name].held_out for name in ("genre", "tone")}
    refused = gate({"genre": live["genre"]}, live, {})
    assert [(row.task, row.verdict) for row in refused.rows] == [("genre", "passes"), ("tone", "blocks")]
    assert gate(live, {"genre": live["genre"]}, {}).passed
    assert not gate({}, None, {"genre": 0.1}).passed


def test_scores_on_other_labels_cannot_be_compared(probes) -> None:
    one = probes["genre"].held_out
    other = one._replace(labels=replace(one.labels, targets=~one.labels.targets))
    with pytest.raises(LabelsError, match="the same clips and labels"):
        gate({"genre": one}, {"genre": other}, {})


def test_labels_and_folds_and_metrics_and_the_gate_load_no_torch() -> None:
    import subprocess
    import sys

    rooms = ", ".join(f"mediafm_core.probes.{n}" for n in ("reading", "folds", "metrics", "reads", "gate", "tasks"))
    check = f"import sys, {rooms}; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0  # noqa: S603
