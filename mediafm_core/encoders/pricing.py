"""What planned texts will cost where they are read by a model behind an API: nothing is asked and nothing is kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import pyarrow.parquet as pq

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.catalogue.suite import Suite
from mediafm_core.catalogue.title import Metadata
from mediafm_core.encoders import openai_text
from mediafm_core.encoders.declaring import place_of
from mediafm_core.planning.cost import Price, price
from mediafm_core.planning.making import hash_of
from mediafm_core.planning.state import Step
from mediafm_core.store.home import Home
from mediafm_core.store.paid import FILE, answered

N_READ: Final = 200
"""Titles whose timed text is read for a plan; what others will cost is taken to be the mean."""

_N_USUAL: Final = 50  # titles that a mean rests on, the last ones

Texts = Sequence[str]


def paid_suites(home: Home) -> dict[str, Suite]:
    """The suites of a home whose texts are read for money, by their ids."""
    suites = [Suite.from_json(body) for body in home.ledger.declared("suite").values()]
    behind_api = [suite for suite in suites if suite.text.instrument.name == openai_text.NAME]
    return {suite.id: suite for suite in behind_api if place_of(home, suite.text).get("usd_per_million")}


def prices(home: Home, steps: Iterable[Step]) -> list[Price]:
    """What these steps will cost in money, by suite and kind; nothing where no text of theirs is read for money.

    A text that several titles say is counted once, and one that was paid for before not at all. Texts that are not
    known yet, as the timed text of a title that is new, count as much as all texts of a title that is known.

    Args:
        home: whose steps they are.
        steps: of a plan, each once.
    """
    paid = paid_suites(home)
    planned: dict[tuple[str, str], list[Step]] = {}
    for step in steps if paid else ():
        if step.key.kind in _TEXTS and (suite := step.axes["suite"]) in paid:
            planned.setdefault((suite, step.key.kind), []).append(step)
    bills = {suite: Bill(home, paid[suite]) for suite, _ in planned}
    return [_priced(home, bills[suite], kind, its) for (suite, kind), its in planned.items()]


@dataclass(frozen=True, slots=True)
class Bill:
    """What the texts of one suite come to; each text is on it once."""

    home: Home
    suite: Suite
    seen: set[str] = field(default_factory=set)  # keys of the texts that are on it

    @property
    def place(self) -> Mapping[str, Any]:
        """What the home declares of the model's price."""
        return place_of(self.home, self.suite.text)

    @property
    def counted(self) -> str:
        """How tokens are counted."""
        return "tokens" if self.place.get("exact_tokens") else "bytes"

    def count(self, texts: Iterable[str]) -> int:
        """The tokens of these texts, each counted as often as it stands here."""
        model = self.suite.text.instrument.settings["model"]
        count = openai_text.count_by_tiktoken(model) if self.counted == "tokens" else openai_text.bytes_of
        return sum(map(count, texts))

    def all_of(self, texts: Texts) -> int:
        """The tokens of a title's texts, whatever was paid for."""
        return self.count(openai_text.asked(self.suite.text, texts))

    def still_to_pay(self, titles: Iterable[Texts]) -> list[int]:
        """The tokens of each title's texts that were not paid for and that no title before them says."""
        new = [self._new(texts) for texts in titles]
        known = answered(self.home.root / FILE, [key for keys in new for key in keys.values()])
        return [self.count(text for text, key in keys.items() if key not in known) for keys in new]

    def _new(self, texts: Texts) -> dict[str, str]:
        keys = {t: key for t, key in openai_text.asked(self.suite.text, texts).items() if key not in self.seen}
        self.seen.update(keys.values())
        return keys

    def price(self, kind: str, n_steps: int, known: Sequence[int], usual: Sequence[int] = ()) -> Price:
        """What it comes to; arguments as in `planning.cost.price`."""
        usd = self.place.get("usd_per_million", 0.0)
        counts = {"n_steps": n_steps, "known": known, "usual": usual}
        return price(kind, self.suite.id, **counts, usd_per_million=usd, counted=self.counted)


def _priced(home: Home, bill: Bill, kind: str, steps: Sequence[Step]) -> Price:
    texts = _TEXTS[kind](home, steps)
    known = bill.still_to_pay(texts)
    if len(known) == len(steps):
        return bill.price(kind, len(steps), known)
    return bill.price(kind, len(steps), known, [bill.all_of(each) for each in texts or _USUAL[kind](home)])


def _timed_texts(home: Home, steps: Sequence[Step]) -> list[Texts]:
    """The texts of the first steps whose timed text is made."""
    keys = [step.inputs["timed_text"] for step in steps]
    absent = set(home.ledger.absent(keys))
    return [_read(home, key) for key in [key for key in keys if key not in absent][:N_READ]]


def _described(home: Home, steps: Sequence[Step]) -> list[Texts]:
    """The text of each step's title, where the ledger has the title as the step means it."""
    bodies = home.ledger.declared("title", [str(step.title) for step in steps])
    texts = {name: Metadata.from_json(body["metadata"]).described for name, body in bodies.items()}
    wanted = [(texts.get(str(step.title)), step.ingredients.get("metadata")) for step in steps]
    return [[text] for text, sha256 in wanted if text is not None and hash_of(text) == sha256]


def _usual_timed_texts(home: Home) -> list[Texts]:
    return [_read(home, row.key) for row in home.ledger.last("timed_text", _N_USUAL)]


def _usual_descriptions(home: Home) -> list[Texts]:
    facts = [row.manifest.facts for row in home.ledger.last("metadata_embedding", _N_USUAL)]
    return [[said["text"]] for said in facts if "text" in said]


def _read(home: Home, key: ArtifactKey) -> list[str]:
    return pq.read_table(BytesIO(home.read(key)), columns=["text"])["text"].to_pylist()


_TEXTS: Mapping[str, Callable[[Home, Sequence[Step]], list[Texts]]] = {
    "text_embeddings": _timed_texts,
    "metadata_embedding": _described,
}
_USUAL: Mapping[str, Callable[[Home], list[Texts]]] = {
    "text_embeddings": _usual_timed_texts,
    "metadata_embedding": _usual_descriptions,
}
