"""A suite that no encoder is bound to is gone with one command, and comes back where somebody asks for it."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from mediafm_core.errors import PlanError, ReleaseError
from mediafm_core.release.retiring import retire
from mediafm_core.release.retiring_suites import retire_suite
from mediafm_core.stock import ask_for_suite, read_state
from mediafm_core.store.home import Home
from tests.candidates import seen
from tests.catalogue import LONG, SECOND_SUITE, SILENT, SUITE, UNSORTED, V1, encoder
from tests.fakes import apply, deliver, make_home, pairs, planned

TITLES = (SILENT, LONG)
OF_SECOND = encoder("v2", TITLES, of=SECOND_SUITE)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two suites, an encoder of each, and all that they ask for."""
    root = tmp_path_factory.mktemp("suites") / "home"
    home = make_home(root, TITLES, suites=(SUITE, SECOND_SUITE), encoders=(V1, OF_SECOND))
    apply(home)
    home.ledger.close()
    return root


@pytest.fixture
def home(built: Path, tmp_path: Path):
    home = Home.open(shutil.copytree(built, tmp_path / "home"))
    yield home
    home.ledger.close()


def of_second(home: Home) -> list[str]:
    return [path for path in home.objects.sizes("artifacts") if SECOND_SUITE.id in path.split("/")]


def test_nothing_is_planned_by_it_nothing_is_left_of_it_and_readers_see_no_change(home: Home) -> None:
    before, n_objects = seen(home)[:2], len(of_second(home))
    retire(home, OF_SECOND.name)
    freed = retire_suite(home, SECOND_SUITE.id)
    assert freed.total == n_objects > 0
    assert of_second(home) == []
    assert read_state(home).suites == (SUITE,)
    assert planned(home) == ((), ())
    assert seen(home)[:2] == before
    deliver(home, UNSORTED)
    steps = pairs(planned(home).steps)
    assert steps
    assert not [pair for pair in steps if SECOND_SUITE.id in pair[1]]
    assert retire_suite(home, SECOND_SUITE.id).total == 0


def test_it_is_refused_while_an_active_encoder_reads_its_embeddings(home: Home) -> None:
    declarations = home.ledger.declarations()
    for suite, name in ((SUITE, "v1"), (SECOND_SUITE, "v2")):
        with pytest.raises(ReleaseError, match=f"encoder {name}, which reads"):
            retire_suite(home, suite.id)
    assert home.ledger.declarations() == declarations
    with pytest.raises(PlanError, match="no such suite"):
        retire_suite(home, "nobody-00000000")


def test_asked_for_again_it_is_made_again_and_an_encoder_may_be_bound_to_it(home: Home) -> None:
    retire(home, OF_SECOND.name)
    retire_suite(home, SECOND_SUITE.id)
    ask_for_suite(home, SECOND_SUITE)
    assert {pair[1].split("|")[0] for pair in pairs(planned(home).steps)} == {SECOND_SUITE.id}
    home.declare("encoder", "v3", asdict(encoder("v3", TITLES, of=SECOND_SUITE)))
    apply(home)
    assert planned(home) == ((), ())
