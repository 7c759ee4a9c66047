"""What readers see of an encoder that is live without heads: vectors of one training, by one version of the code.

With heads it follows from them: they read the vectors of one training, and a title is shown with their scores alone.
"""

from collections import Counter
from collections.abc import Container, Mapping
from typing import NamedTuple

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.identity import TitleId
from mediafm_core.planning.chains import Chain
from mediafm_core.planning.parking import titles_held_up
from mediafm_core.planning.state import Lineage, State, Step, lineage_of

_Choices = Mapping[Lineage, ArtifactKey]
"""A title's newest embeddings by each lineage that it has any of, the newest lineage first."""


class OneLineage(NamedTuple):
    """What readers see where no release is live."""

    trained: ArtifactKey | None  # the encoder as it was trained; None where no title has embeddings
    contextual: Mapping[TitleId, ArtifactKey]  # by it, of the titles that have any


def of_one_lineage(
    state: State,
    chains: Mapping[TitleId, Chain],
    contextual: Mapping[TitleId, Step],
    will_be_made: Container[ArtifactKey] = (),
) -> OneLineage:
    """Each title's embeddings by one training: the wanted ones if they exist (or will), else its last by that training.

    After an encoder was trained anew readers keep the former training until each title that they would lose has
    embeddings by the new one. Titles that wait for a person are not waited for: they are left out until then. So no
    reader ever sees vectors of two trainings, which mean nothing beside one another.

    Args:
        state: of the catalogue.
        chains: the steps of each title up to its fused embeddings.
        contextual: each title's step by the encoder.
        will_be_made: what counts as committed.
    """
    if not contextual:
        return OneLineage(None, {})
    any_step = next(iter(contextual.values()))
    today = lineage_of(any_step.ingredients, any_step.inputs)
    made = {t: s.key for t, s in contextual.items() if s.key in state.committed or s.key in will_be_made}
    unmade = {t: _past(state, s) for t, s in contextual.items() if t not in made}
    losing = {t for t, past in unmade.items() if past and today not in past}
    if not losing or (made and losing <= titles_held_up(state, chains, contextual)):
        choices: Mapping[TitleId, _Choices] = {t: {today: key} for t, key in made.items()} | unmade
        return _by(today, choices)
    choices = {t: _past(state, s) | ({today: made[t]} if t in made else {}) for t, s in contextual.items()}
    return _by(_widest(choices), choices)


def _by(chosen: Lineage, choices: Mapping[TitleId, _Choices]) -> OneLineage:
    shown = {title: its[chosen] for title, its in choices.items() if chosen in its}
    return OneLineage(chosen.trained if shown else None, shown)


def _widest(choices: Mapping[TitleId, _Choices]) -> Lineage:
    """The lineage that most titles have; the newest of equals."""
    counts = Counter(lineage for its in choices.values() for lineage in its)
    return max(counts, key=lambda lineage: counts[lineage])


def _past(state: State, step: Step) -> dict[Lineage, ArtifactKey]:
    found: dict[Lineage, ArtifactKey] = {}
    for past in state.embedded(step.key.partition):
        if past.key in state.committed:
            found.setdefault(past.lineage, past.key)
    return found
