"""The ablation: every row is made lazily, by the code that the report uses; findings follow from paired intervals."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.contextual.embedding import embed_title
from mediafm_core.errors import DimensionError, IdentityError, LabelsError
from mediafm_core.model.config import ModelConfig
from mediafm_core.model.encoder import MediaFM
from mediafm_core.probes.ablation.findings import Rule, Verdict, findings, verdict_by, verdict_of
from mediafm_core.probes.ablation.material import (
    ClipTable,
    InContext,
    Isolated,
    Material,
    Outside,
    TitleMaterial,
    untrained,
)
from mediafm_core.probes.ablation.rows import AblationRow, ablation_rows
from mediafm_core.probes.ablation.trees import trees_out_of_fold
from mediafm_core.probes.ablation.variants import AS_THE_POST, CLIP_ALONE, ISOLATED, ONE_MODALITY, families
from mediafm_core.probes.comparing import difference
from mediafm_core.probes.features import FUSED, Features, Origin, TitleShots
from mediafm_core.probes.labels import LabelSet, OutOfFold, label_set
from mediafm_core.probes.metrics import Interval, Resampled, measure
from mediafm_core.probes.probing import fit_probe, out_of_fold
from mediafm_core.probes.reads import CONTEXTUAL_READS, READS, read_clips
from mediafm_core.probes.report import BASELINES, CONTEXTUAL, FUSED_ROW, baseline_rows, contextual_row, row_of
from mediafm_core.probes.tasks import TASKS

DIMS, N_TITLES, N_SHOTS, N_CLIPS = (4, 3, 3), 12, 14, 5
CONFIG = ModelConfig(
    video_dims=4, audio_dims=3, text_dims=3, metadata_dims=3, hidden=8, layers=1, heads=2, dropout=0.0, window=16
)


@pytest.fixture(scope="module")
def material() -> Material:
    torch.set_num_threads(1)
    rng, ends = np.random.default_rng(0), np.arange(1.0, N_SHOTS + 1) * 4
    shots = {f"title-{i:02d}": rng.normal(size=(N_SHOTS, sum(DIMS))).astype(np.float32) for i in range(N_TITLES)}
    titles = {t: TitleMaterial(ends - 4, ends, v, rng.normal(size=3).astype(np.float32)) for t, v in shots.items()}
    titles["title-05"] = titles["title-05"]._replace(metadata=None)
    return Material(suite="tiny", modality_dims=DIMS, metadata_dims=3, titles=titles)


@pytest.fixture(scope="module")
def encoder() -> MediaFM:
    made = MediaFM.new(CONFIG, torch.Generator().manual_seed(1)).eval()
    made.centring.mean.fill_(0.25)
    return made


@pytest.fixture(scope="module")
def labels(material: Material) -> list[LabelSet]:
    clips = [(t, 8.0 * i, 8.0 * i + 11) for t in material.titles for i in range(N_CLIPS)]
    ids, starts, ends = zip(*clips, strict=True)
    rng = np.random.default_rng(2)
    genre = label_set(
        TASKS["genre"], ids, starts, ends, labels=[["a"] if x else ["b"] for x in rng.random(len(ids)) < 0.5]
    )
    popularity = label_set(TASKS["popularity"], ids, starts, ends, ranks=rng.random(len(ids)))
    return [
        replace(genre, task=replace(genre.task, n_folds=2)),
        replace(popularity, task=replace(popularity.task, n_folds=2)),
    ]


@pytest.fixture(scope="module")
def made(material, encoder, labels) -> list[AblationRow]:
    table = ClipTable(
        tuple(labels[0].titles[i] for i in labels[0].of),
        labels[0].start_s,
        labels[0].end_s,
        np.random.default_rng(3).normal(size=(len(labels[0]), 5)).astype(np.float32),
    )
    asked = families(material, encoder, "v1", others={"paper": untrained(encoder, 5)}, outside={"elsewhere": table})
    return list(ablation_rows(labels, asked, n_draws=20))


def test_a_row_for_each_variant_and_task_counted_as_they_come(made: list[AblationRow]) -> None:
    assert [r.n_done for r in made] == list(range(1, len(made) + 1))
    assert {r.n_in_all for r in made} == {len(made)}
    names = {task: [r.row.features for r in made if r.row.task == task] for task in ("genre", "popularity")}
    assert len(set(names["genre"])) == len(names["genre"])
    assert {*BASELINES, CONTEXTUAL, CLIP_ALONE, ISOLATED, *ONE_MODALITY.values(), "paper", "elsewhere"} <= set(
        names["genre"]
    )
    assert set(names["genre"]) - set(names["popularity"]) == {"contextual, smooth AP head"}
    assert all(r.row.low <= r.row.high for r in made)


def test_without_an_encoder_clips_are_read_in_every_way_that_an_encoder_may_choose(material, encoder) -> None:
    (fused,) = [f for f in families(material, encoder, "v1") if FUSED_ROW in {v.name for v in f.variants}]
    reads = {variant.name: variant.reads for variant in fused.variants}
    assert {(read,) for read in CONTEXTUAL_READS} < set(reads.values())
    assert reads["fused + title mean + metadata"] == (READS["clip + title mean + title vector"],)
    assert reads["fused + 12 before + 12 after + metadata"] == (READS["clip + 12 before + 12 after + title vector"],)


def test_two_rows_of_one_name_are_refused(material, encoder) -> None:
    with pytest.raises(IdentityError, match="'fused'"):
        families(material, encoder, "v1", others={FUSED_ROW: encoder})


def test_nothing_is_computed_before_it_is_asked_for_and_known_rows_are_passed_over(
    material, labels, encoder, made
) -> None:
    class Counting(dict):
        asked = 0

        def __getitem__(self, title: str) -> TitleMaterial:
            Counting.asked += 1
            return super().__getitem__(title)

    lazy = replace(material, titles=Counting(material.titles))
    rows = ablation_rows(labels, families(lazy, encoder, "v1"), n_draws=20)
    assert Counting.asked == 0
    first = [r.row for r in islice(rows, 3)]
    assert first == [r.row for r in made[:3]]
    known = {(r.row.task, r.row.features) for r in made} - {("genre", CLIP_ALONE)}
    (left,) = ablation_rows(labels, families(lazy, encoder, "v1"), known=known, n_draws=20)
    assert left.row == next(r.row for r in made if (r.row.task, r.row.features) == ("genre", CLIP_ALONE))


def test_rows_that_the_report_has_too_are_the_reports(material, encoder, labels, made) -> None:
    fused = {t: material.shots(t, FUSED, m.fused, None) for t, m in material.titles.items()}
    by_name = {(r.row.task, r.row.features): r.row for r in made}
    for each in labels:
        baselines = baseline_rows(each, fused, n_draws=20)
        assert [by_name[row.task, row.features] for row in baselines] == baselines
        probe = fit_probe(each, InContext(material, encoder, "v1"), CONTEXTUAL_READS)
        assert by_name[each.task.name, CONTEXTUAL] == contextual_row(probe, n_draws=20)


def test_an_isolated_clip_is_what_a_title_of_nothing_but_its_shots_would_be(material, encoder, labels) -> None:
    found = Isolated(material, encoder, "alone")(READS["clip"], labels[0])
    given = material.titles[labels[0].titles[0]]
    inside = slice(2, 5)  # the second clip, [8, 19) s, overlaps these shots
    embedded = embed_title(encoder, given.fused[inside], given.metadata)
    shots = TitleShots(
        title="x", origin=found.origin, start_s=given.start_s[inside], end_s=given.end_s[inside], vectors=embedded.shots
    )
    expected = read_clips(READS["clip"], shots, np.array([8.0]), np.array([19.0])).values[0]
    np.testing.assert_allclose(found.values[1], expected, atol=1e-6)
    other = {
        t: m._replace(fused=np.where(np.arange(N_SHOTS)[:, None] < 5, m.fused, 9)) for t, m in material.titles.items()
    }
    again = Isolated(replace(material, titles=other), encoder, "alone")(READS["clip"], labels[0])
    np.testing.assert_array_equal(again.values[1], found.values[1])


def test_without_global_a_title_is_read_as_one_that_has_no_metadata(material, encoder) -> None:
    title, given = next(iter(material.titles.items()))
    without = InContext(material, encoder, "v1", metadata_of=lambda _: None)[title]
    np.testing.assert_array_equal(without.vectors, embed_title(encoder, given.fused, None).shots)
    assert not np.allclose(without.vectors, InContext(material, encoder, "v1")[title].vectors)


def test_metadata_as_the_post_has_it_is_a_row_where_it_is_given_and_reaches_the_encoder(material, encoder) -> None:
    other = {t: np.arange(3, dtype=np.float32) - i for i, t in enumerate(material.titles)}
    (family,) = [
        f for f in families(material, encoder, "v1", as_the_post=other.get) if f.variants[0].name == AS_THE_POST
    ]
    assert AS_THE_POST not in {v.name for f in families(material, encoder, "v1") for v in f.variants}
    title, given = next(iter(material.titles.items()))
    read = InContext(material, encoder, "v1", metadata_of=other.get)[title]
    np.testing.assert_array_equal(read.vectors, embed_title(encoder, given.fused, other[title]).shots)
    assert not np.allclose(read.vectors, InContext(material, encoder, "v1")[title].vectors)
    assert family.variants[0].reads == CONTEXTUAL_READS


def test_an_untrained_encoder_has_fresh_weights_and_the_same_statistics(encoder) -> None:
    fresh = untrained(encoder, seed=7)
    assert torch.equal(fresh.centring.mean, encoder.centring.mean)
    assert not torch.equal(fresh.input_proj.weight, encoder.input_proj.weight)
    assert torch.equal(untrained(encoder, seed=7).input_proj.weight, fresh.input_proj.weight)
    assert fresh.config == encoder.config


def test_vectors_from_outside_are_found_by_title_and_span_and_missing_ones_are_named(labels) -> None:
    each = labels[0]
    order = np.random.default_rng(4).permutation(len(each))
    vectors = np.arange(len(each), dtype=np.float32)[:, None]
    table = ClipTable(
        tuple(each.titles[each.of[i]] for i in order), each.start_s[order] + 1e-5, each.end_s[order], vectors[order]
    )
    np.testing.assert_array_equal(Outside(table, "other")(READS["clip"], each).values, vectors)
    short = ClipTable(table.title[1:], table.start_s[1:], table.end_s[1:], table.vectors[1:])
    with pytest.raises(LabelsError, match=r"1 of 60 clips without a vector of 'other', first \["):
        Outside(short, "other")(READS["clip"], each)
    with pytest.raises(DimensionError, match="59 titles"):
        Outside(table._replace(title=table.title[1:]), "other")


def test_trees_learn_what_no_linear_head_does_and_never_see_the_held_out_title(labels) -> None:
    each, rng = labels[0], np.random.default_rng(6)
    x = rng.normal(size=(len(each) * 10, 3)).astype(np.float32)
    many = label_set(
        each.task,
        [f"title-{i // 5:03d}" for i in range(len(x))],
        np.arange(len(x)),
        np.arange(len(x)) + 1,
        labels=[["a"] if v else [] for v in x[:, 0] * x[:, 1] > 0.3],
    )
    features = [Features(Origin(FUSED, "tiny"), "clip", x)]
    by_trees, by_line = trees_out_of_fold(many, features, features), out_of_fold(many, features)
    assert difference(by_trees, by_line).low > 0.2
    turned_over = replace(many, targets=np.where(many.of[:, None] == 4, ~many.targets, many.targets))
    mine = many.of == 4
    np.testing.assert_array_equal(
        by_trees.scores[mine], trees_out_of_fold(turned_over, features, features).scores[mine]
    )


def scored(labels: LabelSet, quality: float, seed: int = 0) -> OutOfFold:
    noise = np.random.default_rng(seed).normal(size=labels.targets.shape)
    return OutOfFold(labels, (quality * labels.targets + noise).astype(np.float32))


def big(task: str) -> LabelSet:
    rng = np.random.default_rng(8)
    ids = [f"title-{i // 8:03d}" for i in range(960)]
    drawn = rng.random(960)
    named = [["positive"] if x < 0.3 else [] for x in drawn]
    return label_set(TASKS[task], ids, np.arange(960), np.arange(960) + 1, labels=named, ranks=drawn)


def rows_of(task: str, **quality: float) -> list[AblationRow]:
    named = {"one": "video only", "fused": FUSED_ROW, "context": CLIP_ALONE, "alone": ISOLATED}
    outs = {named[name]: scored(big(task), q) for name, q in quality.items()}
    return [AblationRow(row_of(name, out, 1, n_draws=20), out, 1, 1) for name, out in outs.items()]


@pytest.mark.parametrize(
    ("context", "alone", "verdict"), [(3, 0, Verdict.HOLDS), (0, 3, Verdict.REFUTED), (1, 1, Verdict.UNDECIDED)]
)
def test_in_context_over_isolated_is_decided_by_the_paired_interval(context, alone, verdict) -> None:
    found = findings(rows_of("retrieval", context=context, alone=alone), n_draws=50)
    (finding,) = [f for f in found if "clip alone" in f.claim]
    assert finding.verdict is verdict
    assert finding.contrasts[0].says == f"retrieval: {CLIP_ALONE} - {ISOLATED}"


def test_context_over_modalities_and_hurt_popularity_and_narrative_tasks_are_each_decided() -> None:
    rows = rows_of("popularity", one=9, fused=2, context=9) + rows_of("ad_relevancy", one=0.5, fused=0.6, context=3)
    verdicts = {f.claim: f.verdict for f in findings(rows, n_draws=50)}
    assert verdicts["Without context, further modalities hurt popularity."] is Verdict.HOLDS
    assert verdicts["Context adds more than further modalities do."] is Verdict.HOLDS
    other = findings(rows_of("popularity", one=2, fused=9, context=9), n_draws=50)
    assert {f.claim: f.verdict for f in other}[
        "Without context, further modalities hurt popularity."
    ] is Verdict.REFUTED


def test_a_finding_without_its_rows_is_undecided(made: list[AblationRow]) -> None:
    assert {f.verdict for f in findings([])} == {Verdict.UNDECIDED}
    assert len(findings(made, n_draws=20)) == 5


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_contrast_is_decided_only_where_the_whole_interval_is_on_one_side(low: float, high: float) -> None:
    low, high = sorted((low, high))
    found = verdict_of(Interval((low + high) / 2, low, high))
    assert (found is Verdict.HOLDS) == (low > 0)
    assert (found is Verdict.REFUTED) == (high < 0)


def test_rules_say_how_many_contrasts_a_finding_needs() -> None:
    yes, no, open_ = Verdict.HOLDS, Verdict.REFUTED, Verdict.UNDECIDED
    assert verdict_by(Rule.ALL, [yes, yes]) is yes
    assert verdict_by(Rule.ALL, [yes, open_]) is open_
    assert verdict_by(Rule.ALL, [yes, yes, no]) is no
    assert verdict_by(Rule.MOST, [yes, yes, no]) is yes
    assert verdict_by(Rule.MOST, [yes, no]) is open_
    assert verdict_by(Rule.MOST, [no, no, yes]) is no
    assert verdict_by(Rule.MOST, []) is open_


def test_a_difference_is_that_of_the_same_draws_and_refuses_other_labels() -> None:
    first, second = scored(big("retrieval"), 2), scored(big("retrieval"), 1)
    found = difference(first, second, n_draws=50)
    metric, labels = first.labels.task.metric, first.labels
    values = [measure(metric, each.scores, labels.targets, labels.of) for each in (first, second)]
    assert found.value == values[0] - values[1]
    assert found.low > 0
    assert difference(first, first) == (0.0, 0.0, 0.0)
    with pytest.raises(LabelsError, match="the same clips and labels"):
        difference(first, scored(big("popularity"), 1))


def test_a_relative_gain_leaves_out_draws_that_it_has_no_meaning_for() -> None:
    gain = Resampled(0.6, np.array([0.6, 0.7, 0.6])).over(Resampled(0.5, np.array([0.5, 0.5, -0.1])))
    assert gain.value == pytest.approx(0.2)
    assert gain.interval.high == pytest.approx(0.4, abs=0.01)
