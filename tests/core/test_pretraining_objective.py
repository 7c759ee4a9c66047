"""Laws of the objective: nothing hidden is shown, grouping decides memory alone, and every option does something."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mediafm_core.model.config import ModelConfig
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import (
    Distance,
    Masking,
    ObjectiveConfig,
    PretrainingConfig,
    Target,
    TrainerConfig,
)
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import Counts, ask, count
from mediafm_core.sequence.batches import Piece

DIMS = (8, 6, 4)
LENGTHS = (23, 1, 5, 9, 40)

ALL_ON = ObjectiveConfig(
    modality_share=0.3, horizon_weight=0.5, horizons=(2, 5), metadata_weight=0.7, contrast_weight=0.4
)
"""Every loss at once."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny matrices are slower on many threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def config(objective: ObjectiveConfig, max_padded_shots: int = 4096) -> PretrainingConfig:
    model = ModelConfig(
        video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=1, heads=2, dropout=0.0, window=64
    )
    return PretrainingConfig(model=model, objective=objective, trainer=TrainerConfig(max_padded_shots=max_padded_shots))


def pieces(lengths: Sequence[int] = LENGTHS) -> list[Piece]:
    """Made-up pieces: some shots without text, some without anything, the third without metadata."""
    rng = np.random.default_rng(0)
    made = []
    for i, n in enumerate(lengths):
        fused = rng.normal(size=(n, 18)).astype(np.float32)
        fused[rng.random(n) < 0.4, 14:] = 0.0
        fused[rng.random(n) < 0.1] = 0.0
        metadata = np.zeros(5, np.float32) if i == 2 else rng.normal(size=5).astype(np.float32)
        made.append(Piece(torch.from_numpy(fused), torch.from_numpy(metadata), torch.linspace(0, 1, n)))
    return made


class Step:
    """One step's losses and gradients, from fresh weights that are always the same."""

    def __init__(self, c: PretrainingConfig, of: Sequence[Piece]) -> None:
        self.encoder = MediaFM.new(c.model, torch.Generator().manual_seed(0))
        self.encoder.centring.mean.copy_(0.05 * torch.randn(18, generator=torch.Generator().manual_seed(1)))
        self.heads = ObjectiveHeads.new(c, torch.Generator().manual_seed(2))
        self.questions = ask(of, c, torch.Generator().manual_seed(3))
        counts = count(self.questions)
        self.answers = [losses(self.encoder, self.heads, q, counts, c) for q in self.questions]
        total = torch.stack([a.total for a in self.answers]).sum()
        total.backward()
        self.total = total.detach()

    @property
    def gradients(self) -> dict[str, torch.Tensor]:
        named = {**dict(self.encoder.named_parameters()), **dict(self.heads.named_parameters())}
        return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named.items()}

    def part(self, name: str) -> float:
        return sum(float(a.parts[name]) for a in self.answers)


def only(**options: object) -> ObjectiveConfig:
    """Masked Shot Modeling and what is named."""
    return ObjectiveConfig(**{"visible_share": 0.0, "visible_weight": 0.0, **options})  # pyright: ignore


# Nothing hidden is shown


def test_what_is_hidden_is_zero_in_the_batch_and_whole_among_the_targets() -> None:
    whole = pieces()
    question = ask(whole, config(replace(ALL_ON, metadata_share=0.9)), torch.Generator().manual_seed(0))[0]
    hidden = torch.cat([question.hidden_blocks[..., i, None].expand(-1, -1, d) for i, d in enumerate(DIMS)], dim=-1)
    assert hidden.any()
    assert question.hidden_metadata.any()
    assert not question.batch.fused[hidden].any()
    assert torch.equal(question.batch.fused[~hidden], question.fused[~hidden])
    assert not question.batch.metadata[question.hidden_metadata].any()
    assert torch.equal(question.batch.metadata[~question.hidden_metadata], question.metadata[~question.hidden_metadata])
    assert torch.equal(question.fused[0], whole[-1].fused)  # the longest piece comes first


@pytest.mark.parametrize("target", list(Target))
def test_a_masked_shot_is_what_answers_are_compared_with_and_no_part_of_them(target: Target) -> None:
    c = config(replace(ALL_ON, target=target))
    step = Step(c, pieces())
    counts = count(step.questions)
    for question, before in zip(step.questions, step.answers, strict=True):
        other = question.batch.fused.masked_fill(question.masked[..., None], 7.0)
        shown = question._replace(batch=question.batch._replace(fused=other))
        assert torch.equal(losses(step.encoder, step.heads, shown, counts, c).total, before.total)
        asked = question._replace(fused=question.fused.masked_fill(question.masked[..., None], 7.0))
        assert not torch.equal(losses(step.encoder, step.heads, asked, counts, c).total, before.total)


def test_no_shot_loses_all_its_modalities_and_no_absent_one_counts_as_hidden() -> None:
    c = config(only(modality_share=0.95))
    for question in ask(pieces(), c, torch.Generator().manual_seed(0)):
        had, left = (_present(fused) for fused in (question.fused, question.batch.fused))
        assert torch.equal(left.any(-1), had.any(-1))
        assert torch.equal(had & ~left, question.hidden_blocks)
        assert not (question.hidden_blocks.any(-1) & question.masked).any()


def _present(fused: torch.Tensor) -> torch.Tensor:
    return torch.stack([(block != 0).any(-1) for block in fused.split(DIMS, -1)], dim=-1)


def test_modalities_and_metadata_are_hidden_as_often_as_asked() -> None:
    full = [Piece(torch.ones(400, 18), torch.ones(5), torch.zeros(400)) for _ in range(60)]
    questions = ask(full, config(replace(ALL_ON, modality_share=0.15)), torch.Generator().manual_seed(0))
    counts = count(questions)
    n_shown = 60 * 400 - counts.masked
    assert counts.hidden_blocks / n_shown / 3 == pytest.approx(0.15, abs=0.01)
    assert counts.hidden_metadata / 60 == pytest.approx(0.5, abs=0.2)


# Grouping


@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("target", list(Target))
def test_how_pieces_share_batches_changes_losses_and_gradients_by_rounding_alone(
    distance: Distance, target: Target
) -> None:
    objective = replace(ALL_ON, distance=distance, target=target)
    one, many = (Step(config(objective, n), pieces((40, 23, 31, 25, 22))) for n in (10**6, 1))
    assert len(one.questions) < len(many.questions) == 5
    torch.testing.assert_close(one.total, many.total, rtol=1e-5, atol=0)
    for name, gradient in one.gradients.items():
        torch.testing.assert_close(gradient, many.gradients[name], rtol=1e-3, atol=2e-6, msg=name)


def test_counts_of_parts_of_a_step_add_up() -> None:
    questions = ask(pieces(), config(ALL_ON, 1), torch.Generator().manual_seed(0))
    parts = [count(questions[:2]), count(questions[2:])]
    assert Counts(*map(sum, zip(*parts, strict=True))) == pytest.approx(count(questions))


def test_what_stands_in_padding_changes_nothing() -> None:
    c = config(replace(ALL_ON, target=Target.DENOISED))
    step = Step(c, pieces())
    counts = count(step.questions)
    for question, before in zip(step.questions, step.answers, strict=True):
        padding = ~question.batch.real[..., None]
        filled = question._replace(
            batch=question.batch._replace(fused=question.batch.fused.masked_fill(padding, 9.0)),
            fused=question.fused.masked_fill(padding, -9.0),
        )
        assert torch.equal(losses(step.encoder, step.heads, filled, counts, c).total, before.total)


# Every option does something


_CHANGED: dict[str, object] = {
    "mask_share": 0.5,
    "masking": Masking.SPANS,
    "span_shots": 3,
    "distance": Distance.FUSED,
    "target": Target.DENOISED,
    "visible_share": 0.6,
    "visible_weight": 2.0,
    "modality_share": 0.6,
    "modality_weight": 2.0,
    "horizon_weight": 2.0,
    "horizons": (3, 5),
    "metadata_weight": 2.0,
    "metadata_share": 0.9,
    "contrast_weight": 2.0,
    "temperature": 0.5,
}


@pytest.mark.parametrize("name", [f.name for f in fields(ObjectiveConfig)])
def test_every_field_of_the_objective_changes_loss_and_gradient(name: str) -> None:
    base = replace(ALL_ON, masking=Masking.SPANS) if name == "span_shots" else ALL_ON
    before, after = (Step(config(o), pieces()) for o in (base, replace(base, **{name: _CHANGED[name]})))
    assert not torch.equal(before.total, after.total)
    assert any(not torch.equal(g, after.gradients[n]) for n, g in before.gradients.items() if n.startswith("blocks"))


def test_scenes_are_another_masking_than_shots_and_spans() -> None:
    masks = [ask(pieces(), config(only(masking=m)), torch.Generator().manual_seed(0))[0].masked for m in Masking]
    assert len({tuple(m.flatten().tolist()) for m in masks}) == len(Masking)


@pytest.mark.parametrize("off", ["visible", "horizon", "metadata", "contrast"])
def test_a_loss_without_weight_is_not_even_computed(off: str) -> None:
    step = Step(config(replace(ALL_ON, **{f"{off}_weight": 0.0})), pieces())
    assert off not in step.answers[0].parts


def test_modalities_can_be_hidden_without_being_asked_for() -> None:
    step = Step(config(only(modality_share=0.3, modality_weight=0.0)), pieces())
    assert count(step.questions).hidden_blocks > 0
    assert list(step.answers[0].parts) == ["msm"]


def test_the_total_is_the_weighted_sum_of_the_parts() -> None:
    step = Step(config(ALL_ON), pieces())
    weights = {"msm": 1.0, "visible": 1.0, "modality": 1.0, "horizon": 0.5, "metadata": 0.7, "contrast": 0.4}
    assert set(step.answers[0].parts) == set(weights)
    assert float(step.total) == pytest.approx(sum(w * step.part(name) for name, w in weights.items()), rel=1e-5)


def test_metadata_costs_one_minus_the_cosine_over_the_pieces_that_hide_theirs() -> None:
    step = Step(config(only(metadata_weight=1.0, metadata_share=0.7)), pieces())
    apart = []
    for q in step.questions:
        for cls, hidden, truth in zip(
            step.encoder.encode(*q.batch, masked=q.masked).cls, q.hidden_metadata, q.metadata, strict=True
        ):
            if hidden:
                apart.append(1 - torch.cosine_similarity(step.heads.metadata[0](cls), truth, dim=-1).item())
    assert len(apart) == count(step.questions).hidden_metadata > 1
    assert step.part("metadata") == pytest.approx(np.mean(apart), rel=1e-5)


def test_options_that_are_off_draw_nothing() -> None:
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    ask(pieces(), config(ObjectiveConfig()), generators[0])
    for n in LENGTHS:
        torch.randperm(n, generator=generators[1])
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_msm_alone_keeps_the_masks_and_hides_and_asks_nothing_else() -> None:
    objective = replace(ALL_ON, target=Target.DENOISED)
    plain, posts = (ask(pieces(), config(o), torch.Generator().manual_seed(0)) for o in (objective.msm_alone, only()))
    assert all(torch.equal(q.masked, p.masked) for q, p in zip(plain, posts, strict=True))
    assert all(torch.equal(q.batch.fused, q.fused) and torch.equal(q.batch.metadata, q.metadata) for q in plain)
    step = Step(config(objective.msm_alone), pieces())
    assert list(step.answers[0].parts) == ["msm"]
    assert step.total == Step(config(only()), pieces()).total


@pytest.mark.parametrize("objective", [ALL_ON, replace(ALL_ON, target=Target.DENOISED, distance=Distance.FUSED)])
def test_in_bfloat16_the_encoder_is_rounded_and_the_losses_are_not(objective: ObjectiveConfig) -> None:
    exact = Step(config(objective), pieces())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = Step(config(objective), pieces())
    assert all(p.dtype is torch.float32 for a in rounded.answers for p in a.parts.values())
    assert rounded.total == pytest.approx(float(exact.total), rel=0.02)


def test_heads_exist_for_what_is_asked_alone_and_all_learn() -> None:
    assert not list(ObjectiveHeads.new(config(ObjectiveConfig()), torch.Generator()).parameters())
    step = Step(config(ALL_ON), pieces())
    assert len(list(step.heads.parameters())) == 2 * (2 * 2 + 1)
    assert all(p.grad is not None and p.grad.any() for p in step.heads.parameters())


# Awkward pieces


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("masking", list(Masking))
def test_a_title_without_any_modality_costs_nothing_and_makes_no_nan(masking: Masking, target: Target) -> None:
    empty = [Piece(torch.zeros(n, 18), torch.zeros(5), torch.linspace(0, 1, n)) for n in (1, 12)]
    step = Step(config(replace(ALL_ON, masking=masking, target=target)), empty)
    assert step.total == 0.0
    assert all(torch.isfinite(g).all() for g in step.gradients.values())


@pytest.mark.parametrize("target", list(Target))
def test_losses_and_gradients_are_finite_where_some_shots_are_empty(target: Target) -> None:
    step = Step(config(replace(ALL_ON, target=target)), [*pieces(), *pieces((1, 2, 3))])
    assert torch.isfinite(step.total)
    assert all(torch.isfinite(g).all() for g in step.gradients.values())
