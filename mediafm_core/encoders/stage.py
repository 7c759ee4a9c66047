"""What a suite sees, hears and reads of a title: one vector per shot and modality."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mediafm_core.catalogue.suite import Modality
from mediafm_core.catalogue.title import RENDERING, Part
from mediafm_core.delivered_forms import read_form
from mediafm_core.encoders import openai_text
from mediafm_core.encoders.batches import PORTION_BYTES
from mediafm_core.encoders.declaring import place_of
from mediafm_core.encoders.joint_stage import is_joint, make_jointly
from mediafm_core.encoders.offered import Offered, n_threads
from mediafm_core.encoders.paying import Payer
from mediafm_core.encoders.suites import libraries_of, load
from mediafm_core.identity import Span
from mediafm_core.media.cache import working_set
from mediafm_core.media.working_set import audio_of, stills_of
from mediafm_core.planning.state import Step
from mediafm_core.store.paid import FILE, Purse
from mediafm_core.store.vectors import spans_of, vector_column, vector_table
from mediafm_core.workbench import Bench, Draft

Bound = Callable[[], int]
"""Bytes that a network may hold at once for shots that go through it together; asked when it is loaded."""


def _default_bound() -> int:
    return PORTION_BYTES


def make_video(bench: Bench, step: Step, bound: Bound = _default_bound) -> Draft:
    """One vector per shot from its stills."""
    if is_joint(bench, step, Modality.VIDEO):
        return make_jointly(bench, step, Modality.VIDEO)
    decoded = working_set(bench, step)
    at_most = bench.suite(step).video.instrument.settings["stills_per_shot"]
    return _encoded(bench, step, Modality.VIDEO, lambda span: stills_of(decoded, span, at_most), bound)


def make_audio(bench: Bench, step: Step, bound: Bound = _default_bound) -> Draft:
    """One vector per shot from its sound; zeros where it has none."""
    if is_joint(bench, step, Modality.AUDIO):
        return make_jointly(bench, step, Modality.AUDIO)
    decoded = working_set(bench, step)
    return _encoded(bench, step, Modality.AUDIO, lambda span: audio_of(decoded, span), bound)


def _encoded(bench: Bench, step: Step, modality: Modality, read: Callable[[Span], Any], bound: Bound) -> Draft:
    spans = spans_of(bench.read_table(step, "shots"))
    spec = bench.suite(step).spec(modality)
    encoder = load(spec, n_threads=n_threads(), portion_bytes=bound(), place=place_of(bench.home, spec))
    vectors = encoder.encode(Offered(spans, read, bench.reporter.advance))
    facts = {"n_shots": len(spans), "dims": vectors.shape[1]}
    return Draft(vector_table(spans, vectors), facts, libraries_of(spec))


def make_text(
    bench: Bench, step: Step, payer: Callable[[], Payer | None] = lambda: None, bound: Bound = _default_bound
) -> Draft:
    """One vector per shot from its timed text; zeros where nothing is said.

    Args:
        bench: what a maker works with.
        step: of a title and a suite.
        payer: who pays, asked for only where the suite's text encoder stands behind an API.
        bound: of an encoder that runs here.
    """
    if is_joint(bench, step, Modality.TEXT):
        return make_jointly(bench, step, Modality.TEXT)
    table = bench.read_table(step, "timed_text")
    texts = table["text"].to_pylist()
    vectors, paid = _read_texts(bench, step, texts, payer, bound)
    facts = {"n_shots": len(texts), "n_with_text": sum(1 for text in texts if text), "dims": vectors.shape[1]}
    return Draft(vector_table(spans_of(table), vectors), {**facts, **paid}, libraries_of(bench.suite(step).text))


class _ReadTexts(NamedTuple):
    vectors: npt.NDArray[np.float32]
    paid: dict[str, Any]  # facts


def _read_texts(
    bench: Bench, step: Step, texts: list[str], payer: Callable[[], Payer | None], bound: Bound
) -> _ReadTexts:
    spec = bench.suite(step).text
    place = place_of(bench.home, spec)
    who = payer() if spec.instrument.name == openai_text.NAME else None
    if who is None:
        encoder = load(spec, n_threads=n_threads(), portion_bytes=bound(), place=place)
        return _ReadTexts(encoder.encode(texts), {})
    purse = Purse(
        bench.home.root / FILE,
        run=who.run,
        step=f"{step.key.kind} {step.key.partition}",
        usd_per_million=place.get("usd_per_million", 0.0),
        budget_usd=who.budget_usd,
    )
    try:
        vectors = load(spec, place=place, payer=who, purse=purse).encode(texts)
        spent = purse.spent()
    finally:
        purse.close()
    return _ReadTexts(
        vectors, {"paid_requests": spent.n_requests, "paid_tokens": spent.n_tokens, "paid_usd": spent.usd}
    )


def make_metadata(
    bench: Bench, step: Step, payer: Callable[[], Payer | None] = lambda: None, bound: Bound = _default_bound
) -> Draft:
    """One vector for what a title is about, made here or delivered; `payer` and `bound` as in `make_text`."""
    if "embeddings" in step.ingredients:
        vector = read_form(bench.delivered_files(step, Part.EMBEDDINGS)).metadata
        return Draft(pa.table({"vector": vector_column(vector[None])}), {"dims": len(vector), "source": "delivered"})
    metadata = bench.title(step).metadata
    vectors, paid = _read_texts(bench, step, [metadata.described], payer, bound)
    said = {"text": metadata.described, "text_as_the_post": metadata.as_the_post, "rendering": RENDERING}
    facts = {**said, "dims": vectors.shape[1], **paid}
    return Draft(pa.table({"vector": vector_column(vectors)}), facts, libraries_of(bench.suite(step).text))
