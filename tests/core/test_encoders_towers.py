"""The paper's towers: the laws of the protocol, then transformers as the reference, on random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mediafm_core.encoders import clip_vision, speech_tower
from mediafm_core.encoders.clip_vision import ClipVision
from mediafm_core.encoders.speech_tower import SpeechTower
from mediafm_core.errors import DimensionError, WeightsError
from mediafm_core.weights.folders import ModelFolder, read_folder
from tests import model_folders

RNG = np.random.default_rng(5)
STILLS = [RNG.integers(0, 256, (k, 40, 60, 3), np.uint8) for k in (3, 0, 20, 1)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    model_folders.clip(root / "clip")
    model_folders.clip(root / "tower", whole=False, seed=1)
    model_folders.siglip(root / "siglip")
    for kind in ("Wav2Vec2", "Hubert", "WavLM"):
        model_folders.speech(root / kind.lower(), kind)
    return root


def read(path: Path) -> ModelFolder:
    return read_folder(path, path.parent / "stamps")


def seeing(path: Path, **choices) -> ClipVision:
    folder = read(path)
    return ClipVision(clip_vision.spec(folder, **choices), folder)


def hearing(path: Path) -> SpeechTower:
    folder = read(path)
    return SpeechTower(speech_tower.spec(folder), folder)


# --- seen


@pytest.mark.parametrize(("name", "width"), [("clip", 24), ("tower", 24), ("siglip", 32)])
def test_a_shot_is_seen_alone_and_only_nothing_is_zero(folders: Path, name: str, width: int) -> None:
    encoder = seeing(folders / name)
    together = encoder.encode(STILLS)
    assert together.shape == (4, width) == (4, encoder.spec.dims)
    assert together.dtype == np.float32
    assert [bool(row.any()) for row in together] == [True, False, True, True]
    alone = np.concatenate([encoder.encode([shot]) for shot in STILLS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert encoder.encode([]).shape == (0, width)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_image_embeddings_are_those_of_the_whole_model(folders: Path, name: str) -> None:
    import transformers

    kind = {"clip": "CLIP", "siglip": "Siglip"}[name]
    model = getattr(transformers, f"{kind}Model").from_pretrained(folders / name).eval()
    prepare = getattr(transformers, f"{kind}ImageProcessorPil").from_pretrained(folders / name)
    pixels = prepare(list(STILLS[0]), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        embeddings = model.get_image_features(pixel_values=pixels).pooler_output
    reference = torch.nn.functional.normalize(embeddings).mean(0).numpy()
    np.testing.assert_allclose(seeing(folders / name).encode(STILLS[:1])[0], reference, atol=1e-6)


def test_a_still_that_stands_out_in_length_does_not_speak_louder(folders: Path) -> None:
    one, two = STILLS[0][:1], STILLS[3]
    encoder = seeing(folders / "clip")
    parts = encoder.encode([one, two])
    np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.encode([np.concatenate([one, two])])[0], parts.mean(0), atol=1e-6)


def test_a_shot_with_many_stills_is_sampled_evenly(folders: Path) -> None:
    chosen = STILLS[2][[2, 7, 12, 17]]
    np.testing.assert_allclose(
        seeing(folders / "clip", stills_per_shot=4).encode(STILLS[2:3]),
        seeing(folders / "clip").encode([chosen]),
        atol=1e-6,
    )
    ids = {
        clip_vision.spec(read(folders / "clip"), stills_per_shot=n) == clip_vision.spec(read(folders / "clip"))
        for n in (4, 8)
    }
    assert ids == {False, True}


def test_a_tuned_tower_stands_in_the_others_place_under_another_identity(folders: Path) -> None:
    plain, tuned = seeing(folders / "clip"), seeing(folders / "tower")
    assert plain.spec.instrument.weights_sha256 != tuned.spec.instrument.weights_sha256
    assert not np.allclose(plain.encode(STILLS[:1]), tuned.encode(STILLS[:1]), atol=1e-3)


def test_a_folder_whose_weights_changed_is_refused_before_it_is_loaded(folders: Path, tmp_path: Path) -> None:
    spec = clip_vision.spec(read(folders / "clip"))
    changed = read(model_folders.clip(tmp_path / "clip", seed=3))
    with pytest.raises(WeightsError, match=spec.instrument.weights_sha256):
        ClipVision(spec, changed)


@pytest.mark.parametrize("name", ["clip", "siglip", "wav2vec2"])
def test_a_tower_in_several_files_is_the_same_network_under_another_identity(
    folders: Path, tmp_path: Path, name: str
) -> None:
    made, shots = (hearing, [sound(0.8, 9)]) if name == "wav2vec2" else (seeing, STILLS[:1])
    whole, parts = made(folders / name), made(model_folders.in_shards(folders / name, tmp_path / name))
    np.testing.assert_array_equal(parts.encode(shots), whole.encode(shots))
    assert parts.spec.instrument.weights_sha256 != whole.spec.instrument.weights_sha256


def test_no_file_is_loaded_that_is_not_part_of_the_identity(folders: Path, tmp_path: Path) -> None:
    """Files whose mere presence, or a name in the configuration, would make transformers take them."""
    path = model_folders.clip(tmp_path / "clip")
    config = json.loads((path / "config.json").read_text())
    config["vision_config"]["transformers_weights"] = "others.safetensors"
    (path / "config.json").write_text(json.dumps(config))
    state = load_file(path / "model.safetensors")
    save_file({key: -value for key, value in state.items()}, path / "others.safetensors", {"format": "pt"})
    others = {**json.loads((path / "preprocessor_config.json").read_text()), "image_mean": [0.0] * 3}
    (path / "processor_config.json").write_text(json.dumps({"image_processor": others}))
    np.testing.assert_array_equal(seeing(path).encode(STILLS[:1]), seeing(folders / "clip").encode(STILLS[:1]))


def test_a_model_that_lacks_a_weight_is_refused_instead_of_filled_with_random_numbers(tmp_path: Path) -> None:
    path = model_folders.clip(tmp_path / "clip")
    state = load_file(path / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if "layers.1.mlp.fc1.weight" not in k},
        path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(WeightsError, match=r"weights missing.*fc1"):
        seeing(path)


def test_a_model_whose_weights_have_another_shape_is_refused(tmp_path: Path) -> None:
    path = model_folders.clip(tmp_path / "clip")
    config = json.loads((path / "config.json").read_text())
    config["vision_config"]["intermediate_size"] = 56
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="other shapes"):
        seeing(path)


def test_what_is_no_vision_tower_is_refused(folders: Path) -> None:
    with pytest.raises(WeightsError, match="wav2vec2 without visual_projection"):
        clip_vision.spec(read(folders / "wav2vec2"))


def test_stills_of_another_shape_are_refused(folders: Path) -> None:
    with pytest.raises(DimensionError, match="stills of shot 0"):
        seeing(folders / "clip").encode([np.zeros((2, 3, 40, 40), np.uint8)])


# --- heard


def sound(duration_s: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3000, round(duration_s * 16_000)).astype(np.int16)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_a_shot_is_heard_alone_and_only_nothing_is_zero(folders: Path, kind: str) -> None:
    encoder = hearing(folders / kind)
    shots = [sound(1.0, 1), sound(0.0, 2), sound(0.1, 3), np.zeros(8000, np.int16)]
    together = encoder.encode(shots)
    assert together.shape == (4, 32) == (4, encoder.spec.dims)
    assert [bool(row.any()) for row in together] == [True, False, True, True]
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([shot]) for shot in shots]))


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
def test_a_short_shot_is_the_mean_of_the_networks_last_states(folders: Path, kind: str) -> None:
    import transformers

    model = getattr(transformers, f"{kind}Model").from_pretrained(folders / kind.lower()).eval()
    samples = sound(1.3, 4).astype(np.float32) / 32768
    prepared = transformers.Wav2Vec2FeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        reference = model(prepared["input_values"]).last_hidden_state[0].mean(0).numpy()
    np.testing.assert_allclose(hearing(folders / kind.lower()).encode([samples])[0], reference, atol=2e-5)


def test_cutting_the_head_off_a_file_changes_no_shot(folders: Path) -> None:
    """Also none that is longer than a chunk: its chunks are counted from its own start."""
    title, head = sound(48.0, 6), round(11.3 * 16_000)
    spans = [(12.0, 13.5), (13.5, 34.0), (34.0, 47.9)]
    encoder = hearing(folders / "wav2vec2")
    whole = encoder.encode([title[round(a * 16_000) : round(b * 16_000)] for a, b in spans])
    cut = title[head:]
    shifted = encoder.encode([cut[round(a * 16_000) - head : round(b * 16_000) - head] for a, b in spans])
    np.testing.assert_array_equal(shifted, whole)


def test_a_long_shot_is_heard_in_equal_chunks(folders: Path) -> None:
    encoder = hearing(folders / "wav2vec2")
    lengths: list[int] = []
    frames = encoder._frames
    encoder._frames = lambda chunk: (lengths.append(len(chunk)), frames(chunk))[1]  # type: ignore[method-assign]
    encoder.encode([sound(31.0, 7)])
    assert len(lengths) == 3
    assert max(lengths) - min(lengths) <= 1
    assert sum(lengths) == 31 * 16_000


def test_weights_in_the_older_naming_are_the_same_model(folders: Path, tmp_path: Path) -> None:
    """Published checkpoints name the two parts of a normalised weight `weight_g` and `weight_v`."""
    path = model_folders.speech(tmp_path / "old")
    state = load_file(path / "model.safetensors")
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, old in names.items():
        state = {key.replace(new, old): value for key, value in state.items()}
    save_file(state, path / "model.safetensors", {"format": "pt"})
    shots = [sound(0.8, 8)]
    np.testing.assert_array_equal(hearing(path).encode(shots), hearing(folders / "wav2vec2").encode(shots))


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_what_is_no_speech_tower_is_refused(folders: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="one of wav2vec2, hubert, wavlm"):
        speech_tower.spec(read(folders / name))


def test_another_sampling_rate_is_refused(tmp_path: Path) -> None:
    path = model_folders.speech(tmp_path / "m")
    (path / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000}))
    with pytest.raises(WeightsError, match="8000 Hz"):
        speech_tower.spec(read(path))


def test_the_threads_of_the_process_stay_as_they_were(folders: Path) -> None:
    before = torch.get_num_threads()
    folder = read(folders / "clip")
    encoder = ClipVision(clip_vision.spec(folder), folder, n_threads=before + 1)
    encoder.encode(STILLS[:1])
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()
