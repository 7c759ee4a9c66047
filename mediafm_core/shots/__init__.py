"""Shot boundaries: from a title's frames to the spans that everything else is about."""

from dataclasses import asdict

from mediafm_core import weights
from mediafm_core.catalogue import Instrument
from mediafm_core.shots.boundaries import BoundaryRule, shots_from_probabilities
from mediafm_core.shots.engines import N_WINDOW, WEIGHTS, default_engine
from mediafm_core.shots.thumbnails import thumbnails
from mediafm_core.shots.transitions import N_KEPT, transition_probabilities

DETECTOR = Instrument(
    name=WEIGHTS,
    weights_sha256=weights.sha256(WEIGHTS),
    settings={"precision": "f32", "window": N_WINDOW, "kept": N_KEPT, **asdict(BoundaryRule())},
)
"""The shot detector as it is used by default. The engine that runs it is provenance and stands apart."""

__all__ = [
    "DETECTOR",
    "BoundaryRule",
    "default_engine",
    "shots_from_probabilities",
    "thumbnails",
    "transition_probabilities",
]
