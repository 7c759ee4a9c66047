"""What heads are fitted on: frozen when they first are, until labels or code change or a title is withdrawn."""

from collections.abc import Container, Mapping

from mediafm_core.catalogue.declared import VECTOR_KINDS, TrainingSet
from mediafm_core.identity import Fingerprint, TitleId
from mediafm_core.planning.making import code_version
from mediafm_core.planning.state import State, Step


def members_of(
    state: State, encoder: str, task: str, contextual: Mapping[TitleId, Step], held: Container[TitleId]
) -> tuple[list[tuple[TitleId, Fingerprint]], tuple[TitleId, ...]]:
    """What a head is fitted on, and the titles that it does without.

    That is its frozen training set. While there is none, it is each labelled title, but for those that parked steps
    hold up: one of them would hold up all heads, for ever. Where that leaves nothing, the head waits for them all.
    """
    if frozen := _frozen(state, encoder, task):
        return list(frozen.members), ()
    labelled = [title for title in state.labels[task].titles if title in contextual]
    ready = [title for title in labelled if title not in held] or labelled
    without = tuple(title for title in labelled if title not in ready)
    return [(title, contextual[title].key.fingerprint) for title in ready], without


def _frozen(state: State, encoder: str, task: str) -> TrainingSet | None:
    """What the head of today was fitted on, if it was: not one that read a title which was taken down since."""
    found = state.training.get((encoder, task))
    if found is None or found.table != state.labels[task].table or found.made_by != vectors_made_by():
        return None
    return found if state.withdrawn.isdisjoint(dict(found.members)) else None


def titles_of_new_heads(state: State) -> set[TitleId]:
    """The titles that a head will be fitted on for which nothing is frozen yet."""
    pairs = ((spec.name, task) for spec in state.encoders for task in state.labels)
    labelled = {title for pair in pairs if not _frozen(state, *pair) for title in state.labels[pair[1]].titles}
    return labelled - state.withdrawn


def vectors_made_by() -> dict[str, int]:
    """The code versions that an encoder's vectors hang on; heads read vectors of these versions and no others."""
    return {kind: code_version(kind) for kind in VECTOR_KINDS}
