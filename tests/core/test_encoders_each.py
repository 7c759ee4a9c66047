"""What each unimodal encoder promises for itself: a reference, then its own rules."""

import numpy as np
import pytest
import torch

from mediafm_core import weights
from mediafm_core.encoders import efficientnet_lite0, minilm_l6, suites, whisper_tiny_en
from mediafm_core.encoders.batches import sampled
from mediafm_core.errors import DimensionError

RNG = np.random.default_rng(11)


def seen(*shots: np.ndarray) -> np.ndarray:
    return suites.load(efficientnet_lite0.spec()).encode(shots)


def heard(*shots: np.ndarray) -> np.ndarray:
    return suites.load(whisper_tiny_en.spec()).encode(shots)


def said(*shots: str) -> np.ndarray:
    return suites.load(minilm_l6.spec()).encode(shots)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


# --- seen


def test_the_graph_of_efficientnet_is_the_torch_module() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    module = EfficientNet.from_name("efficientnet-lite0").eval()
    module.load_state_dict(weights.state("efficientnet-lite0"))
    stills = RNG.integers(0, 256, (2, 224, 224, 3), np.uint8)
    with torch.no_grad():
        pixels = (torch.from_numpy(stills).permute(0, 3, 1, 2).float() - 127) / 128
        reference = module.extract_features(pixels).mean((0, 2, 3)).numpy()
    np.testing.assert_allclose(seen(stills)[0], reference, atol=5e-5)


def test_a_shot_is_the_mean_of_its_stills() -> None:
    stills = RNG.integers(0, 256, (5, 224, 224, 3), np.uint8)
    np.testing.assert_allclose(seen(stills)[0], seen(*stills[:, None]).mean(0), atol=1e-5)


@pytest.mark.parametrize("size", [(224, 300), (300, 224), (225, 227)])
def test_the_middle_of_a_still_is_seen(size: tuple[int, int]) -> None:
    still = RNG.integers(0, 256, (1, *size, 3), np.uint8)
    top, left = (size[0] - 224) // 2, (size[1] - 224) // 2
    np.testing.assert_array_equal(seen(still), seen(still[:, top : top + 224, left : left + 224]))


@pytest.mark.parametrize("n_stills", [1, 7, 8, 9, 16, 1000])
def test_stills_are_sampled_evenly_and_in_order(n_stills: int) -> None:
    indices = sampled(n_stills, 8)
    assert len(indices) == min(n_stills, 8)
    assert indices == sorted(set(indices))
    assert abs(indices[0] - (n_stills - 1 - indices[-1])) <= 1  # as far from the start as from the end
    assert np.ptp(np.diff(indices)) <= 1 if len(indices) > 1 else True


@pytest.mark.parametrize(
    "stills",
    [
        np.zeros((2, 224, 224), np.uint8),
        np.zeros((2, 3, 224, 224), np.uint8),
        np.zeros((2, 224, 224, 3), np.float32),
        np.zeros((2, 223, 400, 3), np.uint8),
    ],
)
def test_stills_of_another_shape_or_dtype_are_refused(stills: np.ndarray) -> None:
    with pytest.raises(DimensionError, match="stills of shot 0"):
        seen(stills)


# --- heard


def sweep(duration_s: float, seed: int) -> np.ndarray:
    """A sound that has a character of its own: three gliding tones with beats, in a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(duration_s * 16_000)) / 16_000
    tones = sum(
        np.sin(2 * np.pi * (f + g * t) * t)
        for f, g in zip(rng.uniform(90, 3000, 3), rng.uniform(-20, 20, 3), strict=True)
    )
    beats = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.5, 6) * t)
    return (np.asarray(tones) * beats * 4000 + rng.normal(size=len(t)) * 200).astype(np.int16)


def test_a_shot_sounds_the_same_wherever_it_stands_in_its_title() -> None:
    """Eleven seconds cut off a title's head must not change its shots: Whisper's positions would, on a fixed grid."""
    title = np.concatenate([sweep(s, seed) for seed, s in enumerate((14.0, 4.0, 2.5, 6.0, 3.2))])
    spans = [(14.0, 18.0), (18.0, 20.5), (20.5, 26.5), (26.5, 29.7)]
    head_s = 11.3
    cut = title[int(head_s * 16_000) :]
    whole = heard(*(title[round(a * 16_000) : round(b * 16_000)] for a, b in spans))
    shifted = heard(*(cut[round((a - head_s) * 16_000) : round((b - head_s) * 16_000)] for a, b in spans))
    np.testing.assert_allclose(shifted, whole, atol=1e-4)


def test_a_shot_finds_itself_when_its_ends_are_off_by_a_frame() -> None:
    shots = [sweep(3.0, seed) for seed in range(6)]
    exact = heard(*shots)
    late = heard(*(shot[667:] for shot in shots))  # 1 / 24 s
    centred, centred_late = exact - exact.mean(0), late - exact.mean(0)
    nearest = [int(np.argmax([cosine(row, other) for other in centred])) for row in centred_late]
    assert nearest == list(range(6))


def test_int16_and_float_samples_are_one_sound() -> None:
    sound = sweep(1.0, 3)
    np.testing.assert_array_equal(heard(sound), heard(sound.astype(np.float32) / 32768))


def test_a_long_shot_is_the_mean_of_its_equal_chunks() -> None:
    sound = sweep(30.1, 5)
    np.testing.assert_allclose(heard(sound)[0], heard(sound[:240_800], sound[240_800:]).mean(0), atol=1e-4)


@pytest.mark.parametrize(("n_samples", "is_heard"), [(1_599, False), (1_600, True)])
def test_the_shortest_shot_that_is_heard_lasts_a_tenth_of_a_second(n_samples: int, is_heard: bool) -> None:
    assert heard(sweep(0.2, 1)[:n_samples]).any() == is_heard


def test_silence_is_a_sound() -> None:
    vector = heard(np.zeros(16_000, np.int16))
    assert vector.any()
    assert np.isfinite(vector).all()


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 9), np.int16), np.zeros(9, np.int32), np.array([0.1, np.nan] * 1000, np.float32)]
)
def test_samples_of_another_shape_or_dtype_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(DimensionError, match="sound of shot 0"):
        heard(samples)


# --- said

TEXTS = ("He is not here.", "A door slams; somebody runs upstairs, breathing hard.", "naïve café — 42 %", "No. " * 300)


@pytest.mark.slow  # importing transformers
def test_the_graph_of_minilm_is_bert_with_masked_mean_pooling() -> None:
    from transformers import BertModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder = weights.folder("all-minilm-l6-v2")
    tokenizer = suites.load(minilm_l6.spec())._tokenizer  # type: ignore[attr-defined]
    model = BertModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        states = [model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state.mean(1) for text in TEXTS]
    reference = torch.nn.functional.normalize(torch.cat(states)).numpy()
    np.testing.assert_allclose(said(*TEXTS), reference, atol=2e-6)


def test_a_text_alone_is_the_text_in_a_batch_of_many_lengths() -> None:
    texts = [*TEXTS, *("word " * n for n in range(1, 36))]
    np.testing.assert_allclose(said(*texts)[:4], np.concatenate([said(text) for text in TEXTS]), atol=1e-5)


def test_texts_have_unit_length() -> None:
    np.testing.assert_allclose(np.linalg.norm(said(*TEXTS), axis=1), 1, atol=1e-6)


def test_what_means_the_same_lies_closer_than_what_shares_words() -> None:
    child, kid, bank = said("A child laughs.", "The kid is giggling.", "A bank collapses.")
    assert cosine(child, kid) > cosine(child, bank) + 0.2


def test_a_text_is_read_up_to_its_256th_token() -> None:
    words = "rain " * 254  # with [CLS] and [SEP] 256 tokens
    np.testing.assert_allclose(said(words + "and then the sun came out"), said(words), atol=1e-6)
    assert cosine(said(words[:-25] + "sun sun sun")[0], said(words)[0]) < 0.9999


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_text_of_white_space_is_none(text: str) -> None:
    assert not said(text).any()


def test_tags_and_odd_signs_are_text() -> None:
    assert said("\u0000", "♪", "\u200b").any(axis=1).all()
