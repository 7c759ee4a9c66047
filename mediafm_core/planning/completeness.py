"""Whether an encoder could go live now, as far as its titles go: which are not there yet, and which may be missing."""

from collections.abc import Mapping
from typing import NamedTuple

from mediafm_core.identity import TitleId
from mediafm_core.planning.desired import Desired, EncoderSteps
from mediafm_core.planning.parking import held_up
from mediafm_core.planning.plan import shown_by, visible
from mediafm_core.planning.state import State, Step


class Completeness(NamedTuple):
    """What an encoder lacks of the titles that have embeddings of its suite; all titles stand in the plan's order."""

    missing: tuple[Step, ...]  # embeddings and predictions that are not made, and can be: they are waited for
    lost: tuple[TitleId, ...]  # parked ones that readers see now and would see no more: they are waited for, too
    without: tuple[TitleId, ...]  # parked ones that nobody sees: they may be missing, and the record names them

    @property
    def whole(self) -> bool:
        """Whether the encoder may be judged."""
        return not self.missing and not self.lost


def completeness(state: State, wanted: Desired, encoder: str) -> Completeness:
    """What an encoder lacks to go live with its heads of today.

    A title that parked steps hold up is waited for only while readers see it and would not see it after the swap: else
    one broken delivery held every promotion up.
    """
    steps = wanted.encoders[encoder]
    heads = {task: step.key.fingerprint for task, step in steps.heads.items()}
    absent = _absent(state, steps)
    held = {title for title, its in absent.items() if held_up(state, [*wanted.chains[title], *its])}
    after = shown_by(state, steps, steps.scored, heads)
    now = _seen(state, wanted)
    unseen = [title for title in absent if title in held and title not in after]
    return Completeness(
        missing=tuple(step for title, its in absent.items() if title not in held for step in its),
        lost=tuple(title for title in unseen if title in now),
        without=tuple(title for title in unseen if title not in now),
    )


def _absent(state: State, steps: EncoderSteps) -> Mapping[TitleId, list[Step]]:
    """The steps of each title that are not committed, of the titles that have such."""
    found: dict[TitleId, list[Step]] = {}
    of_title = [*steps.contextual.values(), *steps.scored.values()]
    for step in of_title:
        if step.key not in state.committed and step.title is not None:
            found.setdefault(step.title, []).append(step)
    return found


def _seen(state: State, wanted: Desired) -> Mapping[TitleId, object]:
    return visible(state, wanted) if state.production in wanted.encoders else {}
