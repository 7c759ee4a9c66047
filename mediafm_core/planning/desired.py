"""What every artifact of a catalogue is made from. This is the whole graph, one function for each kind.

A kind hashes only what its content depends on: an edited synopsis changes the metadata embedding and what reads it, and
leaves shots, video, audio and text alone.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from mediafm_core.catalogue import (
    KINDS,
    UNPARTITIONED,
    ArtifactKey,
    EncoderSpec,
    Modality,
    Part,
    Suite,
    Title,
    join_partition,
)
from mediafm_core.identity import TitleId, canonical_json, fingerprint
from mediafm_core.planning.state import State, Step


class EncoderSteps(NamedTuple):
    """The steps of one encoder."""

    corpus: Step
    trained: Step
    contextual: dict[TitleId, Step]


@dataclass(frozen=True, slots=True)
class Desired:
    """Every step that a catalogue asks for, but the snapshot, which depends on what could be made."""

    chains: Mapping[TitleId, tuple[Step, ...]]  # from the delivery to the fused embeddings
    encoders: Mapping[str, EncoderSteps]

    def steps(self) -> Iterator[Step]:
        """All steps, each after those that it reads; title by title where it can be."""
        for chain in self.chains.values():
            yield from chain
        for encoder in self.encoders.values():
            yield from (encoder.corpus, encoder.trained)
            yield from encoder.contextual.values()


def desired(state: State) -> Desired:
    """What a catalogue asks for."""
    chains = {title.id: tuple(_title_chain(state, title)) for title in state.titles.values()}
    encoders = {encoder.name: _encoder_steps(encoder, chains) for encoder in state.encoders}
    return Desired(chains, encoders)


def snapshot(trained: ArtifactKey, encoder: str, members: Mapping[TitleId, tuple[Title, ArtifactKey]]) -> Step:
    """The step that shows readers these contextual embeddings of one encoder, each beside its title's record."""
    shown = {title: [_hash_of(asdict(record)), key.fingerprint] for title, (record, key) in members.items()}
    return _step("snapshot", {}, {"name": encoder, "titles": _hash_of(shown)}, encoder=trained)


def _title_chain(state: State, title: Title) -> Iterator[Step]:
    shots = _shots(state, title)
    timed_text = _timed_text(state, title, shots)
    yield _deliveries(title)
    yield shots
    yield _step("thumbnails", {"title": title.id}, {"media": title.part_hash(Part.MEDIA)}, shots=shots.key)
    yield timed_text
    for suite in state.suites:
        yield from _suite_chain(suite, title, shots, timed_text)


def _deliveries(title: Title) -> Step:
    parts = {part.value: title.part_hash(part) for part in Part}
    return _step("deliveries", {"title": title.id}, {**parts, "delivered_as": title.delivered_as})


def _shots(state: State, title: Title) -> Step:
    made_from = {"media": title.part_hash(Part.MEDIA), "detector": asdict(state.detector)}
    return _step("shots", {"title": title.id}, made_from)


def _timed_text(state: State, title: Title, shots: Step) -> Step:
    captions = title.part_hash(Part.CAPTIONS)
    heard = {"media": title.part_hash(Part.MEDIA), "recogniser": asdict(state.recogniser)}
    return _step("timed_text", {"title": title.id}, {"captions": captions} if captions else heard, shots=shots.key)


def _suite_chain(suite: Suite, title: Title, shots: Step, timed_text: Step) -> Iterator[Step]:
    axes = {"suite": suite.id, "title": title.id}
    encoders = {modality: {"encoder": asdict(suite.spec(modality))} for modality in Modality}
    media = {"media": title.part_hash(Part.MEDIA)}
    video = _step("video_embeddings", axes, {**media, **encoders[Modality.VIDEO]}, shots=shots.key)
    audio = _step("audio_embeddings", axes, {**media, **encoders[Modality.AUDIO]}, shots=shots.key)
    text = _step("text_embeddings", axes, encoders[Modality.TEXT], timed_text=timed_text.key)
    metadata = {"metadata": _hash_of(title.metadata.described), **encoders[Modality.TEXT]}
    yield from (video, audio, text)
    yield _step("metadata_embedding", axes, metadata)
    yield _step("fused_embeddings", axes, {}, video=video.key, audio=audio.key, text=text.key)


def _encoder_steps(encoder: EncoderSpec, chains: Mapping[TitleId, tuple[Step, ...]]) -> EncoderSteps:
    axes = {"encoder": encoder.name}
    members = _hash_of([asdict(member) for member in encoder.corpus])
    corpus = _step("pretraining_corpus", axes, {"suite": encoder.suite, "members": members})
    trained = _step("mediafm_encoder", axes, {"config": encoder.config, "seed": encoder.seed}, corpus=corpus.key)
    contextual = {title: _contextual(encoder, trained, title, chain) for title, chain in chains.items()}
    return EncoderSteps(corpus, trained, contextual)


def _contextual(encoder: EncoderSpec, trained: Step, title: TitleId, chain: tuple[Step, ...]) -> Step:
    of_suite = {step.key.kind: step.key for step in chain if step.axes.get("suite") == encoder.suite}
    inputs = {
        "fused": of_suite["fused_embeddings"],
        "metadata": of_suite["metadata_embedding"],
        "encoder": trained.key,
    }
    return _step("contextual_embeddings", {"encoder": encoder.name, "title": title}, {}, **inputs)


def _hash_of(value: object) -> str:
    """The sha256 of a JSON value: stands for it where it is long."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _step(kind: str, axes: Mapping[str, str], ingredients: Mapping[str, object], **inputs: ArtifactKey) -> Step:
    made_from = {
        "code": KINDS[kind].code_version,
        **ingredients,
        **{role: key.fingerprint for role, key in inputs.items()},
    }
    partition = join_partition(**axes) if axes else UNPARTITIONED
    return Step(ArtifactKey(kind, partition, fingerprint(kind, made_from)), made_from, inputs)
