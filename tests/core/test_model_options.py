"""Each field of an encoder's configuration does what it says, and none does nothing."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mediafm_core.contextual.embedding import embed_title
from mediafm_core.model import checkpoint
from mediafm_core.model.block import attend
from mediafm_core.model.config import Missing, ModelConfig, Positions, Precision, Reading, Readout, sized
from mediafm_core.model.encoder import MediaFM
from mediafm_core.model.positions import rotary_turns, rotate
from mediafm_core.model.stem import surroundings
from mediafm_core.sequence.batches import collate, piece
from mediafm_core.sequence.windows import Window

DIMS = (8, 6, 4)
BASE = ModelConfig(
    video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=2, heads=2, dropout=0.0, window=16
)
STEM = (2, 5)


def encoder(config: ModelConfig) -> MediaFM:
    return MediaFM.new(config, torch.Generator().manual_seed(0)).eval()


def grown(config: ModelConfig) -> MediaFM:
    """With larger weights than at birth, so that every part is felt."""
    made, g = encoder(config), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=g) * 0.2)
    return made


def arrays(n_shots: int, config: ModelConfig = BASE) -> tuple[np.ndarray, np.ndarray]:
    """A title of any widths; two in five shots are silent."""
    rng = np.random.default_rng(n_shots)
    fused = rng.normal(size=(n_shots, config.fused_dims)).astype(np.float32)
    fused[rng.random(n_shots) < 0.4, config.video_dims + config.audio_dims :] = 0.0
    return fused, rng.normal(size=config.metadata_dims).astype(np.float32)


def batch(n_shots: int, pad_to: int | None = None):
    fused, metadata = map(torch.from_numpy, arrays(n_shots))
    return collate([piece(fused, metadata, Window(0, n_shots))], pad_to)


# No field without effect

OTHER = {
    "video_dims": 9, "audio_dims": 7, "text_dims": 5, "metadata_dims": 6, "hidden": 32, "layers": 3, "heads": 4,
    "mlp_ratio": 2, "dropout": 0.5, "positions": Positions.LEARNED, "window": 24, "stride_share": 0.25,
    "reading": Reading.WHOLE, "readout": Readout.PROJECTED, "precision": Precision.BFLOAT16,
    "missing": Missing.LEARNED, "stem": STEM,
}  # fmt: skip


def trained_upon(config: ModelConfig) -> np.ndarray:
    """What training sees: the output with dropout."""
    torch.manual_seed(0)
    return encoder(config).train()(*batch(16)).shots.detach().numpy()


def moves(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape != other.shape or not np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", [field.name for field in fields(ModelConfig)])
def test_every_field_changes_what_the_encoder_gives(name: str) -> None:
    changed = replace(BASE, **{name: OTHER[name]})
    one, other = (embed_title(encoder(c), *arrays(60, c)).shots for c in (BASE, changed))
    widths_differ = name.endswith("_dims") and {k: v.shape for k, v in encoder(BASE).state_dict().items()} != {
        k: v.shape for k, v in encoder(changed).state_dict().items()
    }
    assert widths_differ or moves(one, other) or moves(trained_upon(BASE), trained_upon(changed))


@pytest.mark.parametrize("option", [{"missing": Missing.LEARNED}, {"stem": STEM}, {"stem": STEM[:1]}])
def test_an_option_that_is_off_leaves_the_weights_of_all_else_and_a_checkpoint_holds_it(option: dict) -> None:
    made = encoder(replace(BASE, **option))
    assert set(encoder(BASE).state_dict()) < set(made.state_dict())
    loaded = checkpoint.load(checkpoint.save(made, {})).encoder
    assert loaded.config == made.config
    assert torch.equal(loaded(*batch(9)).shots, made(*batch(9)).shots)


# The stem


def by_hand(shots: Tensor, visible: Tensor, reaches: tuple[int, ...]) -> Tensor:
    """(S, (2 R + 1) H) of one title, one mean at a time."""
    n, rows = len(shots), []
    for t in range(n):
        sets = [ids for k in reaches for ids in (range(t + 1, min(n, t + k + 1)), range(max(0, t - k), t))]
        kept = [[i for i in ids if visible[i]] for ids in [*sets, range(n)]]
        rows.append(torch.cat([shots[ids].double().mean(0) if ids else torch.zeros(shots.shape[1]) for ids in kept]))
    return torch.stack(rows)


@pytest.mark.parametrize("n_shots", [1, 2, 5, 40])
@pytest.mark.parametrize("reaches", [(1,), (4, 12, 40), (7, 100)])
def test_the_means_around_a_shot_are_those_of_brute_force(n_shots: int, reaches: tuple[int, ...]) -> None:
    g = torch.Generator().manual_seed(n_shots)
    shots, visible = torch.randn(2, n_shots, 3, generator=g), torch.rand(2, n_shots, generator=g) < 0.7
    got = surroundings(shots, visible, reaches)
    for b in range(2):
        torch.testing.assert_close(got[b].double(), by_hand(shots[b], visible[b], reaches).double(), atol=1e-6, rtol=0)


def test_the_means_of_a_whole_film_lose_no_digits() -> None:
    shots = torch.randn(1, 4043, 2, generator=torch.Generator().manual_seed(0)) + 10
    got = surroundings(shots, torch.ones(1, 4043, dtype=torch.bool), (4,))
    exact = surroundings(shots[:, 4000:], torch.ones(1, 43, dtype=torch.bool), (4,))
    torch.testing.assert_close(got[:, 4005:, :4], exact[:, 5:, :4], atol=0, rtol=0)


def test_a_shot_stands_in_none_of_its_own_windows() -> None:
    shots = torch.randn(1, 20, 3, generator=torch.Generator().manual_seed(0))
    changed = shots.clone()
    changed[0, 7] = 100.0
    around = slice(0, 2 * len(STEM) * 3)
    visible = torch.ones(1, 20, dtype=torch.bool)
    moved = surroundings(shots, visible, STEM)[0, :, around] != surroundings(changed, visible, STEM)[0, :, around]
    assert moved.any(1).nonzero().flatten().tolist() == [t for t in range(2, 13) if t != 7]


def test_a_mean_over_nothing_visible_is_zero_whatever_is_hidden() -> None:
    nothing = torch.zeros(1, 6, dtype=torch.bool)
    assert surroundings(torch.full((1, 6, 3), float("nan")), nothing, STEM).eq(0).all()


@pytest.mark.parametrize(
    "option", [{"stem": STEM}, {"missing": Missing.LEARNED}, {"stem": STEM, "missing": Missing.LEARNED}]
)
def test_a_masked_shot_and_padding_are_never_seen_whatever_the_options(option: dict) -> None:
    read = grown(replace(BASE, **option))
    shown = batch(9, pad_to=12)
    masked = torch.zeros(1, 12, dtype=torch.bool)
    masked[0, [2, 3, 8]] = True
    changed = shown.fused.clone()
    changed[0, 2], changed[0, 3], changed[0, 8], changed[0, 9:] = 100.0, 0.0, -1.0, float("nan")
    one, other = read(*shown, masked=masked), read(*shown._replace(fused=changed), masked=masked)
    assert torch.equal(one.cls, other.cls)
    assert torch.equal(one.shots[:, :9], other.shots[:, :9])
    assert torch.equal(one.reconstruction[:, :9], other.reconstruction[:, :9])


def test_mask_tokens_are_never_averaged_by_the_stem() -> None:
    read, shown = grown(replace(BASE, stem=STEM)), batch(9)
    masked = torch.arange(9)[None] % 3 == 1
    before = read._contents(shown.fused, shown.real, masked)
    with torch.no_grad():
        read.mask.mul_(-5.0)
    assert torch.equal(read._contents(shown.fused, shown.real, masked)[~masked], before[~masked])


@pytest.mark.parametrize("positions", list(Positions))
@pytest.mark.parametrize("option", [{}, {"stem": STEM, "missing": Missing.LEARNED}])
def test_a_title_is_the_same_alone_unmasked_padded_and_in_a_batch(positions: Positions, option: dict) -> None:
    read = grown(replace(BASE, positions=positions, **option))
    alone = batch(7)
    expected = read(*alone._replace(real=None))
    companions = collate([piece(torch.from_numpy(arrays(n)[0]), torch.zeros(5), Window(0, n)) for n in (7, 13)])
    companions.metadata[0] = alone.metadata[0]
    for other in (alone, batch(7, pad_to=16), companions):
        torch.testing.assert_close(read(*other).shots[0, :7], expected.shots[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(read(*other).cls[0], expected.cls[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("option", [{}, {"stem": STEM, "missing": Missing.LEARNED}])
def test_forgetting_the_padding_mask_shows(option: dict) -> None:
    read, padded = grown(replace(BASE, **option)), batch(7, pad_to=12)
    forgotten = read(*padded._replace(real=None)).shots[0, :7]
    cosine = torch.cosine_similarity(read(*padded).shots[0, :7], forgotten, dim=-1)
    assert (1 - cosine).max() > 1e-3


def test_a_fresh_stem_is_felt_and_does_not_drown_a_shots_own_content() -> None:
    config = sized("tiny", (96, 48, 64), 64, stem=(4, 12, 40))
    read, rng = encoder(config), np.random.default_rng(0)
    scenes = np.repeat(rng.normal(size=(20, 208)), 6, axis=0)  # neighbours alike: the stem's means are long
    fused = torch.from_numpy((scenes + rng.normal(size=scenes.shape)).astype(np.float32))[None]
    own = read.input_proj(read.centring(fused).shots)
    added = read.stem(own, torch.ones(1, 120, dtype=torch.bool))
    assert 0.1 < added.square().mean().sqrt() / own.square().mean().sqrt() < 0.5


# Missing modalities


def test_a_learned_absence_is_added_where_a_modality_is_absent_and_nowhere_else() -> None:
    read, shown = encoder(replace(BASE, missing=Missing.LEARNED)), batch(12)
    content = read.input_proj(read.centring(shown.fused).shots)
    silent = shown.fused[0, :, 14:].eq(0).all(-1)
    got = read._contents(shown.fused, shown.real, None)[0]
    assert silent.any()
    assert not silent.all()
    torch.testing.assert_close(got[~silent], content[0, ~silent], atol=0, rtol=0)
    torch.testing.assert_close(got[silent] - content[0, silent], read.absent[2].expand(int(silent.sum()), -1))


# Attention


def test_rotary_positions_are_the_complex_turns_of_the_paper_and_products_know_distances_alone() -> None:
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 1, 2, 8, generator=g).expand(1, 12, 2, 8)  # one query and one key, at every token
    turned = rotate(rows, rotary_turns(10, 8, rows))
    speeds = 10_000.0 ** -(torch.arange(4) / 4)
    places = torch.cat([torch.zeros(2), torch.arange(10.0)])  # [CLS] and [GLOBAL] are not turned
    by_hand = torch.complex(rows[..., ::2], rows[..., 1::2]) * torch.exp(1j * places[:, None] * speeds)[:, None]
    torch.testing.assert_close(turned, torch.stack([by_hand.real, by_hand.imag], -1).flatten(-2))
    products = turned[0, 2:, 0] @ turned[0, 2:, 1].T  # (10, 10)
    for apart in range(-9, 10):
        diagonal = products.diagonal(apart)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_attention_by_products_and_its_gradients_are_the_fused_ones() -> None:
    g = torch.Generator().manual_seed(0)
    given = [torch.randn(2, 2, 9, 4, generator=g, dtype=torch.bfloat16) for _ in range(3)]
    readable = (torch.arange(9) < torch.tensor([9, 5])[:, None])[:, None, None]
    grads = []
    for dtype in (torch.bfloat16, torch.float32):  # the products, the fused kernel
        leaves = [x.detach().to(dtype, copy=True).requires_grad_() for x in given]
        read = attend(*leaves, readable)
        read.float().square().sum().backward()
        grads.append([read, *(x.grad for x in leaves)])
    for products, fused in zip(*grads, strict=True):
        torch.testing.assert_close(products.float(), fused, atol=3e-2, rtol=3e-2)
