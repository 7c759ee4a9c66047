"""The committed samples: short real clips, a cut of the film, and the truth about where its shots come from."""

import json
from pathlib import Path

from mediafm_core.errors import DeliveryError
from mediafm_core.identity import Span, TitleId, title_id
from mediafm_core.reports.gather import TrueShot

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CUT = title_id("bbb-cut")
CLIPS = (title_id("bbb-butterfly"), title_id("bbb-climb"))


def committed_films() -> dict[TitleId, Path]:
    """The delivery folders of the short clips that are always there. The cut is apart: `SAMPLES / CUT`.

    Raises:
        DeliveryError: the samples are not where a checkout has them.
    """
    for title in (*CLIPS, CUT):
        if not (SAMPLES / title / "_COMPLETE").is_file():
            raise DeliveryError(
                f"sample {title!r}",
                found=f"no complete delivery at {SAMPLES / title}",
                expected="the folder samples/ of a checkout",
                next_step="Run this from a clone of the repository.",
            )
    return {title: SAMPLES / title for title in CLIPS}


def cut_truth() -> tuple[TrueShot, ...]:
    """Where each shot of the committed cut stands in the film."""
    rows = json.loads((SAMPLES / "bbb-cut.truth.json").read_text())
    return tuple(TrueShot(Span(*row["cut"]), (Span(*row["film"]),)) for row in rows)


def trailer_truth() -> tuple[TrueShot, ...]:
    """Where each shot of the film's trailer stands in the film, as found by pixel correlation."""
    rows = json.loads((SAMPLES / "trailer.truth.json").read_text())
    return tuple(
        TrueShot(Span(*row["trailer"]), tuple(Span(*source["film"]) for source in row["sources"])) for row in rows
    )
