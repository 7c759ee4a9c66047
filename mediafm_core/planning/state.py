"""What the planner reads: what the catalogue asks for, and what exists."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from mediafm_core.catalogue.declared import AblationWish, CanarySet, EncoderSpec, FrozenLabels, Release, TrainingSet
from mediafm_core.catalogue.kinds import ArtifactKey, split_partition
from mediafm_core.catalogue.suite import Instrument, Suite
from mediafm_core.catalogue.title import Title
from mediafm_core.identity import Fingerprint, TitleId


class Scored(NamedTuple):
    """Predictions that were committed once, and what they were made from."""

    key: ArtifactKey
    contextual: ArtifactKey
    heads: Mapping[str, Fingerprint]  # by task


_HEAD = "head_"
"""How the role of a head begins among the inputs of what reads heads; the task's name follows."""


def head_role(task: str) -> str:
    """The role of a task's head among the inputs of what reads heads."""
    return _HEAD + task


def scored_by(key: ArtifactKey, inputs: Mapping[str, ArtifactKey]) -> Scored:
    """What predictions say of themselves."""
    heads = {role.removeprefix(_HEAD): read.fingerprint for role, read in inputs.items() if role.startswith(_HEAD)}
    return Scored(key, inputs["contextual"], heads)


class Lineage(NamedTuple):
    """What contextual embeddings hang on beside their title: those of two lineages cannot be compared."""

    trained: ArtifactKey  # the encoder as it was trained
    code: int  # version of the code that read the title


class Embedded(NamedTuple):
    """Contextual embeddings that were committed once."""

    key: ArtifactKey
    lineage: Lineage


def lineage_of(ingredients: Mapping[str, Any], inputs: Mapping[str, ArtifactKey]) -> Lineage:
    """The lineage that contextual embeddings say they are of, or a step for them."""
    return Lineage(inputs["encoder"], ingredients["code"])


def _never_embedded(_partition: str) -> tuple[Embedded, ...]:
    return ()


def _never_scored(_partition: str) -> tuple[Scored, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A catalogue at one moment. Titles are the active ones, each with its current delivery."""

    detector: Instrument  # of shot boundaries
    recogniser: Instrument  # of speech, for titles without captions
    titles: Mapping[TitleId, Title] = field(default_factory=dict)
    withdrawn: frozenset[TitleId] = frozenset()  # titles that were taken down: nothing reads them any more
    suites: tuple[Suite, ...] = ()
    encoders: tuple[EncoderSpec, ...] = ()  # those that are asked for
    retired: tuple[EncoderSpec, ...] = ()  # those that were: nothing is planned for them
    labels: Mapping[str, FrozenLabels] = field(default_factory=dict)  # by task; a home may have none
    training: Mapping[tuple[str, str], TrainingSet] = field(default_factory=dict)  # by encoder and task
    ablations: Mapping[str, AblationWish] = field(default_factory=dict)  # by encoder; only where somebody asked
    canaries: Mapping[str, CanarySet] = field(default_factory=dict)  # by suite; only of those that are watched
    production: str | None = None  # the encoder that readers see
    release: Release | None = None  # the one that it went live with; None in a home without tasks
    floors: Mapping[str, float] = field(default_factory=dict)  # by task: the least that the gate lets through
    committed: frozenset[ArtifactKey] = frozenset()
    standing: Mapping[tuple[str, str], Fingerprint] = field(default_factory=dict)  # (kind, partition): committed last
    parked: frozenset[ArtifactKey] = frozenset()
    # a partition of predictions to all that was committed there, newest first; asked for the few titles that need it
    scored: Callable[[str], tuple[Scored, ...]] = field(default=_never_scored, compare=False)
    # the same of a partition of contextual embeddings
    embedded: Callable[[str], tuple[Embedded, ...]] = field(default=_never_embedded, compare=False)
    published: Fingerprint | None = None  # the snapshot that the pointer names
    as_of: tuple[int, int] | None = None  # how far the ledger had come; None where only a part of it was read

    def with_titles(self, *titles: Title) -> Self:
        """The state after these titles were delivered."""
        return replace(self, titles={**self.titles, **{title.id: title for title in titles}})

    def with_committed(self, *keys: ArtifactKey) -> Self:
        """The state after these artifacts were committed."""
        standing = {(key.kind, key.partition): key.fingerprint for key in keys}
        return replace(self, committed=self.committed | set(keys), standing={**self.standing, **standing})


class Step(NamedTuple):
    """One artifact that is asked for, and what it is made from."""

    key: ArtifactKey
    ingredients: Mapping[str, object]  # all that the fingerprint hashes, by name
    inputs: Mapping[str, ArtifactKey]  # the artifacts among them, by role
    reason: str = ""
    also: tuple[ArtifactKey, ...] = ()  # further artifacts that it reads, hashed together among the ingredients
    without: tuple[TitleId, ...] = ()  # of a head's new training set: labelled titles that parked steps keep out of it

    @property
    def reads(self) -> tuple[ArtifactKey, ...]:
        """All artifacts that must exist before the step can be made."""
        return (*self.inputs.values(), *self.also)

    @property
    def axes(self) -> dict[str, str]:
        """The parts of the partition by axis, e.g. {"suite": …, "title": …}."""
        return split_partition(self.key.kind, self.key.partition)

    @property
    def title(self) -> TitleId | None:
        """The title that the step is about; None where it is about more than one."""
        found = self.axes.get("title")
        return TitleId(found) if found else None
