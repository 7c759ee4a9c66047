"""What it costs to find out that nothing is missing."""

import gc
from functools import cache

from bench.harness import Figure
from bench.measuring import cpu_s, interleaved, repeated
from bench.synthetic import finished_state
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import State

N_ENCODERS = 3


def noop_plan(n_titles: int) -> Figure:
    """CPU seconds of a plan for a catalogue, held in memory, of which all is made."""
    state = _state(n_titles)
    times_s = repeated(lambda: _plan(state), rounds=3 if n_titles <= 1000 else 1, clock=cpu_s, warm_up=False)
    return Figure(sorted(times_s)[len(times_s) // 2], f"{len(state.committed):,} artifacts compared")


def noop_plan_growth(n_titles: int, n_more: int) -> Figure:
    """How much longer the plan takes for more titles; in proportion, it is `n_more / n_titles`."""
    small, large = _state(n_titles), _state(n_more)
    pair = interleaved(
        lambda: _plan(large),
        lambda: _plan(small),
        rounds=3,
        clock=cpu_s,
        warm_up=False,
        prepare=gc.collect,  # else the small catalogue's plan may pay for what the large one's left behind
    )
    return pair.as_figure(f"{n_more:,} titles", f"{n_titles:,} titles")


def _plan(state: State) -> None:
    found = plan(state)
    assert not found.steps
    assert not found.blocked


@cache
def _state(n_titles: int) -> State:
    return finished_state(n_titles, N_ENCODERS)
