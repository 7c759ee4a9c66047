"""A catalogue with five tasks and a live release, held in memory, and what becomes of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from mediafm_core.catalogue.declared import Release, TrainingSet
from mediafm_core.catalogue.kinds import split_partition
from mediafm_core.catalogue.title import Title
from mediafm_core.identity import TitleId
from mediafm_core.planning.desired import desired, encoder_steps, release
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import Embedded, State, Step, lineage_of, scored_by
from mediafm_core.planning.training_sets import vectors_made_by
from tests import catalogue
from tests.catalogue import LONG, ONE_SHOT, SILENT, TASKS, UNSORTED, V2

TITLES = (SILENT, ONE_SHOT, LONG, UNSORTED)
LABELLED = (SILENT, ONE_SHOT, LONG)  # one title has no labels of its own


def counts(steps: Iterable[Step]) -> dict[str, int]:
    """How many steps there are of each kind."""
    return dict(Counter(step.key.kind for step in steps))


def applied(state: State) -> State:
    """The state after all of its plan was carried out, with the training sets that its heads froze."""
    steps = plan(state).steps
    published = next((s.key.fingerprint for s in steps if s.key.kind == "snapshot"), state.published)
    training = {
        (s.axes["encoder"], s.axes["task"]): _trained_on(state, s) for s in steps if s.key.kind == "probe_heads"
    }
    made = remembering(state.with_committed(*(step.key for step in steps)), steps)
    return replace(made, published=published, training={**state.training, **training})


def remembering(state: State, steps: Iterable[Step]) -> State:
    """The state that knows what these predictions and embeddings were made from, as the ledger does."""
    scored_before, embedded_before = state.scored, state.embedded
    scored = [scored_by(s.key, s.inputs) for s in steps if s.key.kind == "predictions"][::-1]
    read = [s for s in steps if s.key.kind == "contextual_embeddings"][::-1]
    embedded = [Embedded(s.key, lineage_of(s.ingredients, s.inputs)) for s in read]
    return replace(
        state,
        scored=lambda of: (*(p for p in scored if p.key.partition == of), *scored_before(of)),
        embedded=lambda of: (*(p for p in embedded if p.key.partition == of), *embedded_before(of)),
    )


def _trained_on(state: State, step: Step) -> TrainingSet:
    task = step.axes["task"]
    members = tuple((TitleId(split_partition(key.kind, key.partition)["title"]), key.fingerprint) for key in step.also)
    encoder, table = step.axes["encoder"], state.labels[task].table
    return TrainingSet(encoder=encoder, task=task, table=table, members=members, made_by=vectors_made_by())


def promoted(state: State, encoder: str, number: int = 1) -> State:
    """The state after an encoder went live with the heads of today, and readers see it."""
    steps = encoder_steps(desired(state), encoder)
    key = release(steps, state.release).key
    heads = {task: step.key.fingerprint for task, step in steps.heads.items()}
    live = Release(
        name=f"{encoder}-r{number}",
        encoder=encoder,
        heads=heads,
        fingerprint=key.fingerprint,
        made_by=vectors_made_by(),
    )
    return applied(replace(state.with_committed(key), production=encoder, release=live))


def labelled(*titles: Title) -> State:
    """A catalogue with five tasks, nothing made and nothing live."""
    state = replace(catalogue.state(*titles), production=None)
    return replace(state, labels={task: catalogue.labels(task, *LABELLED) for task in TASKS})


def with_labels(state: State, task: str, version: int) -> State:
    """The state after the labels of a task were edited."""
    return replace(state, labels={**state.labels, task: catalogue.labels(task, *LABELLED, version=version)})


def with_trained(state: State, encoder: str) -> State:
    """The state after an encoder was declared and trained."""
    of = replace(state, encoders=(*state.encoders, V2))
    steps = desired(of).encoders[encoder]
    return of.with_committed(steps.corpus.key, steps.trained.key)


LIVE = promoted(applied(labelled(*TITLES)), "v1")
"""Encoder v1 is live as v1-r1, with five heads, and nothing is missing."""
