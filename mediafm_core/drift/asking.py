"""The encoders that canaries are embedded by: those of the suite, and a model behind an API is asked anew each time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from mediafm_core.catalogue.suite import Modality, Suite, UnimodalSpec
from mediafm_core.drift.canaries import from_bytes, of_modality
from mediafm_core.drift.reference import EncoderOf, Vectors
from mediafm_core.encoders.declaring import place_of
from mediafm_core.encoders.offered import n_threads
from mediafm_core.encoders.paying import Payer
from mediafm_core.encoders.pricing import Bill, paid_suites
from mediafm_core.encoders.protocol import UnimodalEncoder
from mediafm_core.encoders.suites import load
from mediafm_core.planning.cost import Price
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import State, Step
from mediafm_core.store.home import Home
from mediafm_core.store.paid import FILE, Purse

PayerOf = Callable[[], Payer | None]


def nobody() -> None:
    """Nobody pays: a model behind an API is refused by name."""


def encoders_of(home: Home, payer: PayerOf = nobody) -> EncoderOf:
    """The encoders of a home's suites, by their records.

    Args:
        home: says where models lie that no package ships.
        payer: who pays, asked for only where a model stands behind an API.
    """

    def encoder_of(spec: UnimodalSpec) -> UnimodalEncoder[Any]:
        who = payer() if spec.is_remote else None
        if who is None:
            return load(spec, n_threads=n_threads(), place=place_of(home, spec))
        return _AskedAnew(home, spec, who)

    return encoder_of


def canary_prices(home: Home, steps: Iterable[Step]) -> list[Price]:
    """What the planned references of suites will cost whose texts a model behind an API reads.

    Each is embedded twice, once for the reference and once as its first measurement; no earlier answer counts.
    """
    paid = paid_suites(home)
    planned = [step for step in steps if step.key.kind == "canaries"] if paid else []
    found: list[tuple[str, Any]] = [(step.axes["suite"], step.ingredients["inputs"]) for step in planned]
    return [_canary_price(home, paid[suite], tables, 2) for suite, tables in found if suite in paid]


def measuring_prices(home: Home, state: State, suite: str) -> list[Price]:
    """What one measurement of a watched suite will cost, with its reference where there is none yet.

    Nothing where no text of it is read for money.
    """
    paid, wish = paid_suites(home), state.canaries.get(suite)
    if suite not in paid or wish is None:
        return []
    has_reference = desired(state).canaries[suite].key in state.committed
    return [_canary_price(home, paid[suite], wish.tables, 1 if has_reference else 2)]


def _canary_price(home: Home, suite: Suite, tables: Iterable[str], n_times: int) -> Price:
    inputs = [canary for table in tables for canary in from_bytes(home.blobs.path(table).read_bytes())]
    texts = [str(canary.value) for canary in of_modality(inputs, Modality.TEXT)]
    bill = Bill(home, suite)
    return bill.price("canaries", 1, [n_times * bill.all_of(texts)])


class _AskedAnew(NamedTuple):
    """A model behind an API whose earlier answers count for nothing, and which is paid for as any other request."""

    home: Home
    spec: UnimodalSpec
    payer: Payer

    def encode(self, shots: Sequence[Any]) -> Vectors:
        """See `UnimodalEncoder`."""
        place = place_of(self.home, self.spec)
        purse = Purse(
            self.home.root / FILE,
            run=self.payer.run,
            step=f"canaries of {self.spec.instrument.name}",
            usd_per_million=place.get("usd_per_million", 0.0),
            budget_usd=self.payer.budget_usd,
        )
        with closing(purse):
            return load(self.spec, place=place, payer=self.payer, purse=Forgetful(purse)).encode(shots)


class Forgetful:
    """A purse that knows no answers and keeps none: what was paid for before says nothing of today."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse

    def known(self, keys: Sequence[str]) -> Mapping[str, Vectors]:  # noqa: ARG002
        """None."""
        return {}

    def reserve(self, n_tokens: int) -> int:
        """As of the purse."""
        return self._purse.reserve(n_tokens)

    def give_back(self, request: int) -> None:
        """As of the purse."""
        self._purse.give_back(request)

    def settle(self, request: int, n_tokens: int, vectors: Mapping[str, Vectors]) -> None:  # noqa: ARG002
        """As of the purse, but for the vectors."""
        self._purse.settle(request, n_tokens, {})
