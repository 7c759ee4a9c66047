"""What parked steps hold up: they wait for a person, and so does all that reads what they would have made."""

from collections.abc import Iterable, Mapping

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.identity import TitleId
from mediafm_core.planning.state import State, Step


def held_up(state: State, steps: Iterable[Step]) -> set[ArtifactKey]:
    """The artifacts that nobody can make while what is parked stays parked: parked ones, and what is behind them.

    Args:
        state: of the catalogue.
        steps: each after those that it reads; what they read beside one another counts as there.
    """
    held: set[ArtifactKey] = set()
    if state.parked:
        for step in steps:
            if step.key not in state.committed and (step.key in state.parked or not held.isdisjoint(step.reads)):
                held.add(step.key)
    return held


def titles_held_up(
    state: State, chains: Mapping[TitleId, tuple[Step, ...]], contextual: Mapping[TitleId, Step]
) -> frozenset[TitleId]:
    """The titles whose contextual embeddings wait for a person, for a reason of their own and not of their encoder.

    Args:
        state: of the catalogue.
        chains: the steps of each title up to its fused embeddings.
        contextual: of one encoder.
    """
    if not state.parked:
        return frozenset()
    held = {title for title, step in contextual.items() if held_up(state, [*chains[title], step]) & {step.key}}
    return frozenset(held)
