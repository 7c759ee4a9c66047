"""The plan: what is asked for and not committed, in the order in which it can be made."""

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.identity import Fingerprint, TitleId
from mediafm_core.planning.desired import Desired, EncoderSteps, Shown, desired, snapshot
from mediafm_core.planning.lineages import of_one_lineage
from mediafm_core.planning.making import uncollected
from mediafm_core.planning.parking import held_up
from mediafm_core.planning.state import State, Step


class Plan(NamedTuple):
    """What is missing."""

    steps: tuple[Step, ...]  # each after those that it reads
    blocked: tuple[Step, ...]  # parked, or waiting for a step that is


@uncollected()
def plan(state: State) -> Plan:
    """Compare what a catalogue asks for with what exists."""
    wanted = desired(state)
    missing, blocked = _missing(state, wanted.steps())
    publish = snapshot_step(state, wanted, will_be_made={step.key for step in missing})
    if publish and (publish.key not in state.committed or publish.key.fingerprint != state.published):
        (blocked if publish.key in state.parked else missing).append(publish)
    return Plan(tuple(missing), tuple(blocked))


def _missing(state: State, wanted: Iterable[Step]) -> tuple[list[Step], list[Step]]:
    absent = [step for step in wanted if step.key not in state.committed]
    held = held_up(state, absent)
    missing = [step for step in absent if step.key not in held]
    return missing, [step for step in absent if step.key in held]


def snapshot_step(state: State, wanted: Desired, *, will_be_made: Iterable[ArtifactKey] = ()) -> Step | None:
    """What readers should see: each title's wanted embeddings or, while those cannot be made, its last.

    None where no encoder is in production or no title has embeddings yet.
    """
    if state.production is None or state.production not in wanted.encoders:
        return None
    made, steps = frozenset(will_be_made), wanted.encoders[state.production]
    if state.release is None:
        trained = of_one_lineage(state, wanted.chains, steps.contextual, made).trained
    else:
        trained = _best(state, steps.trained, made)
    shown = visible(state, wanted, made)
    return snapshot(trained, state.release or state.production, shown) if shown and trained else None


def visible(state: State, wanted: Desired, will_be_made: frozenset[ArtifactKey] = frozenset()) -> dict[TitleId, Shown]:
    """What readers see of each title: its wanted contextual embeddings if they exist (or will), else those that stand.

    Where a release is live, a title is seen only with the predictions of that release's heads on those embeddings;
    while the wanted pair is not whole, the last that was. Where none is, all that is seen is of one training.
    """
    assert state.production is not None
    steps = wanted.encoders[state.production]
    if state.release:
        return shown_by(state, steps, steps.live, state.release.heads, will_be_made)
    found = of_one_lineage(state, wanted.chains, steps.contextual, will_be_made).contextual
    return {title: Shown(state.titles[title], key, None) for title, key in found.items()}


def shown_by(
    state: State,
    steps: EncoderSteps,
    scored: Mapping[TitleId, Step],
    heads: Mapping[str, Fingerprint],
    will_be_made: frozenset[ArtifactKey] = frozenset(),
) -> dict[TitleId, Shown]:
    """What readers would see of each title by these heads: of an encoder that is live, or of a candidate.

    Args:
        state: of the catalogue.
        steps: of the encoder.
        scored: each title's predictions by the heads on its wanted embeddings.
        heads: by task.
        will_be_made: what counts as committed.
    """
    shown = {}
    for title, step in steps.contextual.items():
        pair = [step.key, scored[title].key] if title in scored else []
        whole = pair and all(key in state.committed or key in will_be_made for key in pair)
        if found := pair if whole else _last_pair(state, step, heads):
            shown[title] = Shown(state.titles[title], *found)
    return shown


def _last_pair(state: State, step: Step, heads: Mapping[str, Fingerprint]) -> list[ArtifactKey]:
    """The newest embeddings of a title that these heads have scored, and the scores; nothing where there are none."""
    for past in state.scored(step.key.partition):
        if past.heads == heads and past.contextual in state.committed:
            return [past.contextual, past.key]
    return []


def _best(state: State, step: Step, will_be_made: frozenset[ArtifactKey]) -> ArtifactKey | None:
    """The wanted artifact if it exists (or will), else the one that stands in its partition."""
    if step.key in state.committed or step.key in will_be_made:
        return step.key
    standing = state.standing.get((step.key.kind, step.key.partition))
    return ArtifactKey(step.key.kind, step.key.partition, standing) if standing else None


def for_titles(missing: Iterable[Step], state: State, titles: Container[str | None]) -> list[Step]:
    """Of a plan's steps those about these titles that can be made without any other title's, and the snapshot."""
    chosen: list[Step] = []
    available = set(state.committed)
    for step in missing:
        wanted = step.title in titles or not KINDS[step.key.kind].axes
        if wanted and available.issuperset(step.reads):
            chosen.append(step)
            available.add(step.key)
    return chosen


def standing_of(keys: Iterable[ArtifactKey]) -> dict[tuple[str, str], Fingerprint]:
    """(kind, partition) to the fingerprint that was committed last, from keys in the order of their commits."""
    return {(key.kind, key.partition): key.fingerprint for key in keys}
