"""Pieces of titles, padded into batches of like lengths.

Shape letters: B pieces, S shots of the longest, F fused, M metadata.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from mediafm_core.errors import DimensionError
from mediafm_core.sequence.windows import Window


class Piece(NamedTuple):
    """A window of one title, as tensors."""

    fused: Tensor  # (S, F) float32
    metadata: Tensor  # (M,) float32; all zero where the title has none
    fraction: Tensor  # (S,) float32, where in the whole title each shot stands


class Batch(NamedTuple):
    """Pieces side by side, the shorter ones padded with zeros."""

    fused: Tensor  # (B, S, F) float32
    real: Tensor  # (B, S) bool, false where a row is padding
    fraction: Tensor  # (B, S) float32, 0 in padding
    metadata: Tensor  # (B, M) float32

    @property
    def padding_mask(self) -> Tensor | None:
        """`real`, or None where nothing is padding: an encoder reads that faster."""
        return None if bool(self.real.all()) else self.real

    def to(self, device: torch.device) -> Self:
        """The same on a device; itself where it is there."""
        return self._make(tensor.to(device) for tensor in self)


def piece(fused: Tensor, metadata: Tensor, window: Window) -> Piece:
    """One window of a title of shape (S, F)."""
    middles = torch.arange(window.start, window.stop, dtype=torch.float32) + 0.5
    return Piece(fused[window.start : window.stop], metadata, middles / len(fused))


def collate(pieces: Sequence[Piece], pad_to: int | None = None) -> Batch:
    """Pad pieces to the longest of them, or to `pad_to` shots.

    Raises:
        DimensionError: no piece, or one that is longer than `pad_to`.
    """
    lengths = torch.tensor([len(p.fused) for p in pieces])
    longest = int(lengths.max()) if len(pieces) else 0
    n_shots = longest if pad_to is None else pad_to
    if longest < 1 or longest > n_shots:
        raise DimensionError(
            "a batch of titles",
            found=f"{len(pieces)} pieces of up to {longest} shots",
            expected=f"at least one piece, of 1 to {n_shots} shots",
            next_step="Cut long titles into windows first.",
        )
    return Batch(
        fused=torch.stack([_padded(p.fused, n_shots) for p in pieces]),
        real=torch.arange(n_shots)[None] < lengths[:, None],
        fraction=torch.stack([_padded(p.fraction, n_shots) for p in pieces]),
        metadata=torch.stack([p.metadata for p in pieces]),
    )


def _padded(rows: Tensor, n_rows: int) -> Tensor:
    padded = rows.new_zeros(n_rows, *rows.shape[1:])
    padded[: len(rows)] = rows
    return padded


def by_length(lengths: Sequence[int], max_padded_shots: int) -> list[list[int]]:
    """Group pieces of like lengths, so that little is spent on padding.

    Args:
        lengths: shots of each piece.
        max_padded_shots: shots of a batch, padding included; a longer piece stands alone.

    Returns:
        Indices into `lengths`, each once, longest first; the order of equal lengths is kept.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    groups: list[list[int]] = []
    for i in order:
        fits = bool(groups) and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= max_padded_shots
        if fits and 2 * lengths[i] >= lengths[groups[-1][0]]:  # never more padding than shots
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
