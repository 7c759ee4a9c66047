"""What a plan comes to as runs: each training is one of its own, so that no title waits for hours behind it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mediafm_core.errors import MediaFMError
from mediafm_core.planning.cost import Price
from mediafm_core.planning.desired import trained_steps
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import State, Step
from mediafm_core.store.home import Home
from mediafm_core.store.paid import dollars

PRICE, UNPRICED = "mediafm/expected_usd", "mediafm/unpriced_steps"
"""Tags of a run that reads texts for money: what it is expected to pay, and of how many steps nothing can be said."""


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


def prices_of(home: Home, steps: Sequence[Step]) -> list[Price]:
    """What steps will cost in money; nothing where none is asked for it."""
    from mediafm_core.drift.asking import canary_prices
    from mediafm_core.encoders.pricing import prices

    return [*prices(home, steps), *canary_prices(home, steps)]


def price_tags(priced: Callable[[], Iterable[Price]], n_steps: int) -> dict[str, str]:
    """The tags that say these prices in Dagster; none where they are zero.

    A tag holds nothing up: where what is needed to say a price is not there, nothing is said of any of the steps.

    Args:
        priced: says the prices.
        n_steps: of how many steps.
    """
    try:
        prices = list(priced())
    except (MediaFMError, OSError):  # the step itself ends by the same, and is told of there
        return {UNPRICED: str(n_steps)}
    usd, n_unknown = sum(each.usd for each in prices), sum(each.n_unknown for each in prices)
    known = {PRICE: dollars(usd).removeprefix("$")} if usd else {}
    return {**known, UNPRICED: str(n_unknown)} if n_unknown else known
