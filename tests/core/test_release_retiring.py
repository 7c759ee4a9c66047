"""An abandoned candidate is gone with one command: from plan, ledger and disk; and nothing else is."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from mediafm_core.catalogue.declared import AblationWish
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.errors import PlanError, ReleaseError
from mediafm_core.planning.desired import desired
from mediafm_core.pretraining.declaring import declare_encoder
from mediafm_core.release import retiring
from mediafm_core.release.history import Actor
from mediafm_core.release.retiring import FREED, retire
from mediafm_core.release.rollback import publish_standing, roll_back
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.objects import Objects
from tests import catalogue
from tests.candidates import SNAPSHOT, Candidates, released_home, seen
from tests.catalogue import LONG, NO_ID, ONE_SHOT, SILENT, V2
from tests.fakes import deliver, pairs, planned

TITLES = (SILENT, ONE_SHOT, LONG)
V10 = catalogue.encoder("v10", seed=2)  # its name begins with another's


class DiedError(BaseException):
    """Stands for the end of the process."""


def die(*_: object, **__: object) -> None:
    """The process ends here."""
    raise DiedError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where v1 is live, and where v2 and v10 are complete beside it."""
    root, candidates = tmp_path_factory.mktemp("beside") / "home", Candidates()
    home = released_home(root, TITLES)
    for spec in (V2, V10):
        home.declare("encoder", spec.name, asdict(spec))
    candidates.run(home)
    home.ledger.close()
    return root


@pytest.fixture
def home(built: Path, tmp_path: Path):
    home = Home.open(shutil.copytree(built, tmp_path / "home"))
    yield home
    home.ledger.close()


def of_encoder(home: Home, encoder: str) -> set[str]:
    """The objects of an encoder that take space, by path."""
    return {path for kind in FREED for path in home.objects.sizes(f"artifacts/{kind}/{encoder}")}


def rows_of(home: Home, encoder: str) -> list[ArtifactKey]:
    return [k for k in home.ledger.committed_in_order() if k.kind in FREED and k.partition.split("|")[0] == encoder]


def test_nothing_is_planned_for_it_nothing_is_left_of_it_and_the_others_stand(home: Home) -> None:
    others, readers = of_encoder(home, "v1") | of_encoder(home, "v10"), seen(home)[:2]
    size = sum(path.stat().st_size for path in (home.root / p for p in of_encoder(home, "v2")))
    freed = retire(home, "v2", by=Actor(user="somebody"))
    assert freed.n_bytes == size > 0
    assert freed.n_objects == {
        "pretraining_corpus": 1,
        "mediafm_encoder": 1,
        "contextual_embeddings": 3,
        "probe_heads": 5,
        "predictions": 3,
    }
    assert of_encoder(home, "v2") == set()
    assert rows_of(home, "v2") == []
    assert of_encoder(home, "v1") | of_encoder(home, "v10") == others
    assert [spec.name for spec in read_state(home).encoders] == ["v1", "v10"]
    assert planned(home).steps == ()
    assert seen(home)[:2] == readers
    deliver(home, NO_ID)
    assert not [pair for pair in pairs(planned(home).steps) if pair[1].startswith("v2|")]


def test_it_is_a_declaration_with_a_hand_and_records_stay_for_the_history(home: Home) -> None:
    before = home.ledger.declarations()
    retire(home, "v2", by=Actor(user="somebody", through="a test"))
    (*same, last) = home.ledger.declarations()
    assert same == before
    assert (last.subject, last.name, last.body["by"]["user"]) == ("retired", "v2", "somebody")
    assert home.ledger.latest("probe_report", "v2") is not None


def test_again_it_frees_nothing_and_says_nothing_new(home: Home) -> None:
    retire(home, "v2")
    before = home.ledger.declarations(), home.ledger.committed_in_order()
    assert retire(home, "v2").n_bytes == 0
    assert (home.ledger.declarations(), home.ledger.committed_in_order()) == before


def test_what_a_run_that_was_under_way_left_is_freed_by_the_next_call(home: Home) -> None:
    key = desired(read_state(home)).encoders["v2"].contextual[LONG.id].key
    row = home.ledger.artifact(key)
    assert row is not None
    data = home.objects.read(row.path)
    retire(home, "v2")
    home.objects.create(row.path, data)
    home.ledger.commit(row)
    assert retire(home, "v2").n_objects["contextual_embeddings"] == 1
    assert of_encoder(home, "v2") == set()


def test_its_failed_steps_and_its_saved_training_go_with_it(home: Home) -> None:
    steps = desired(read_state(home)).encoders["v2"]
    home.ledger.fail(steps.trained.key, "no memory", final=True)
    state = home.work / f"training-{steps.trained.key.fingerprint}.state"
    state.write_bytes(b"state")
    retire(home, "v2")
    assert home.ledger.failures() == {}
    assert not state.exists()


def test_its_name_is_taken_for_good(home: Home) -> None:
    retire(home, "v2")
    with pytest.raises(PlanError, match="a retired encoder of this name"):
        declare_encoder(home, "v2", preset="demo", seed=0)


def test_an_ablation_that_stood_beside_it_stands_and_the_next_one_leaves_it_out(home: Home) -> None:
    home.declare("ablation", "v1", asdict(AblationWish(encoder="v1", others=("v2", "v10"))))
    Candidates().run(home)
    stands = desired(read_state(home)).ablations["v1"].key
    retire(home, "v2")
    assert planned(home).steps == ()
    assert desired(read_state(home)).ablations["v1"].key == stands
    home.declare("labels", "tone", asdict(catalogue.labels("tone", *TITLES, version=2)))
    step = desired(read_state(home)).ablations["v1"]
    assert {role for role in step.inputs if role.startswith("other_")} == {"other_v10"}


# Refusals


def test_an_unknown_encoder_is_said(home: Home) -> None:
    with pytest.raises(PlanError, match="encoder 'v9'"):
        retire(home, "v9")


@pytest.mark.parametrize("force", [False, True])
def test_production_is_never_retired(home: Home, force: bool) -> None:
    before = seen(home)
    with pytest.raises(ReleaseError, match="it is in production"):
        retire(home, "v1", force=force)
    assert seen(home) == before


def test_what_readers_still_see_is_not_retired_even_where_production_is_another_already(home: Home) -> None:
    Candidates().run(home, ("release", "v2"))  # and the pointer was not swapped
    before = seen(home)
    with pytest.raises(ReleaseError, match="readers still see it"):
        retire(home, "v1", force=True)
    assert seen(home) == before
    Candidates().run(home)
    assert retire(home, "v1", force=True).n_bytes > 0


def test_what_can_be_gone_back_to_needs_force_and_there_is_no_way_back_then(home: Home) -> None:
    Candidates().go_live(home, "v2")
    before = seen(home)
    with pytest.raises(ReleaseError, match="v1-r1 could be gone back to"):
        retire(home, "v1")
    assert seen(home) == before
    retire(home, "v1", force=True)
    assert seen(home)[:2] == before[:2]
    with pytest.raises(ReleaseError, match="'v1' was retired"):
        roll_back(home)
    assert planned(home).steps == ()


def test_a_retired_encoder_does_not_go_live_in_a_promotion_that_was_under_way(home: Home) -> None:
    candidates = Candidates()
    promote = candidates.promote
    candidates.promote = lambda bench, step: (retire(home, "v2"), promote(bench, step))[0] and None
    before = seen(home)[:2]
    with pytest.raises(ReleaseError, match="'v2' was retired"):
        candidates.go_live(home, "v2")
    assert seen(home)[:2] == before
    assert planned(home).steps == ()


# Death


def kill_before_the_declaration(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Home, "declare", die)


def kill_before_the_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("mediafm_core.store.ledger.Ledger.forget", die)


def kill_after_the_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retiring, "forget_training", die)


def kill_among_the_objects(patch: pytest.MonkeyPatch) -> None:
    left, delete = [3], Objects.delete

    def some(objects: Objects, path: str) -> None:
        left[0] -= 1
        delete(objects, path) if left[0] >= 0 else die()

    patch.setattr(Objects, "delete", some)


@pytest.mark.parametrize(
    "kill", [kill_before_the_declaration, kill_before_the_rows, kill_after_the_rows, kill_among_the_objects]
)
@pytest.mark.parametrize("rebuilt", [False, True], ids=["as it is", "rebuilt"])
def test_a_death_between_any_two_steps_leaves_a_sound_home_and_the_same_command_ends_it(
    home: Home, kill: Callable[[pytest.MonkeyPatch], None], rebuilt: bool
) -> None:
    readers = seen(home)[:2]
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        with pytest.raises(DiedError):
            retire(home, "v2")
    if rebuilt:
        assert not home.rebuild_ledger().damaged
    assert seen(home)[:2] == readers
    assert planned(home).steps == ()
    retire(home, "v2")
    assert (of_encoder(home, "v2"), rows_of(home, "v2")) == (set(), [])
    assert seen(home)[:2] == readers
    assert publish_standing(home)
    Candidates().run(home, SNAPSHOT)
    assert seen(home)[:2] == readers
    assert not home.rebuild_ledger().changed
