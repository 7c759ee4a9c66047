"""What every artifact of a catalogue is made from. This is the whole graph, one function for each kind.

A kind hashes only what its content depends on: an edited synopsis changes the metadata embedding and what reads it, and
leaves shots, video, audio and text alone.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from mediafm_core.catalogue.declared import AblationWish, EncoderSpec, Release
from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.catalogue.suite import Modality
from mediafm_core.catalogue.title import Part, Title
from mediafm_core.errors import PlanError
from mediafm_core.identity import Fingerprint, TitleId
from mediafm_core.planning.chains import Chain, chains
from mediafm_core.planning.making import hash_of, made_step, plain, uncollected
from mediafm_core.planning.parking import titles_held_up
from mediafm_core.planning.state import State, Step, head_role
from mediafm_core.planning.training_sets import members_of, vectors_made_by


class EncoderSteps(NamedTuple):
    """The steps of one encoder."""

    corpus: Step
    trained: Step
    contextual: dict[TitleId, Step]
    heads: dict[str, Step]  # by task
    report: Step | None  # None where there is no task
    scored: dict[TitleId, Step]  # predictions by the heads of today; none where there are no heads
    live: dict[TitleId, Step]  # predictions by the heads of the release that is live; none of another encoder

    @property
    def predictions(self) -> tuple[Step, ...]:
        """All predictions, title by title, each once."""
        both = (sets[title] for title in self.contextual for sets in (self.scored, self.live) if title in sets)
        return tuple({step.key: step for step in both}.values())


@dataclass(frozen=True, slots=True)
class Desired:
    """Every step that a catalogue asks for, but the snapshot, which depends on what could be made."""

    chains: Mapping[TitleId, Chain]  # from the delivery to the fused embeddings
    labels: Mapping[str, Step]  # by task
    encoders: Mapping[str, EncoderSteps]
    ablations: Mapping[str, Step]  # by encoder
    canaries: Mapping[str, Step]  # by suite

    def steps(self) -> Iterator[Step]:
        """All steps, each after those that it reads; title by title where it can be."""
        for chain in self.chains.values():
            yield from chain
        yield from self.labels.values()
        for encoder in self.encoders.values():
            yield from (encoder.corpus, encoder.trained)
            yield from encoder.contextual.values()
            yield from encoder.heads.values()
            yield from [encoder.report] if encoder.report else []
            yield from encoder.predictions
        yield from self.ablations.values()
        yield from self.canaries.values()


@uncollected()
def desired(state: State) -> Desired:
    """What a catalogue asks for."""
    titles, tables = chains(state), {task: frozen.table for task, frozen in state.labels.items()}
    labels = {task: made_step("labels", {"task": task}, {"labels": table}) for task, table in tables.items()}
    encoders = {encoder.name: _encoder_steps(state, encoder, titles, labels) for encoder in state.encoders}
    return Desired(titles, labels, encoders, _ablations(state, encoders), dict(_canaries(state)))


class Shown(NamedTuple):
    """What readers see of one title."""

    record: Title
    contextual: ArtifactKey
    predictions: ArtifactKey | None  # None where the encoder went live without heads


def snapshot(trained: ArtifactKey, live: Release | str, members: Mapping[TitleId, Shown]) -> Step:
    """The step that shows readers these embeddings and predictions, of one release or of an encoder without heads."""
    shown = {
        title: [hash_of(plain(found.record)), found.contextual.fingerprint, *_fingerprint_of(found.predictions)]
        for title, found in members.items()
    }
    return made_step("snapshot", {}, {"name": name_of(live), "titles": hash_of(shown)}, encoder=trained)


def name_of(live: Release | str) -> str:
    """The name of what is live: a release's, or an encoder's."""
    return live if isinstance(live, str) else live.name


def _fingerprint_of(key: ArtifactKey | None) -> list[str]:
    return [key.fingerprint] if key else []


def encoder_steps(wanted: Desired, encoder: str) -> EncoderSteps:
    """The steps of one encoder.

    Raises:
        PlanError: there is no such encoder.
    """
    if encoder not in wanted.encoders:
        raise PlanError(
            f"encoder {encoder!r}",
            found="no such encoder",
            expected=f"one of {', '.join(wanted.encoders) or 'none yet'}",
            next_step="Look at `mediafm encoder list`, or train it.",
        )
    return wanted.encoders[encoder]


def release(steps: EncoderSteps, against: Release | None, floors: Mapping[str, float] = MappingProxyType({})) -> Step:
    """The step that judges an encoder with its heads against what is live, and against floors.

    What is live already is not judged against itself: its step is the one by which it went live.

    Raises:
        PlanError: the encoder has no heads to be judged by.
    """
    encoder = steps.trained.axes["encoder"]
    if steps.report is None:
        raise PlanError(
            f"encoder {encoder!r}",
            found="no labels for any task",
            expected="heads to judge it by",
            next_step="Set labels with `mediafm labels set TASK FILE`.",
        )
    fingerprints = {task: step.key.fingerprint for task, step in steps.heads.items()}
    if against and against.encoder == encoder and against.heads == fingerprints:
        return Step(ArtifactKey("release", encoder, against.fingerprint), {}, {})
    inputs = {"encoder": steps.trained.key, "report": steps.report.key, **_head_inputs(steps.heads)}
    judged_by = {"against": against.fingerprint if against else None, **({"floors": dict(floors)} if floors else {})}
    return made_step("release", {"encoder": encoder}, judged_by, **inputs)


def predictions(encoder: str, title: Title, contextual: ArtifactKey, heads: Mapping[str, Fingerprint]) -> Step:
    """The step that scores a title's clips, delivered ones among them, by these heads of an encoder."""
    keys = {head_role(task): ArtifactKey("probe_heads", _of(encoder, task), fp) for task, fp in sorted(heads.items())}
    axes, clips = {"encoder": encoder, "title": title.id}, {"clips": title.part_hash(Part.LABELS)}
    return made_step("predictions", axes, clips, contextual=contextual, **keys)


def _encoder_steps(
    state: State, encoder: EncoderSpec, chains: Mapping[TitleId, Chain], labels: Mapping[str, Step]
) -> EncoderSteps:
    axes, (corpus, trained) = {"encoder": encoder.name}, trained_steps(encoder)
    read = {title: _contextual(encoder, trained, title, chain) for title, chain in chains.items()}
    contextual = {title: step for title, step in read.items() if step}
    held = titles_held_up(state, chains, contextual)
    heads = {task: step for task in labels if (step := _head(state, trained, contextual, labels[task], held))}
    fingerprints = {task: step.key.fingerprint for task, step in heads.items()}
    report = made_step("probe_report", axes, {}, **_head_inputs(heads))
    return EncoderSteps(
        corpus=corpus,
        trained=trained,
        contextual=contextual,
        heads=heads,
        report=report if heads else None,
        scored=_scored(state, encoder.name, contextual, fingerprints),
        live=_scored(state, encoder.name, contextual, _live_heads(state, encoder)),
    )


def trained_steps(encoder: EncoderSpec) -> tuple[Step, Step]:
    """The steps of an encoder's corpus and of its training."""
    axes = {"encoder": encoder.name}
    members = hash_of([plain(member) for member in encoder.corpus])
    corpus = made_step("pretraining_corpus", axes, {"suite": encoder.suite, "members": members})
    return corpus, made_step(
        "mediafm_encoder", axes, {"config": encoder.config, "seed": encoder.seed}, corpus=corpus.key
    )


def _contextual(encoder: EncoderSpec, trained: Step, title: TitleId, chain: Chain) -> Step | None:
    """None where the title has no embeddings of the encoder's suite."""
    partition = join_partition(suite=encoder.suite, title=title)
    of_suite = {step.key.kind: step.key for step in chain if step.key.partition == partition}
    if "fused_embeddings" not in of_suite:
        return None
    return contextual(trained.key, title, of_suite["fused_embeddings"], of_suite["metadata_embedding"])


def contextual(trained: ArtifactKey, title: str, fused: ArtifactKey, metadata: ArtifactKey) -> Step:
    """The step that reads these embeddings of a title with a trained encoder."""
    inputs = {"fused": fused, "metadata": metadata, "encoder": trained}
    return made_step("contextual_embeddings", {"encoder": trained.partition, "title": title}, {}, **inputs)


def _head(
    state: State, trained: Step, contextual: Mapping[TitleId, Step], labels: Step, held: Container[TitleId]
) -> Step | None:
    """None where no labelled title is in the catalogue."""
    encoder, task = trained.axes["encoder"], labels.axes["task"]
    members, without = members_of(state, encoder, task, contextual, held)
    if not members:
        return None
    made_from = {"members": hash_of(members)}
    step = made_step(
        "probe_heads", {"encoder": encoder, "task": task}, made_from, labels=labels.key, encoder=trained.key
    )
    read = tuple(ArtifactKey("contextual_embeddings", _of(encoder, title), fp) for title, fp in members)
    return step._replace(also=read, without=without)


def _ablations(state: State, encoders: Mapping[str, EncoderSteps]) -> dict[str, Step]:
    """Those that somebody asked for. The titles and their embeddings are those of the heads, and hashed with them.

    One that was made beside an encoder which was retired since stands; none is made beside such an encoder.
    """
    active = {name: steps.trained.key for name, steps in encoders.items()}
    ever = {**{spec.name: trained_steps(spec)[1].key for spec in state.retired}, **active}
    found = {}
    for name, wish in state.ablations.items():
        if name in encoders and encoders[name].heads:
            beside_all, beside_active = (_ablation(encoders[name], wish, others) for others in (ever, active))
            found[name] = beside_all if beside_all.key in state.committed else beside_active
    return found


def _ablation(steps: EncoderSteps, wish: AblationWish, others: Mapping[str, ArtifactKey]) -> Step:
    inputs = {"encoder": steps.trained.key, **_head_inputs(steps.heads)}
    inputs |= {f"other_{other}": others[other] for other in wish.others if other in others}
    return made_step("ablation_report", steps.trained.axes, {"outside": dict(wish.outside)}, **inputs)


def _canaries(state: State) -> Iterator[tuple[str, Step]]:
    """The vectors that the canaries of each watched suite are held against; an acceptance asks for new ones."""
    for suite in state.suites:
        if suite.id in state.canaries and not suite.is_delivered:
            wish = state.canaries[suite.id]
            made_from = {"inputs": list(wish.tables), "accepted": wish.accepted}
            encoders = {modality.value: plain(suite.spec(modality)) for modality in Modality}
            yield suite.id, made_step("canaries", {"suite": suite.id}, {**made_from, **encoders})


def _head_inputs(heads: Mapping[str, Step]) -> dict[str, ArtifactKey]:
    return {head_role(task): step.key for task, step in heads.items()}


def _live_heads(state: State, encoder: EncoderSpec) -> Mapping[str, Fingerprint]:
    """The heads that readers see this encoder's predictions of; they may be older than those of today.

    None where they were fitted on vectors that other code made: a score of today's vectors by them means nothing.
    """
    live = state.release
    return live.heads if live and live.encoder == encoder.name and live.made_by == vectors_made_by() else {}


def _scored(
    state: State, encoder: str, contextual: Mapping[TitleId, Step], heads: Mapping[str, Fingerprint]
) -> dict[TitleId, Step]:
    if not heads:
        return {}
    return {title: predictions(encoder, state.titles[title], step.key, heads) for title, step in contextual.items()}


def _of(encoder: str, other: str) -> str:
    """A partition key of an encoder and a title, or an encoder and a task: `encoder` comes first in both."""
    return join_partition(encoder=encoder, other=other)
