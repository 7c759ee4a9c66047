"""What a plan comes to as runs: each training is one of its own, so that no title waits for hours behind it."""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from mediafm_core.planning.desired import trained_steps
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import State, Step


class Asked(NamedTuple):
    """What is missing."""

    trainings: tuple[str, ...]  # encoders to train
    steps: tuple[Step, ...]  # what can be made beside them; what hangs on an encoder follows when it is trained


def asked(state: State, in_training: Collection[str] = ()) -> Asked:
    """What is missing of a catalogue.

    Args:
        state: of the catalogue.
        in_training: encoders that runs under way train: nobody else does, and nothing waits for them.
    """
    own = {spec.name: {step.key for step in trained_steps(spec)} for spec in state.encoders}
    untrained = [name for name, keys in own.items() if not keys <= state.committed and keys.isdisjoint(state.parked)]
    apart = {key for name in {*untrained, *in_training} for key in own.get(name, ())}
    beside = plan(replace(state, parked=state.parked | apart)).steps
    return Asked(tuple(name for name in untrained if name not in in_training), beside)
