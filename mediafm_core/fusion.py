"""Fusion: what is seen, heard and said in a shot, joined into one vector of unit length.

Each modality's block is brought to unit length first: the three encoders give vectors of very different lengths, and
the longest would otherwise speak alone. Blocks are not centred here: that needs a catalogue's mean, and fusion is about
one title. The MediaFM encoder centres each block with statistics that are frozen inside it.

Shape letters: S shots, Dv, Da, Dt the widths of video, audio and text, D = Dv + Da + Dt.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.catalogue.title import Part
from mediafm_core.delivered_forms import read_form
from mediafm_core.errors import DimensionError
from mediafm_core.planning.state import Step
from mediafm_core.store.vectors import spans_of, vector_table, vectors_of
from mediafm_core.workbench import Bench, Draft

Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class Blocks(NamedTuple):
    """The three parts of fused vectors: views, not copies."""

    video: Vectors
    """(S, Dv)."""
    audio: Vectors
    """(S, Da)."""
    text: Vectors
    """(S, Dt)."""


def fuse(video: Vectors, audio: Vectors, text: Vectors, *, suite: Suite, has_audio: Mask, has_text: Mask) -> Vectors:
    """Concatenate the modalities of each shot, each scaled to unit length, and scale the whole to unit length.

    A shot without dialogue has no timed text: its text block is zero (MediaFM post, footnote 2), so video and audio
    gain weight in it. The same holds for a shot without sound, and for one without pictures, whose video row is zero.

    Args:
        video: (S, Dv) float32, one row per shot; a row of zeros is an absent one.
        audio: (S, Da) float32; rows where `has_audio` is false are ignored.
        text: (S, Dt) float32; rows where `has_text` is false are ignored.
        suite: declares the three widths.
        has_audio: (S,) bool; `presence(audio)` where the encoder's zeros are to decide.
        has_text: (S,) bool.

    Returns:
        (S, D) float32, each row of unit length; present blocks of a row are equally long.

    Raises:
        DimensionError: a modality's width is not the one that the suite declares; the numbers of shots differ; a row
            that counts is not finite, or zero though it is said to be present; a shot has no modality at all.
    """
    present = {Modality.VIDEO: presence(video), Modality.AUDIO: has_audio, Modality.TEXT: has_text}
    blocks = {Modality.VIDEO: video, Modality.AUDIO: audio, Modality.TEXT: text}
    for modality, block in blocks.items():
        _check_shape(block, present[modality], suite, modality, len(video))
    parts = [_unit_block(block, present[modality], modality) for modality, block in blocks.items()]
    n_present = np.sum(list(present.values()), axis=0)  # (S,)
    _refuse_rows(n_present == 0, "a shot that is neither seen, heard nor read", "at least one modality in each shot")
    fused = np.concatenate(parts, axis=1) / np.sqrt(n_present)[:, None]  # (S, D)
    return fused.astype(np.float32)


def split(fused: Vectors, suite: Suite) -> Blocks:
    """The three blocks of fused vectors, as views.

    Args:
        fused: (..., D); any leading axes.
        suite: declares the three widths.

    Raises:
        DimensionError: the width is not the suite's.
    """
    if fused.shape[-1] != suite.dims:
        raise _width_error("fused embedding", fused.shape[-1], suite.dims, suite)
    first, second = suite.video.dims, suite.video.dims + suite.audio.dims
    return Blocks(fused[..., :first], fused[..., first:second], fused[..., second:])


def make_fused(bench: Bench, step: Step) -> Draft:
    """The fused embeddings of a title, from its three unimodal ones, made here or delivered."""
    if "embeddings" in step.ingredients:
        embeddings = read_form(bench.delivered_files(step, Part.EMBEDDINGS))
        spans, blocks = embeddings.spans, [embeddings.vectors[modality] for modality in Modality]
    else:
        tables = [bench.read_table(step, role) for role in Modality]
        spans, blocks = spans_of(tables[0]), [vectors_of(table) for table in tables]
    video, audio, text = blocks
    has_audio, has_text = presence(audio), presence(text)
    fused = fuse(video, audio, text, suite=bench.suite(step), has_audio=has_audio, has_text=has_text)
    facts = {
        "n_shots": len(fused),
        "dims": fused.shape[1],
        "n_with_audio": int(has_audio.sum()),
        "n_with_text": int(has_text.sum()),
    }
    return Draft(vector_table(spans, fused), facts)


def presence(block: Vectors) -> Mask:
    """Where a modality is present: rows that are not all zero; (..., D) gives (...) bool. NaN counts as present."""
    return np.any(block != 0, axis=-1)


def _unit_block(block: Vectors, present: Mask, modality: Modality) -> npt.NDArray[np.float64]:
    """One modality with rows of unit length where it is present and of zeros elsewhere."""
    wide = np.where(present[:, None], block, 0.0).astype(np.float64)  # float64: no overflow, no loss to rounding
    _refuse_rows(np.any(~np.isfinite(wide), axis=1), f"{modality}: NaN or infinity", "finite vectors")
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    _refuse_rows(
        np.logical_and(present, largest[:, 0] == 0), f"{modality}: zeros, said to be present", "a vector, or absence"
    )
    scaled = wide / np.where(largest > 0, largest, 1.0)  # within [-1, 1], so that squares neither vanish nor overflow
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1.0)


def _check_shape(block: Vectors, present: Mask, suite: Suite, modality: Modality, n_shots: int) -> None:
    dims = suite.spec(modality).dims
    if block.ndim != 2 or block.shape[1] != dims:
        raise _width_error(f"{modality} embedding", block.shape[-1] if block.ndim else 0, dims, suite)
    if len(block) != n_shots or present.shape != (n_shots,) or present.dtype != np.bool_:
        raise DimensionError(
            f"{modality} embedding",
            found=f"{len(block)} rows, presence {present.dtype} {present.shape}",
            expected=f"{n_shots} rows, as many as video has, and presence bool ({n_shots},)",
            next_step="Embed all modalities over the same list of shots.",
        )


def _refuse_rows(wrong: Mask, found: str, expected: str) -> None:
    if wrong.any():
        rows = np.flatnonzero(wrong)
        raise DimensionError(
            f"row {rows[0]} ({len(rows)} such rows of {len(wrong)})",
            found=found,
            expected=expected,
            next_step="Look at what the unimodal encoder was given for this shot.",
        )


def _width_error(culprit: str, found: int, expected: int, suite: Suite) -> DimensionError:
    return DimensionError(
        culprit,
        found=f"width {found}",
        expected=f"width {expected}, as suite {suite.id} declares",
        next_step="Check that the vectors were made by this suite.",
    )
