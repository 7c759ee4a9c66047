"""The shot detector as an instrument: what its boundaries depend on."""

from dataclasses import asdict

from mediafm_core import weights
from mediafm_core.catalogue.suite import Instrument
from mediafm_core.shots.boundaries import BoundaryRule
from mediafm_core.shots.engines import N_WINDOW, WEIGHTS
from mediafm_core.shots.transitions import N_KEPT

DETECTOR = Instrument(
    name=WEIGHTS,
    weights_sha256=weights.sha256(WEIGHTS),
    settings={"precision": "f32", "window": N_WINDOW, "kept": N_KEPT, **asdict(BoundaryRule())},
)
"""The shot detector as it is used by default. The engine that runs it is provenance and stands apart."""
