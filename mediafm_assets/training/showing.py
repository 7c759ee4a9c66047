"""A training as the UI shows it while it goes on: its curve on the page of the encoder, and a line in the run's log."""

import time
from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from mediafm_assets.metadata import SHOWN_ROWS
from mediafm_assets.previews import curve_metadata
from mediafm_core.pretraining.curves import Curve
from mediafm_core.pretraining.progress import Progress, said

Context = dg.OpExecutionContext | dg.AssetExecutionContext
Rows = Sequence[Mapping[str, float]]
Show = Callable[[str, Rows], None]
"""Given where a training stands, in words, and its curve."""

_EVERY_S = 30.0  # at least so long between two times that a curve is shown
_EVERY_SHARE = 0.05  # and so much of the time so far: weeks of training leave some hundreds of events


class NowAndThen:
    """Shows a growing curve every half minute, later less often; give it to `make_encoder` or `Training`."""

    def __init__(self, show: Show, clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._began_s = self._shown_s = clock()

    def __call__(self, progress: Progress, curve: Curve) -> None:
        """Take one more step in."""
        now = self._clock()
        if now - self._shown_s >= max(_EVERY_S, _EVERY_SHARE * (now - self._began_s)):
            self._shown_s = now
            self._show(said(progress), curve.told(SHOWN_ROWS))


def show_in_ui(context: Context, encoder: str, stands: str, curve: Rows) -> None:
    """Log a line, and an observation of the encoder, which its page shows before there is an encoder.

    Args:
        context: of the run that trains.
        encoder: its name.
        stands: where the training stands.
        curve: its rows, at least one.
    """
    context.log.info(stands)
    metadata = {"progress": dg.MetadataValue.text(stands), **curve_metadata(curve)}
    context.log_event(dg.AssetObservation(asset_key="mediafm_encoder", partition=encoder, metadata=metadata))
