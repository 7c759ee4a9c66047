"""Shots per CPU second by the encoders of each suite's shape, on shots like those of a film."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Figure
from bench.measuring import cpu_s, fresh_folder
from mediafm_core.catalogue.suite import Modality
from mediafm_core.encoders.protocol import UnimodalEncoder

_SHOT_S, _N_STILLS = 3.0, 8
_TEXT = "I told you not to come here. Now look at what you have done to the two of us."


def embedded_speed() -> Figure:
    """Seen, heard and read by the embedded suite, on one thread."""
    from mediafm_core.encoders.suites import embedded_suite, load

    suite = embedded_suite()
    return _speed({m: load(suite.spec(m)) for m in Modality}, n_shots=20)


def paper_speed() -> Figure:
    """Seen and heard by networks of the shape of the paper's suite, on one thread. Their weights are random: that moves
    no time. What is read stands behind an API, and is not in it."""
    from mediafm_core.encoders import clip_vision, speech_tower
    from mediafm_core.weights.folders import read_folder

    folder = fresh_folder()
    seen, heard = (read_folder(_saved(folder / kind, kind), folder / "stamps") for kind in ("clip", "wav2vec2"))
    video = clip_vision.ClipVision(clip_vision.spec(seen), seen)
    audio = speech_tower.SpeechTower(speech_tower.spec(heard), heard)
    return _speed({Modality.VIDEO: video, Modality.AUDIO: audio}, n_shots=1)


def _saved(folder: Path, kind: str) -> Path:
    preprocessing = {
        "clip": {"size": 224, "crop_size": 224, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        "wav2vec2": {"do_normalize": True, "sampling_rate": 16_000},
    }
    paper_network(kind).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing[kind]))
    return folder


def paper_network(kind: str) -> Any:
    """CLIP ViT-L/14's vision tower (`clip`), or wav2vec2-base, with random weights."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Wav2Vec2Config, Wav2Vec2Model

    if kind == "wav2vec2":
        return Wav2Vec2Model(Wav2Vec2Config())
    large: dict[str, Any] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
    }
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**large, patch_size=14, projection_dim=768))


def _speed(encoders: dict[Modality, UnimodalEncoder[Any]], n_shots: int) -> Figure:
    took_s = {m: _cpu_of(encoder, [_shot(m, i) for i in range(n_shots)]) for m, encoder in encoders.items()}
    note = ", ".join(f"{modality} {n_shots / each:.3g}" for modality, each in took_s.items())
    return Figure(n_shots / sum(took_s.values()), f"{n_shots} shots of {_SHOT_S:g} s, {_N_STILLS} stills: {note}")


def _cpu_of(encoder: UnimodalEncoder[Any], shots: Sequence[Any]) -> float:
    encoder.encode(shots[:1])  # buffers
    began = cpu_s()
    encoder.encode(shots)
    return cpu_s() - began


def _shot(modality: Modality, seed: int) -> Any:
    draw = np.random.default_rng(seed)
    match modality:
        case Modality.VIDEO:
            return draw.integers(0, 256, (_N_STILLS, 224, 398, 3), np.uint8)
        case Modality.AUDIO:
            return draw.integers(-9000, 9000, int(_SHOT_S * 16_000), np.int16)
        case Modality.TEXT:
            return f"{_TEXT} {seed}"
