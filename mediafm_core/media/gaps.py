"""Frames that are missing from the middle of a title: what neither its length nor its damaged packets show.

A demuxer that meets a hole in a Matroska or WebM file goes on at the next cluster, without an error. What stays behind
is a gap between two frames. A gap may also be a still that was meant: slides, a recording of a screen. A container that
writes how long each frame is shown (MP4) tells the two apart. Else it is decided by the rhythm of the other frames.
"""

from collections.abc import Sequence

import numpy as np

_LEAST_GAP_S = 1.0
_LEAST_GAP_SPACINGS = 25
_STEADY_SHARE = 0.9
_STEADY_FACTOR = 2.0


def missing_s(spacings: Sequence[float], declared_s: float) -> float:
    """How many seconds of a title have no frame although they should.

    A gap is a spacing of more than 1 s that is also more than 25 times the median. Gaps count where the stream is
    steady, that is where nine in ten of its other spacings lie between half and twice the median: in a stream of
    variable rate a long still is as likely as a hole. And they count as far as the frames themselves do not say that
    they are shown for so long.

    Args:
        spacings: seconds from each frame to the next, in order of showing.
        declared_s: the sum of how long each of these frames says that it is shown, in seconds.

    Returns:
        Seconds; 0 where there are no gaps, or the rule cannot tell.
    """
    found = np.asarray(spacings, dtype=np.float64)
    if len(found) == 0:
        return 0.0
    median = float(np.median(found))
    long = found > max(_LEAST_GAP_S, _LEAST_GAP_SPACINGS * median)
    others = found[~long]
    steady = (others >= median / _STEADY_FACTOR) & (others <= median * _STEADY_FACTOR)
    if not long.any() or steady.mean() < _STEADY_SHARE:
        return 0.0
    return max(0.0, min(float(found[long].sum()), float(found.sum()) - declared_s))
