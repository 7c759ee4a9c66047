"""Tiny models with random weights, saved as transformers saves the real ones."""

import json
import shutil
from pathlib import Path
from typing import Any

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDTH = 24
"""Of the image embeddings of `clip`."""


def save(folder: Path, model: Any, preprocessing: dict[str, Any], **saving: Any) -> Path:
    """Save a model with its preprocessing; `saving` goes to `save_pretrained`."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            weight.data.normal_(std=0.02)  # trained ones are not zero
    model.save_pretrained(folder, **saving)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def clip(folder: Path, *, seed: int = 0, whole: bool = True, pixels: int = 32) -> Path:
    """A CLIP of two layers; whole, or its vision tower with the projection."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    vision = {**SMALL, "image_size": pixels, "patch_size": 8}
    # as the published folders have it: whole numbers for sizes
    preprocessing = {"size": pixels, "crop_size": pixels, "resample": 3, "image_mean": [0.48, 0.46, 0.41]}
    preprocessing |= {"image_std": [0.27, 0.26, 0.28], "feature_extractor_type": "CLIPFeatureExtractor"}
    if not whole:
        model = CLIPVisionModelWithProjection(CLIPVisionConfig(**vision, projection_dim=WIDTH))
        return save(folder, model, preprocessing)
    text = {**SMALL, "num_hidden_layers": 1, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
    return save(
        folder, CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=WIDTH)), preprocessing
    )


def siglip(folder: Path, *, seed: int = 0) -> Path:
    """A SigLIP of two layers."""
    import torch
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(seed)
    text = {**SMALL, "num_hidden_layers": 1, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
    config = SiglipConfig(vision_config={**SMALL, "image_size": 32, "patch_size": 8}, text_config=text)
    preprocessing = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return save(folder, SiglipModel(config), preprocessing)


def speech(folder: Path, kind: str = "Wav2Vec2", *, seed: int = 0) -> Path:
    """A wav2vec 2.0, HuBERT or WavLM of two layers, with the strides of the real ones."""
    import torch
    import transformers

    torch.manual_seed(seed)
    small = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**SMALL, **small))
    return save(folder, model, {"do_normalize": True, "sampling_rate": 16000, "feature_size": 1})


def omni(folder: Path, *, seed: int = 0) -> Path:
    """The thinker of a Qwen2.5-Omni: a tower for pictures, one for sound, and two layers that read all."""
    import torch
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    torch.manual_seed(seed)
    return _with_tokenizer(folder, Qwen2_5OmniThinkerForConditionalGeneration(Qwen2_5OmniThinkerConfig(**_THINKER)))


def omni_whole(folder: Path, *, seed: int = 0) -> Path:
    """A whole Qwen2.5-Omni, thinker, talker and voice, in several files as it is published."""
    import torch
    from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

    torch.manual_seed(seed)
    tokens = {f"tts_text_{name}_token_id": 50 for name in ("start", "end", "pad")}
    tokens |= {f"tts_codec_{name}_token_id": 50 for name in ("start", "end", "pad", "mask")}
    tokens |= {f"{name}_token_id": 50 for name in _TOKENS} | {"vocab_size": 64}
    talker = {
        **SMALL,
        **tokens,
        "num_key_value_heads": 2,
        "embedding_size": 32,
        "head_dim": 8,
        "rope_parameters": _ROPE,
    }
    voice = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 16, "emb_dim": 16}
    voice |= {"mel_dim": 16, "enc_dim": 8, "enc_emb_dim": 8, "enc_channels": [16] * 4 + [32], "num_embeds": 32}
    voice |= {"enc_attention_channels": 8}
    waves = {"mel_dim": 16, "upsample_initial_channel": 32, "upsample_rates": [2], "upsample_kernel_sizes": [4]}
    config = Qwen2_5OmniConfig(
        thinker_config=_THINKER,
        talker_config=talker,
        token2wav_config={"dit_config": voice, "bigvgan_config": waves},
    )
    return _with_tokenizer(folder, Qwen2_5OmniForConditionalGeneration(config), max_shard_size="200KB")


_TOKENS = ("image", "audio", "video", "vision_start", "vision_end", "audio_start", "audio_end")
_ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "window_size": 56}
_AUDIO = {"num_mel_bins": 16, "d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 48}
_THINKER: dict[str, Any] = {
    "audio_config": {**_AUDIO, "output_dim": 32},
    "vision_config": {**_VISION, "out_hidden_size": 32, "fullatt_block_indexes": [1]},
    "text_config": {**SMALL, "vocab_size": 300, "num_key_value_heads": 2, "rope_parameters": _ROPE},
    **{f"{name}_token_id": 280 + i for i, name in enumerate(_TOKENS)},
}


def _with_tokenizer(folder: Path, model: Any, **saving: Any) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    save(folder, model, {"feature_extractor_type": "WhisperFeatureExtractor"}, **saving)
    alphabet = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def in_shards(folder: Path, copy: Path, n: int = 3) -> Path:
    """A copy of a model, its weights in `n` files with an index, as transformers lays out a large one."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    state = load_file(folder / "model.safetensors")
    files = {tensor: f"model-{i % n + 1:05}-of-{n:05}.safetensors" for i, tensor in enumerate(sorted(state))}
    for name in set(files.values()):
        held = {tensor: state[tensor] for tensor, file in files.items() if file == name}
        save_file(held, copy / name, {"format": "pt"})
    (copy / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return copy
