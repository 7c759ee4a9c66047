"""Laws of the encoder: padding changes nothing, a masked shot is never seen, and a checkpoint is the encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors

from mediafm_core.errors import ArtifactError, DimensionError
from mediafm_core.model import checkpoint
from mediafm_core.model.centring import Centring, corpus_means
from mediafm_core.model.config import ModelConfig, Positions, sized
from mediafm_core.model.container import manifest_at, pack, unpack
from mediafm_core.model.encoder import MediaFM
from mediafm_core.sequence.batches import Batch, Piece, collate, piece
from mediafm_core.sequence.windows import Window

DIMS = (8, 6, 4)


def config(positions: Positions = Positions.ROTARY) -> ModelConfig:
    return ModelConfig(
        video_dims=8, audio_dims=6, text_dims=4, metadata_dims=5, hidden=16, layers=2, heads=2, dropout=0.0,
        positions=positions, window=32,
    )  # fmt: skip


def encoder(positions: Positions = Positions.ROTARY) -> MediaFM:
    made = MediaFM.new(config(positions), torch.Generator().manual_seed(0)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():  # larger than at birth, so that every part is felt
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
        made.centring.mean.copy_(torch.randn(18, generator=generator) * 0.1)
    return made


def a_piece(n_shots: int, seed: int = 0, with_metadata: bool = True) -> Piece:
    g = torch.Generator().manual_seed(seed)
    fused = torch.randn(n_shots, 18, generator=g)
    fused[torch.rand(n_shots, generator=g) < 0.4, 14:] = 0.0  # silent shots
    return piece(fused, torch.randn(5, generator=g) * with_metadata, Window(0, n_shots))


@pytest.fixture(params=list(Positions))
def read(request: pytest.FixtureRequest) -> MediaFM:
    return encoder(request.param)


@pytest.mark.parametrize("pad_to", [7, 8, 13, 32])
def test_padding_never_changes_a_result(read: MediaFM, pad_to: int) -> None:
    alone, padded = read(*collate([a_piece(7)])), read(*collate([a_piece(7)], pad_to))
    for a, p in zip(alone, padded, strict=True):
        torch.testing.assert_close(p[:, :7] if p.ndim == 3 else p, a, atol=1e-5, rtol=0)


def test_what_stands_in_padding_and_beside_a_title_changes_no_bit_at_one_shape(read: MediaFM) -> None:
    batch = collate([a_piece(7), a_piece(3, seed=1)], pad_to=9)
    other = collate([a_piece(7), a_piece(9, seed=2)], pad_to=9)
    other.fused[0, 7:], other.fraction[0, 7:] = float("nan"), 0.5
    got, expected = read(*other), read(*batch)
    assert torch.equal(got.shots[0, :7], expected.shots[0, :7])
    assert torch.equal(got.cls[0], expected.cls[0])
    assert torch.equal(got.reconstruction[0, :7], expected.reconstruction[0, :7])


def test_a_title_alone_is_the_title_in_a_batch(read: MediaFM) -> None:
    pieces = [a_piece(n, seed=n) for n in (1, 4, 9)]
    together = read(*collate(pieces))
    for i, p in enumerate(pieces):
        alone = read(*collate([p]))
        torch.testing.assert_close(together.shots[i, : len(p.fused)], alone.shots[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together.cls[i], alone.cls[0], atol=1e-5, rtol=0)


def test_a_masked_shot_is_never_seen(read: MediaFM) -> None:
    batch = collate([a_piece(6)])
    masked = torch.zeros(1, 6, dtype=torch.bool)
    masked[0, 2] = True
    changed = batch.fused.clone()
    changed[0, 2] = 100.0
    for a, b in zip(read(*batch, masked=masked), read(*batch._replace(fused=changed), masked=masked), strict=True):
        assert torch.equal(a, b)


def test_a_visible_shot_is_seen_by_every_other_shot_and_by_cls(read: MediaFM) -> None:
    batch = collate([a_piece(6)])
    changed = batch.fused.clone()
    changed[0, 2] = -changed[0, 2]
    moved = (read(*batch).shots - read(*batch._replace(fused=changed)).shots).norm(dim=-1)
    assert (moved > 1e-5).all()
    assert not torch.equal(read(*batch).cls, read(*batch._replace(fused=changed)).cls)


def test_order_matters(read: MediaFM) -> None:
    batch = collate([a_piece(6)])
    reversed_ = batch._replace(fused=batch.fused.flip(1))
    assert not torch.allclose(read(*batch).shots, read(*reversed_).shots.flip(1), atol=1e-3)


def test_metadata_reaches_the_shots_and_its_absence_is_a_state_of_its_own(read: MediaFM) -> None:
    with_, without = collate([a_piece(3)]), collate([a_piece(3, with_metadata=False)])
    assert not torch.allclose(read(*with_).shots, read(*without).shots)
    before = read(*without).shots
    with torch.no_grad():
        read.no_metadata[0] += 3.0  # one place: a LayerNorm would take a shift of all away
    assert not torch.allclose(read(*without).shots, before)


def test_rotary_positions_know_distances_alone_and_the_fraction_tells_the_place() -> None:
    read = encoder()
    late = piece(torch.cat([torch.zeros(10, 18), a_piece(5).fused]), torch.zeros(5), Window(10, 15))
    early = piece(torch.cat([a_piece(5).fused, torch.zeros(10, 18)]), torch.zeros(5), Window(0, 5))
    assert not torch.allclose(read(*collate([late])).shots, read(*collate([early])).shots)
    same = late._replace(fraction=early.fraction)
    torch.testing.assert_close(read(*collate([same])).shots, read(*collate([early])).shots)


def test_rotary_positions_read_more_than_a_window_and_learned_ones_refuse() -> None:
    assert encoder()(*collate([a_piece(40)])).shots.shape == (1, 40, 16)
    with pytest.raises(DimensionError, match="40 shots at once"):
        encoder(Positions.LEARNED)(*collate([a_piece(40)]))


def test_another_suites_widths_are_refused() -> None:
    batch = collate([a_piece(3)])
    with pytest.raises(DimensionError, match="shots 17 wide"):
        encoder()(*batch._replace(fused=batch.fused[..., :17]))


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = (MediaFM.new(config(), torch.Generator().manual_seed(3)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_fresh_encoder_holds_a_shots_own_content_above_all() -> None:
    read = MediaFM.new(sized("tiny", DIMS, 5), torch.Generator().manual_seed(0)).eval()
    shots = read(*collate([a_piece(30)])).shots[0]
    swapped = read(*collate([a_piece(30)._replace(fused=a_piece(30).fused.flip(0))])).shots[0].flip(0)
    nearest = torch.nn.functional.normalize(swapped, dim=-1) @ torch.nn.functional.normalize(shots, dim=-1).T
    assert nearest.argmax(1).tolist() == list(range(30))


# Centring


def test_a_centred_shot_has_unit_length_and_equal_weight_in_each_modality_it_has() -> None:
    got = Centring(DIMS)(a_piece(20).fused)
    torch.testing.assert_close(got.shots.norm(dim=-1), torch.ones(20))
    lengths = torch.stack([block.norm(dim=-1) for block in got.shots.split(DIMS, -1)], -1)
    torch.testing.assert_close(lengths, got.present / got.present.sum(-1, keepdim=True).sqrt())


def test_an_absent_modality_stays_zero_whatever_the_mean() -> None:
    got = encoder().centring(a_piece(20).fused)
    silent = a_piece(20).fused[:, 14:].eq(0).all(-1)
    assert silent.any()
    assert got.shots[silent, 14:].eq(0).all()
    assert got.present[:, 2].tolist() == (~silent).tolist()


def test_centring_does_not_depend_on_the_length_of_a_block() -> None:
    fused = a_piece(20).fused
    scaled = torch.cat([fused[:, :8] * 3, fused[:, 8:14] * 0.1, fused[:, 14:]], -1)
    torch.testing.assert_close(encoder().centring(scaled).shots, encoder().centring(fused).shots)


def test_the_mean_counts_only_shots_that_have_the_modality() -> None:
    titles = [a_piece(n, seed=n).fused.numpy() for n in (5, 9)]
    rows = np.concatenate(titles).astype(np.float64)
    got = corpus_means(titles, DIMS)
    for lo, hi in ((0, 8), (8, 14), (14, 18)):
        block = rows[np.abs(rows[:, lo:hi]).sum(1) > 0, lo:hi]
        expected = (block / np.linalg.norm(block, axis=1, keepdims=True)).mean(0)
        np.testing.assert_allclose(got[lo:hi], expected, rtol=1e-5, atol=1e-7)


def test_a_modality_that_no_shot_has_has_the_mean_zero() -> None:
    assert corpus_means([np.eye(18, dtype=np.float32)[:3]], DIMS)[8:].tolist() == [0.0] * 10


def test_what_all_shots_share_does_not_survive_centring() -> None:
    common = torch.nn.functional.normalize(torch.randn(18, generator=torch.Generator().manual_seed(0)), dim=-1)
    fused = torch.randn(200, 18, generator=torch.Generator().manual_seed(1)) * 0.05 + common
    centring = Centring(DIMS)
    centring.mean.copy_(torch.from_numpy(corpus_means([fused.numpy()], DIMS)))
    shots = centring(fused).shots
    cosines = (shots @ shots.T)[~torch.eye(200, dtype=torch.bool)]
    assert abs(cosines.mean()) < 0.02


# Checkpoints


def test_a_checkpoint_is_the_encoder_with_its_means_and_manifest() -> None:
    made = encoder()
    data = checkpoint.save(made, {"encoder": "v1", "seed": 7})
    loaded, manifest = checkpoint.load(data)
    assert manifest == {"encoder": "v1", "seed": 7}
    assert loaded.config == made.config
    assert torch.equal(loaded.centring.mean, made.centring.mean)
    batch = collate([a_piece(5)])
    assert torch.equal(loaded(*batch).shots, made(*batch).shots)


@pytest.mark.parametrize("positions", list(Positions))
def test_a_checkpoint_has_the_channels_that_turn_together_in_halves(positions: Positions) -> None:
    made = encoder(positions)
    stored = load_tensors(checkpoint.save(made, {}))["blocks.0.qkv.weight"]
    used = made.blocks[0].get_parameter("qkv.weight")
    H, D = made.config.hidden, made.config.head_dims
    if positions is Positions.LEARNED:
        assert torch.equal(stored, used)
        return
    for first in range(0, 2 * H, D):  # each head of queries and of keys
        assert torch.equal(stored[first : first + D // 2], used[first : first + D : 2])
        assert torch.equal(stored[first + D // 2 : first + D], used[first + 1 : first + D : 2])
    assert torch.equal(stored[2 * H :], used[2 * H :])


def test_the_same_encoder_gives_the_same_bytes() -> None:
    assert checkpoint.save(encoder(), {"b": 1, "a": 2}) == checkpoint.save(encoder(), {"a": 2, "b": 1})


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d[:50], lambda d: b"", lambda d: b"\x80\x04K\x01."])
def test_damaged_bytes_are_a_typed_error(damage) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        checkpoint.load(damage(checkpoint.save(encoder(), {})))


@pytest.mark.parametrize("said", [None, [], {"mediafm": "[]"}, {"mediafm": "null"}])
def test_a_header_that_says_something_else_is_a_typed_error(said: object, tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": said}).encode()
    data = len(header).to_bytes(8, "little") + header
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(ArtifactError):
        unpack(data, "state", 1)
    with pytest.raises(ArtifactError):
        manifest_at(tmp_path / "state", "state", 1)


def test_another_format_a_wrong_shape_and_a_missing_tensor_are_typed_errors() -> None:
    tensors = load_tensors(checkpoint.save(encoder(), {}))
    said = {"format": 1, "model": config().to_json(), "manifest": {}}
    with pytest.raises(ArtifactError, match="format 99"):
        checkpoint.load(pack(tensors, said | {"format": 99}))
    with pytest.raises(DimensionError, match=r"tensor cls: \(3,\)"):
        checkpoint.load(pack(tensors | {"cls": torch.zeros(3)}, said))
    with pytest.raises(DimensionError, match="tensor cls"):
        checkpoint.load(pack(tensors, said | {"model": config().to_json() | {"hidden": 32}}))
    del tensors["cls"]
    with pytest.raises(ArtifactError, match="cls"):
        checkpoint.load(pack(tensors, said))


# Configuration


@pytest.mark.parametrize("made", [config(), config(Positions.LEARNED), sized("tiny", (1280, 384, 384), 384)])
def test_a_configuration_survives_json(made: ModelConfig) -> None:
    assert ModelConfig.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    "change", [{"hidden": 0}, {"heads": 3}, {"dropout": 1.0}, {"layers": 1.5}, {"positions": "sine"}, {"colour": 1}]
)
def test_an_impossible_configuration_is_a_typed_error(change: dict[str, object]) -> None:
    with pytest.raises(DimensionError, match="model configuration"):
        ModelConfig.from_json(config().to_json() | change)


def test_the_presets_have_the_sizes_that_they_claim() -> None:
    with torch.device("meta"):
        small = MediaFM(sized("tiny", (1280, 384, 384), 384))
        large = MediaFM(sized("base", (768, 768, 768), 768))
    assert sum(p.numel() for p in small.parameters()) < 4.5e6
    assert (large.config.hidden, large.config.layers, large.config.fused_dims) == (768, 12, 2304)


def test_a_batch_is_what_the_encoder_takes() -> None:
    assert Batch._fields == ("fused", "real", "fraction", "metadata")
