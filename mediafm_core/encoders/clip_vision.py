"""What is seen: the vision tower of CLIP or SigLIP, averaged over stills of a shot.

Radford et al., CLIP, arXiv 2103.00020; Zhai et al., SigLIP, arXiv 2303.15343. The post sees with SeqCLIP, which is CLIP
tuned on video; its weights are not public, and CLIP ViT-L/14 stands in its place. A tower of either kind that somebody
tuned, SeqCLIP among them, is used by giving its folder.

Image embeddings are brought to unit length before they are averaged: both models were trained to compare them by
cosine, so their length says nothing, and without it one still would speak louder than another. The mean is left as it
is; its length says how alike a shot's stills are.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.encoders.batches import PORTION_BYTES, Room, encoded, sampled, states_bytes
from mediafm_core.encoders.protocol import Stills, check_stills
from mediafm_core.encoders.towers import another_model, computing, instrument_of, read_tower
from mediafm_core.weights.folders import ModelFolder

NAME = "clip-vision"
STILLS_PER_SHOT = 8
_CLIP, _SIGLIP = ("clip", "clip_vision_model"), ("siglip", "siglip_vision_model")
_PREPROCESSING = ("size", "crop_size", "image_mean", "image_std", "resample", "rescale_factor")


def spec(folder: ModelFolder, *, stills_per_shot: int = STILLS_PER_SHOT) -> UnimodalSpec:
    """What the tower in a folder is.

    Args:
        folder: a CLIP or SigLIP model, whole or its vision tower with the projection.
        stills_per_shot: a shot that brings more is sampled evenly; time grows in proportion.

    Raises:
        WeightsError: the folder holds another model.
    """
    choices = {
        "preprocessing": {name: folder.preprocessing[name] for name in _PREPROCESSING if name in folder.preprocessing},
        "stills_per_shot": stills_per_shot,
        "pooling": "mean over stills of image embeddings of unit length",
    }
    return UnimodalSpec(modality=Modality.VIDEO, dims=_width(folder), instrument=instrument_of(folder, NAME, choices))


def _width(folder: ModelFolder) -> int:
    if folder.model_type in _SIGLIP:
        return int(_vision(folder)["hidden_size"])
    shape = folder.shape("visual_projection.weight") if folder.model_type in _CLIP else None
    if shape is None:
        raise another_model(
            folder,
            f"a {folder.model_type} without visual_projection.weight",
            expected="a CLIP or SigLIP model, or its vision tower saved with the projection",
            next_step="Save the whole model, or CLIPVisionModelWithProjection, with `save_pretrained`.",
        )
    return shape[0]


def _vision(folder: ModelFolder) -> Any:
    return folder.config.get("vision_config", folder.config)


def _still_bytes(config: Any) -> int:
    """What a tower of this configuration holds at most for a still: a token for each patch, and one for the whole."""
    n_tokens = (config.image_size // config.patch_size) ** 2 + 1
    return states_bytes(n_tokens, hidden=config.hidden_size, wide=config.intermediate_size)


class _Still(NamedTuple):
    """One still on its way into the network."""

    row: int
    """Index of its shot."""
    pixels: npt.NDArray[np.float32]
    """(3, n, n)."""


class ClipVision:
    """Stills to the mean of their image embeddings.

    Args:
        spec: as `spec` makes it.
        folder: where the weights are.
        n_threads: threads of the network.
        portion_bytes: what it may hold at once for the stills that it sees together; moves results by less than 1e-6.

    Raises:
        WeightsError: the folder does not hold what the spec names.
    """

    def __init__(
        self, spec: UnimodalSpec, folder: ModelFolder, *, n_threads: int = 1, portion_bytes: int = PORTION_BYTES
    ) -> None:
        import transformers

        self.spec, self._n_threads = spec, n_threads
        if folder.model_type in _CLIP:
            network, processor = transformers.CLIPVisionModelWithProjection, transformers.CLIPImageProcessorPil
            config = transformers.CLIPVisionConfig(**{**_vision(folder), "projection_dim": spec.dims})
        else:
            network, processor = transformers.SiglipVisionModel, transformers.SiglipImageProcessorPil
            config = transformers.SiglipVisionConfig(**_vision(folder))
        self._embedding = "image_embeds" if folder.model_type in _CLIP else "pooler_output"
        self._tower = read_tower(network, folder, config, spec.instrument)
        still_bytes = _still_bytes(config)
        self._room: Room[_Still] = Room(size=lambda _: still_bytes, n_bytes=portion_bytes)
        self._prepare: Any = processor.from_dict(dict(folder.preprocessing))  # of the file that was hashed

    def encode(self, shots: Sequence[Stills]) -> npt.NDArray[np.float32]:
        """Encode each shot's stills.

        Args:
            shots: (k, h, w, 3) uint8 RGB each, scaled and cut as the model's own preprocessing says. A shot without
                stills gets zeros.

        Returns:
            (n_shots, dims) float32, rows at most of unit length.

        Raises:
            DimensionError: a shot's stills have another shape or dtype.
        """
        sums = np.zeros((len(shots), self.spec.dims), np.float64)
        counts = np.zeros((len(shots), 1), np.int64)
        for stills, embeddings in encoded(self._stills(shots), self._embedded, self._room):
            rows = [still.row for still in stills]
            np.add.at(sums, rows, embeddings)
            np.add.at(counts, rows, 1)
        return (sums / np.maximum(counts, 1)).astype(np.float32)

    def _stills(self, shots: Sequence[Stills]) -> Iterator[_Still]:
        for row, stills in enumerate(shots):
            check_stills(stills, row, min_pixels=1)
            for index in sampled(len(stills), self.spec.instrument.settings["stills_per_shot"]):
                yield _Still(row, self._prepare(stills[index], return_tensors="np")["pixel_values"][0])

    def _embedded(self, stills: list[_Still]) -> npt.NDArray[np.float64]:
        """N stills to (N, dims) embeddings of unit length."""
        import torch

        pixels = np.stack([still.pixels for still in stills])  # (N, 3, n, n)
        with computing(self._n_threads):
            embeddings = getattr(self._tower(pixel_values=torch.from_numpy(pixels)), self._embedding)
            wide = embeddings.double().numpy()
        return wide / np.linalg.norm(wide, axis=1, keepdims=True)
