"""The text of each shot of a title, from what was delivered or from what is heard."""

from collections import Counter

import pyarrow as pa

from mediafm_core.captions import Cue, read_cues
from mediafm_core.catalogue.title import DeliveredFile, Part
from mediafm_core.media.cache import working_set
from mediafm_core.planning.state import Step
from mediafm_core.store.vectors import span_columns, spans_of
from mediafm_core.timed_text.alignment import text_of_shots
from mediafm_core.timed_text.choosing import chosen_captions
from mediafm_core.timed_text.recognition import recognise
from mediafm_core.workbench import Bench, Draft


def make_timed_text(bench: Bench, step: Step) -> Draft:
    """A text for each shot, empty where nothing is said; cues come from files, or from the sound where none came."""
    spans = spans_of(bench.read_table(step, "shots"))
    files = _chosen(bench, step) if "captions" in step.ingredients else []
    cues = _cues(bench, files) if files else recognise(working_set(bench, step).audio)
    texts = text_of_shots(cues, spans)
    n_of_source = Counter(cue.source for cue in cues)
    facts = {
        "n_shots": len(spans),
        "n_with_text": sum(1 for text in texts if text),
        "n_cues": len(cues),
        "sources": ", ".join(sorted(n_of_source)) or "none",
        "files": ", ".join(file.name for file in files) or "none",
    }
    table = pa.table({**span_columns(spans), "text": pa.array(texts, pa.string())})
    return Draft(table, facts, ("pysubs2",) if files else ("faster-whisper",))


def _chosen(bench: Bench, step: Step) -> list[DeliveredFile]:
    title = bench.title(step)
    (media,) = title.part_files(Part.MEDIA)
    files = {file.name: file for file in title.part_files(Part.CAPTIONS)}
    return [files[name] for name in chosen_captions(list(files), media.name)]


def _cues(bench: Bench, files: list[DeliveredFile]) -> list[Cue]:
    cues = [cue for file in files for cue in read_cues(bench.home.blobs.path(file.sha256), file.name)]
    return sorted(cues, key=lambda cue: cue.span)
