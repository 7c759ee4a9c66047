"""How much goes through a network at once: said once, in the environment, and no step's fault where it is wrong."""

import dagster as dg
import pytest

from mediafm_assets.carrying import STAGES, run_steps
from mediafm_assets.resources import PORTION_VARIABLE, HomeResource, portion_bytes_from_environment, user_of_process
from mediafm_core.encoders.batches import PORTION_BYTES
from mediafm_core.errors import DimensionError
from mediafm_core.release.history import Actor
from mediafm_core.store.home import Home


def test_the_environment_says_how_many_mib_a_network_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PORTION_VARIABLE, raising=False)
    assert portion_bytes_from_environment() == PORTION_BYTES
    monkeypatch.setenv(PORTION_VARIABLE, "2048")
    assert portion_bytes_from_environment() == 2 << 30


@pytest.mark.parametrize("named", ["0", "-1", "64.5", "64M", "a lot", "²"])
def test_what_is_no_number_of_mib_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv(PORTION_VARIABLE, named)
    with pytest.raises(DimensionError, match=PORTION_VARIABLE):
        portion_bytes_from_environment()


@pytest.mark.parametrize("kind", ["video_embeddings", "audio_embeddings", "text_embeddings", "metadata_embedding"])
def test_each_stage_that_runs_an_encoder_takes_its_bound_from_the_environment(kind: str) -> None:
    assert STAGES[kind].make.keywords["bound"] is portion_bytes_from_environment  # pyright: ignore


def test_a_wrong_bound_fails_the_run_and_is_held_against_no_step(
    empty_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PORTION_VARIABLE, "much")
    by = Actor(user=user_of_process(), through="test", run="r1")
    with pytest.raises(dg.Failure, match=PORTION_VARIABLE):
        list(run_steps(HomeResource(root=str(empty_home.root)), [("text_embeddings", "s|t")], by))
    assert empty_home.ledger.failures() == {}
