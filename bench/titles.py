"""Made-up titles in memory: of a narrative world, where there is something to learn, or of noise, for time alone.

Shape letters: S shots, F fused.
"""

import numpy as np
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import Modality
from mediafm_core.fusion import fuse, presence
from mediafm_core.narrative.titles import NarrativeTitle, title
from mediafm_core.narrative.world import World
from mediafm_core.sequence.titles import TitleArrays


def narrative_title(world: World, seed: int) -> TitleArrays:
    """One synthetic title of 40 to 160 shots, as `fused_arrays` gives it."""
    return fused_arrays(world, title(world, seed))


def fused_arrays(world: World, given: NarrativeTitle) -> TitleArrays:
    """What an encoder reads of a synthetic title, fused as a catalogue fuses it."""
    blocks = {m.value: given.vectors[m].astype(np.float32) for m in Modality}
    has_audio, has_text = presence(blocks["audio"]), presence(blocks["text"])
    fused = fuse(**blocks, suite=world.suite, has_audio=has_audio, has_text=has_text)
    return TitleArrays(given.id, fused, given.metadata_vector.astype(np.float32))


def noise_title(n_shots: int, modality_dims: tuple[int, int, int], seed: int) -> TitleArrays:
    """A title of random directions, with a metadata embedding as wide as its texts'."""
    rng = np.random.default_rng(seed)
    return TitleArrays(f"t{seed}", _unit(rng, n_shots, sum(modality_dims)), _unit(rng, 1, modality_dims[2])[0])


def _unit(rng: np.random.Generator, n: int, dims: int) -> NDArray[np.float32]:
    """(n, dims) float32 rows of unit length."""
    rows = rng.standard_normal((n, dims)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
