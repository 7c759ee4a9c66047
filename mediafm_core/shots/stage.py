"""Shots and thumbnails of a title, from its decoded media."""

import pyarrow as pa

from mediafm_core.catalogue.title import Part
from mediafm_core.delivered import read_shot_list
from mediafm_core.media.cache import working_set
from mediafm_core.planning.state import Step
from mediafm_core.shots.boundaries import shots_from_probabilities
from mediafm_core.shots.thumbnails import thumbnails
from mediafm_core.shots.transitions import transition_probabilities
from mediafm_core.store.vectors import span_columns, spans_of
from mediafm_core.workbench import Bench, Draft


def make_shots(bench: Bench, step: Step) -> Draft:
    """The spans between the transitions that the detector finds, or those that were delivered; they tile the title."""
    if "shot_list" in step.ingredients:
        spans = read_shot_list(bench.delivered(step, Part.SHOT_LIST))
        facts = {"n_shots": len(spans), "duration_s": spans[-1].end_s, "source": "delivered"}
        return Draft(pa.table(span_columns(spans)), facts)
    decoded = working_set(bench, step)
    probabilities = transition_probabilities(decoded.frames, bench.reporter.advance)
    spans = shots_from_probabilities(probabilities, decoded.frame_times, decoded.duration_s)
    facts = {"n_shots": len(spans), "duration_s": decoded.duration_s, "n_decode_faults": decoded.n_faults}
    return Draft(pa.table(span_columns(spans)), facts)


def make_thumbnails(bench: Bench, step: Step) -> Draft:
    """A picture for each shot."""
    spans = spans_of(bench.read_table(step, "shots"))
    pictures = thumbnails(working_set(bench, step), spans)
    table = pa.table({**span_columns(spans), "picture": pa.array(pictures, pa.binary())})
    return Draft(table, {"n_shots": len(spans), "n_bytes": sum(map(len, pictures))}, ("pillow",))
