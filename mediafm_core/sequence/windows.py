"""Windows over the shots of a title, and their results stitched back into one.

A title has about 1,500 shots and the encoder reads 512 at once. Cutting a title short or sampling it loses what the
reader came for; so a title is read by overlapping windows, all of them full, and every shot is read at least once.

Shape letters: S shots of the title, W shots of a window, K windows, H hidden.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import DimensionError


class Window(NamedTuple):
    """A half-open run of a title's shots."""

    start: int  # index of its first shot
    stop: int  # one past its last

    @property
    def n_shots(self) -> int:
        """How many shots it holds."""
        return self.stop - self.start


class Stitched(NamedTuple):
    """A title put together from its windows."""

    shots: NDArray[np.float32]  # (S, H), each row from one window
    title: NDArray[np.float32]  # (H,), the windows' [CLS] weighted by the shots that each window gave


def windows(n_shots: int, window: int, stride: int) -> list[Window]:
    """Cover a title: as few windows as the stride allows, evenly spread, all `window` long if the title is.

    Args:
        n_shots: shots of the title.
        window: shots of a window.
        stride: at most this many shots from one window's start to the next. With three quarters of a window a shot
            inside the title has an eighth of a window around it, or more.

    Raises:
        DimensionError: there is no shot, or the stride would leave shots unread.
    """
    if n_shots < 1 or not 1 <= stride <= window:
        raise DimensionError(
            "windows over a title",
            found=f"{n_shots} shots, windows of {window}, stride {stride}",
            expected="at least one shot, and 1 <= stride <= window",
            next_step="Check that the title has shots, or choose a shorter stride.",
        )
    last = max(0, n_shots - window)
    n_windows = 1 + -(-last // stride)
    starts = [round(i * last / max(1, n_windows - 1)) for i in range(n_windows)]
    return [Window(start, min(n_shots, start + window)) for start in starts]


def owners(spans: Sequence[Window]) -> NDArray[np.int64]:
    """Which window speaks for each shot: the one whose centre is nearest, so with the most context on both sides.

    Args:
        spans: windows that cover a title, by start.

    Returns:
        (S,) int64, indices into `spans`; the earlier window where two are equally near.
    """
    n_shots = max(span.stop for span in spans)
    middles = np.array([(span.start + span.stop - 1) / 2 for span in spans])
    owner = np.abs(np.arange(n_shots)[:, None] - middles).argmin(axis=1)  # (S,)
    held = np.array([spans[k].start <= shot < spans[k].stop for shot, k in enumerate(owner)])
    if not held.all():
        raise DimensionError(
            "windows over a title",
            found=f"shot {int((~held).argmax())} in no window that is nearest to it",
            expected="windows of one length that cover every shot",
            next_step="Make the windows by `windows`.",
        )
    return owner


def stitch(
    spans: Sequence[Window], shots: Sequence[NDArray[np.float32]], cls: Sequence[NDArray[np.float32]]
) -> Stitched:
    """Join the windows of one title. Each shot is taken from one window, never blended from two.

    Args:
        spans: K windows that cover the title, as `windows` makes them.
        shots: K arrays (W, H), the states of each window's shots.
        cls: K arrays (H,), each window's [CLS].

    Raises:
        DimensionError: the windows do not cover the title, or an array does not fit its window.
    """
    if [span.n_shots for span in spans] != [len(states) for states in shots] or len(cls) != len(spans):
        raise DimensionError(
            "states of a title's windows",
            found=f"{[len(states) for states in shots]} shots, {len(cls)} [CLS]",
            expected=f"{[span.n_shots for span in spans]} shots, {len(spans)} [CLS]",
            next_step="Pass the windows in the order in which they were read.",
        )
    owner = owners(spans)
    joined = np.empty((len(owner), shots[0].shape[1]), shots[0].dtype)  # (S, H)
    for k, span in enumerate(spans):
        mine = np.flatnonzero(owner == k)
        joined[mine] = shots[k][mine - span.start]
    weight = np.bincount(owner, minlength=len(spans)) / len(owner)  # (K,)
    title = np.tensordot(weight, np.stack(cls).astype(np.float64), axes=1)  # (H,)
    return Stitched(joined, title.astype(np.float32))
