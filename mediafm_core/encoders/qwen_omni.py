"""What is seen, heard and said, in one pass: the thinker of Qwen2.5-Omni, averaged over each modality's tokens.

Xu et al., Qwen2.5-Omni Technical Report, arXiv 2503.20215. A shot is read as its stills, its sound and its timed text,
in this order, without an instruction. The model is causal: a still's tokens know of earlier stills, the sound's of all
stills, the text's of everything.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import JOINT, Modality, UnimodalSpec
from mediafm_core.encoders.batches import sampled
from mediafm_core.encoders.joint import JointShot
from mediafm_core.encoders.protocol import Samples, Stills, as_float, check_stills
from mediafm_core.encoders.towers import another_model, computing, instrument_of, read_tower
from mediafm_core.weights.folders import TOKENIZER, ModelFolder

NAME = "qwen-omni"
PARTS = {"qwen2_5_omni": "thinker", "qwen2_5_omni_thinker": ""}
"""The whole model, which also speaks, or its thinker alone; and what the thinker's tensors begin with there."""
SAMPLE_RATE_HZ = 16_000
STILLS_PER_SHOT = 4
MAX_SOUND_S = 30.0  # from a shot's start; the feature extractor's window
MIN_SHOT_S = 0.1  # less holds no sound to speak of, and counts as no audio
MAX_TOKENS = 512  # of a shot's text; what lies beyond is not read
MIN_PIXELS, MAX_PIXELS = 56 * 56, 224 * 224  # of a still, as the network sees it
_TOKENS = ("vision_start", "image", "vision_end", "audio_start", "audio", "audio_end")


def specs(folder: ModelFolder) -> dict[Modality, UnimodalSpec]:
    """What the thinker in a folder is, once for each modality.

    Raises:
        WeightsError: the folder holds another model.
    """
    if folder.model_type not in PARTS:
        raise another_model(
            folder,
            f"a {folder.model_type}",
            expected=f"one of {', '.join(PARTS)}",
            next_step="Give the folder of a Qwen2.5-Omni as it was published, or of its thinker.",
        )
    choices = {
        JOINT: [modality.value for modality in Modality],
        "input": "stills, sound from 0 s, text, in this order",
        "stills_per_shot": STILLS_PER_SHOT,
        "pixels": [MIN_PIXELS, MAX_PIXELS],
        "max_sound_s": MAX_SOUND_S,
        "min_shot_s": MIN_SHOT_S,
        "max_tokens": MAX_TOKENS,
        "pooling": "mean of the last layer over each modality's tokens",
    }
    instrument = instrument_of(folder, NAME, choices)
    width = int(_thinker(folder)["text_config"]["hidden_size"])
    return {m: UnimodalSpec(modality=m, dims=width, instrument=instrument) for m in Modality}


def _thinker(folder: ModelFolder) -> Any:
    return folder.config["thinker_config"] if PARTS[folder.model_type] else folder.config


class QwenOmni:
    """Shots to the means of the thinker's states over the tokens of stills, of sound and of text.

    Args:
        folder: where the weights are.
        n_threads: threads of the network.

    Raises:
        WeightsError: the folder does not hold what it should.
    """

    def __init__(self, folder: ModelFolder, *, n_threads: int = 1) -> None:
        import transformers
        from tokenizers import Tokenizer
        from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniThinkerModel
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        self.specs, self._n_threads = specs(folder), n_threads
        config: Any = transformers.Qwen2_5OmniThinkerConfig(**_thinker(folder))
        instrument, part = self.specs[Modality.TEXT].instrument, PARTS[folder.model_type]
        self._network: Any = read_tower(Qwen2_5OmniThinkerModel, folder, config, instrument, part=part)
        self._tokenizer = Tokenizer.from_file(str(folder.path / TOKENIZER))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        vision = config.vision_config
        self._images = Qwen2VLImageProcessorPil(
            patch_size=vision.patch_size,
            merge_size=vision.spatial_merge_size,
            temporal_patch_size=vision.temporal_patch_size,
            min_pixels=MIN_PIXELS,
            max_pixels=MAX_PIXELS,
        )
        self._log_mel = transformers.WhisperFeatureExtractor(feature_size=config.audio_config.num_mel_bins)
        self._ids = {name: int(getattr(config, f"{name}_token_id")) for name in _TOKENS}

    def encode_shots(self, shots: Sequence[JointShot]) -> npt.NDArray[np.float32]:
        """Encode each shot by itself, in one pass.

        Args:
            shots: more stills than `STILLS_PER_SHOT` are sampled evenly; of sound, what follows 30 s is not heard.

        Returns:
            (n_shots, 3 times the width) float32, not of unit length: what is seen, heard and read.

        Raises:
            DimensionError: a shot's array has not the shape or dtype of its modality, or is not finite.
        """
        width = self.specs[Modality.TEXT].dims
        vectors = np.zeros((len(shots), len(self.specs), width), np.float32)
        for row, shot in enumerate(shots):
            for index, mean in self._means(shot, row).items():
                vectors[row, index] = mean
        return vectors.reshape(len(shots), len(self.specs) * width)

    def _means(self, shot: JointShot, row: int) -> dict[int, npt.NDArray[np.float64]]:
        """A mean over tokens for each modality that the shot offers, by its index."""
        import torch

        given, ids, spans = {}, [], {}
        for index, (inputs, tokens, edges) in enumerate(self._parts(shot, row)):
            if tokens:
                begin, end = edges
                spans[index] = slice(len(ids) + len(begin), len(ids) + len(begin) + len(tokens))
                ids += [*begin, *tokens, *end]
                given |= inputs
        if not ids:
            return {}
        whole = torch.tensor([ids])  # (1, T)
        with computing(self._n_threads):
            states = self._network(input_ids=whole, attention_mask=torch.ones_like(whole), use_cache=False, **given)
            found = states.last_hidden_state[0].double().numpy()  # (T, width)
        return {index: found[span].mean(axis=0) for index, span in spans.items()}

    def _parts(self, shot: JointShot, row: int) -> list[tuple[dict[str, Any], list[int], tuple[list[int], list[int]]]]:
        """Of each modality the network's inputs, the tokens that stand for it, and those around them."""
        of = self._ids
        seen, n_seen = self._seen(shot.stills, row)
        heard, n_heard = self._heard(shot.sound, row)
        read = self._tokenizer.encode(shot.text).ids if shot.text.strip() else []
        return [
            (seen, [of["image"]] * n_seen, ([of["vision_start"]], [of["vision_end"]])),
            (heard, [of["audio"]] * n_heard, ([of["audio_start"]], [of["audio_end"]])),
            ({}, read, ([], [])),
        ]

    def _seen(self, stills: Stills, row: int) -> tuple[dict[str, Any], int]:
        check_stills(stills, row, min_pixels=1)
        chosen = [stills[i] for i in sampled(len(stills), STILLS_PER_SHOT)]
        if not chosen:
            return {}, 0
        made = self._images(images=chosen, return_tensors="pt")
        grid = made["image_grid_thw"]  # (k, 3)
        n_tokens = int(grid.prod(-1).sum()) // self._network.spatial_merge_size**2
        return {"pixel_values": made["pixel_values"], "image_grid_thw": grid}, n_tokens

    def _heard(self, sound: Samples, row: int) -> tuple[dict[str, Any], int]:
        import torch

        heard = as_float(sound, row)[: int(MAX_SOUND_S * SAMPLE_RATE_HZ)]
        if len(heard) < MIN_SHOT_S * SAMPLE_RATE_HZ:
            return {}, 0
        made = self._log_mel(heard, sampling_rate=SAMPLE_RATE_HZ, padding="longest", return_tensors="pt")
        features = made["input_features"]  # (1, mel, n / 160)
        mask = torch.ones((1, features.shape[-1]), dtype=torch.long)
        _, n_tokens = self._network.audio_tower._get_feat_extract_output_lengths(mask.sum(-1))
        return {"input_features": features, "feature_attention_mask": mask}, int(n_tokens)
