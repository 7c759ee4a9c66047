"""What is made of one title alone: from its delivery to the fused embeddings of each suite."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import NamedTuple

from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.catalogue.title import Part, Title
from mediafm_core.identity import TitleId
from mediafm_core.planning.making import hash_of, made_step
from mediafm_core.planning.state import State, Step

Chain = tuple[Step, ...]
"""Each step after those that it reads."""


def chains(state: State) -> dict[TitleId, Chain]:
    """The chain of every active title."""
    tools = _Tools(
        detector={"detector": asdict(state.detector)},
        recogniser={"recogniser": asdict(state.recogniser)},
        suites=tuple(_prepared(suite) for suite in state.suites),
    )
    return {title.id: tuple(_chain(tools, title)) for title in state.titles.values()}


class _Prepared(NamedTuple):
    """What of a suite stands in every title's steps, worked out once."""

    id: str
    is_delivered: bool
    encoders: Mapping[Modality, Mapping[str, object]]
    read_with: Mapping[Modality, tuple[Modality, ...]]


class _Tools(NamedTuple):
    """What every title's steps are made with, as ingredients."""

    detector: Mapping[str, object]
    recogniser: Mapping[str, object]
    suites: tuple[_Prepared, ...]


def _prepared(suite: Suite) -> _Prepared:
    encoders = {modality: {"encoder": asdict(suite.spec(modality))} for modality in Modality}
    return _Prepared(suite.id, suite.is_delivered, encoders, {m: suite.read_with(m) for m in Modality})


def _chain(tools: _Tools, title: Title) -> Iterator[Step]:
    parts = {part: title.part_hash(part) for part in Part}
    media, axes = {"media": parts[Part.MEDIA]}, {"title": title.id}
    shots = _shots(tools, axes, parts)
    yield made_step(
        "deliveries", axes, {**{part.value: of for part, of in parts.items()}, "delivered_as": title.delivered_as}
    )
    yield shots
    timed_text = _timed_text(tools, axes, parts, shots)
    if parts[Part.MEDIA]:
        yield made_step("thumbnails", axes, media, shots=shots.key)
        yield timed_text
    for suite in tools.suites:
        if suite.id == title.suite:
            yield from _delivered_chain(suite, title, {"embeddings": parts[Part.EMBEDDINGS]}, shots)
        elif parts[Part.MEDIA] and not suite.is_delivered:
            yield from _suite_chain(suite, title, media, shots, timed_text)


def _shots(tools: _Tools, axes: Mapping[str, str], parts: Mapping[Part, str | None]) -> Step:
    shot_list = parts[Part.SHOT_LIST]
    found = {"media": parts[Part.MEDIA], **tools.detector}
    return made_step("shots", axes, {"shot_list": shot_list} if shot_list else found)


def _timed_text(tools: _Tools, axes: Mapping[str, str], parts: Mapping[Part, str | None], shots: Step) -> Step:
    captions = parts[Part.CAPTIONS]
    heard = {"media": parts[Part.MEDIA], **tools.recogniser}
    return made_step("timed_text", axes, {"captions": captions} if captions else heard, shots=shots.key)


def _suite_chain(
    suite: _Prepared, title: Title, media: Mapping[str, object], shots: Step, timed_text: Step
) -> Iterator[Step]:
    axes = {"suite": suite.id, "title": title.id}
    video, audio, text = (_embeddings(suite, modality, axes, media, shots, timed_text) for modality in Modality)
    metadata = {"metadata": hash_of(title.metadata.described), **suite.encoders[Modality.TEXT]}
    yield from (video, audio, text)
    yield made_step("metadata_embedding", axes, metadata)
    yield made_step("fused_embeddings", axes, {}, video=video.key, audio=audio.key, text=text.key)


def _embeddings(
    suite: _Prepared,
    modality: Modality,
    axes: Mapping[str, str],
    media: Mapping[str, object],
    shots: Step,
    timed_text: Step,
) -> Step:
    """One modality's vectors. What is perceived in one pass with others is made from what they are made from, too."""
    together = suite.read_with[modality]
    of_media = {"shots": shots.key} if set(together) != {Modality.TEXT} else {}
    of_text = {"timed_text": timed_text.key} if Modality.TEXT in together else {}
    made_from = {**(media if of_media else {}), **suite.encoders[modality]}
    return made_step(f"{modality}_embeddings", axes, made_from, **of_media, **of_text)


def _delivered_chain(suite: _Prepared, title: Title, made_from: Mapping[str, object], shots: Step) -> Iterator[Step]:
    axes = {"suite": suite.id, "title": title.id}
    yield made_step("metadata_embedding", axes, made_from)
    yield made_step("fused_embeddings", axes, made_from, shots=shots.key)
