"""What planned texts will cost: each once, what was paid for not at all, what is not known yet by the mean."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mediafm_core.catalogue.declared import CanarySet
from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.catalogue.title import Title
from mediafm_core.drift.asking import canary_prices
from mediafm_core.drift.canaries import Canary, to_bytes
from mediafm_core.encoders import openai_text, pricing
from mediafm_core.encoders.declaring import Chosen, choose_api, declare_suite
from mediafm_core.encoders.openai_text import asked, bytes_of
from mediafm_core.encoders.pricing import prices
from mediafm_core.execution import carry_out
from mediafm_core.planning.cost import Price
from mediafm_core.store.home import Home
from mediafm_core.store.paid import FILE, Purse
from mediafm_core.workbench import LogReporter
from tests import catalogue
from tests.catalogue import ONE_SHOT, SILENT, UNSORTED
from tests.fakes import Fakes, deliver, make_home, planned
from tests.ledgers import dump

LINES = ("line 1", "line 3")
"""What fakes read in a title of four shots; in a title of one shot they read nothing."""
N_BYTES = 12


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = make_home(tmp_path / "home", (SILENT, UNSORTED), encoders=(), production=None)
    yield home
    home.ledger.close()


def add_paid(home: Home, alias: str = "paid", usd: float = 1.0, *, exact_tokens: bool = False) -> Suite:
    """A suite whose texts a server reads, at so many dollars a token."""
    server = {"model": f"{alias}-model", "dims": 4, "base_url": "http://127.0.0.1:9/v1"}
    text = choose_api(**server, usd_per_million=usd * 1e6, exact_tokens=exact_tokens)
    towers = {"video": Chosen(catalogue.SUITE.video, {}), "audio": Chosen(catalogue.SUITE.audio, {})}
    return declare_suite(home, alias, **towers, text=text)


def make(home: Home, *titles: Title) -> None:
    """Make the timed text of these titles."""
    wanted = [(kind, title.id) for title in titles for kind in ("shots", "timed_text")]
    assert not [out.error for out in carry_out(home, wanted, Fakes().stages, LogReporter()) if out.error]


def priced(home: Home, kind: str = "text_embeddings") -> Price:
    """What the plan as it is asks for one kind."""
    (found,) = [each for each in prices(home, planned(home).steps) if each.kind == kind]
    return found


def pay(home: Home, suite: Suite, *texts: str) -> None:
    """Have these texts read."""
    purse = Purse(home.root / FILE, run="r", step="s", usd_per_million=1e6)
    purse.settle(purse.reserve(1), 1, {key: np.ones(4, np.float32) for key in asked(suite.text, texts).values()})
    purse.close()


def test_a_plan_without_a_paid_suite_has_no_price_and_reads_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_paid(home, usd=0.0)  # a server of one's own
    make(home, SILENT)
    steps = planned(home).steps
    assert {step.key.kind for step in steps} >= {"text_embeddings", "metadata_embedding"}
    monkeypatch.setattr(Home, "read", lambda *_: pytest.fail("an artifact was read"))
    assert prices(home, steps) == []
    assert canary_prices(home, steps) == []


def test_a_known_text_costs_its_bytes_once_whatever_titles_say_it(home: Home) -> None:
    suite = add_paid(home, usd=2.0)
    make(home, SILENT, UNSORTED)
    found = priced(home)
    assert found[:5] == ("text_embeddings", suite.id, 2, 2, 0)
    assert (found.n_tokens, found.usd, found.counted) == (N_BYTES, 2.0 * N_BYTES, "bytes")


def test_what_was_paid_for_costs_nothing_again_and_each_model_is_paid_by_itself(home: Home) -> None:
    suite, other = add_paid(home), add_paid(home, "other")
    make(home, SILENT, UNSORTED)
    pay(home, suite, LINES[0])
    found = {each.suite: each.n_tokens for each in prices(home, planned(home).steps) if each.kind == "text_embeddings"}
    assert found == {suite.id: bytes_of(LINES[1]), other.id: N_BYTES}


def test_where_the_home_says_so_tokens_are_counted_and_not_bytes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    add_paid(home, exact_tokens=True)
    make(home, SILENT)
    monkeypatch.setattr(openai_text, "count_by_tiktoken", lambda model: lambda text: len(text.split()))
    found = priced(home)
    assert (found.counted, found.n_known, found.n_tokens) == (
        "tokens",
        1,
        2 * 4,
    )  # two words a line; one title by the mean


def test_nothing_is_made_by_asking_for_a_price(home: Home) -> None:
    add_paid(home)
    before = dump(home.ledger), sorted(home.root.rglob("*"))
    priced(home)
    assert (dump(home.ledger), sorted(home.root.rglob("*"))) == before


def test_texts_that_are_not_known_yet_are_said_to_be_an_estimate_by_the_mean(home: Home) -> None:
    add_paid(home)
    deliver(home, ONE_SHOT)
    assert priced(home)[2:6] == (3, 0, 3, 0.0)  # no text is known: nothing is said
    make(home, SILENT)
    found = priced(home)
    assert (found.n_known, found.n_estimated, found.n_unknown) == (1, 2, 0)
    assert found.n_tokens == 3 * N_BYTES
    make(home, ONE_SHOT)  # nobody speaks in it
    assert priced(home).n_tokens == N_BYTES + N_BYTES / 2


def test_titles_that_were_made_before_tell_what_a_new_one_will_cost(home: Home) -> None:
    suite = add_paid(home)
    make(home, SILENT)
    pay(home, suite, *LINES)
    steps = [step for step in planned(home).steps if step.title == UNSORTED.id]
    (found, _) = prices(home, steps)
    assert (found.n_known, found.n_estimated, found.n_tokens) == (0, 1, N_BYTES)


def test_of_many_titles_so_many_are_read_and_the_others_cost_the_mean(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_paid(home)
    make(home, SILENT, UNSORTED)
    monkeypatch.setattr(pricing, "N_READ", 1)
    assert priced(home)[2:6] == (2, 1, 0, 2 * N_BYTES)


def test_a_description_is_known_from_the_record_that_the_step_means(home: Home) -> None:
    add_paid(home)
    texts = [title.metadata.described for title in (SILENT, UNSORTED)]
    steps = planned(home).steps
    assert priced(home, "metadata_embedding")[3:6] == (2, 0, sum(map(bytes_of, texts)))
    deliver(home, catalogue.with_synopsis(SILENT, "It was told otherwise."))
    (found,) = [each for each in prices(home, steps) if each.kind == "metadata_embedding"]  # of the plan of before
    assert (found.n_known, found.n_estimated) == (1, 1)
    assert found.n_tokens == 2 * bytes_of(texts[1])


def test_canaries_are_asked_for_the_reference_and_again_for_its_first_measurement(home: Home) -> None:
    suite = add_paid(home)
    pay(home, suite, *LINES)  # no earlier answer counts
    canaries = [
        *(Canary(line, Modality.TEXT, line) for line in LINES),
        Canary("a", Modality.AUDIO, np.ones(9, np.int16)),
    ]
    watched = CanarySet(suite=suite.id, tables=(home.blobs.keep_bytes(to_bytes(canaries)),))
    home.declare("canaries", suite.id, asdict(watched))
    (found,) = canary_prices(home, planned(home).steps)
    assert (found.kind, found.n_steps, found.n_tokens) == ("canaries", 1, 2 * N_BYTES)
