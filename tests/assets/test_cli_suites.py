"""The paper's suite from end to end: models on disk, a server of embeddings, a small film, fused embeddings."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import initialise, run_job
from mediafm_assets.jobs import pairs_config, refresh, steps_config
from mediafm_assets.resources import BUDGET_VARIABLE, KEY_VARIABLE, RUN, payer_from_environment
from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.drift.asking import encoders_of
from mediafm_core.encoders.declaring import place_of
from mediafm_core.encoders.pacing import Limits
from mediafm_core.errors import EncoderMismatchError, RemoteError, WeightsError
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import vectors_of
from mediafm_core.weights.hub import HubModel, hub_models
from mediafm_core.weights.manifest import PinnedFile
from mediafm_core.workbench import Outcome, Status
from tests import model_folders
from tests.commands import told
from tests.embedding_server import Act, EmbeddingServer, serve_embeddings
from tests.homes import QUIET, deliver, ingest

KEY = "sk-test-0123456789abcdef"
WIDTHS = {Modality.VIDEO: 24, Modality.AUDIO: 32, Modality.TEXT: 16}


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serve_embeddings() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.delenv(BUDGET_VARIABLE, raising=False)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    home = initialise(tmp_path / "home")
    yield home
    home.ledger.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    model_folders.clip(root / "clip")
    model_folders.speech(root / "speech")
    return root


def add(home: Home, models: Path, server: EmbeddingServer, *more: object) -> Suite:
    towers = ("--video", models / "clip", "--audio", models / "speech")
    api = ("--base-url", server.url, "--dims", 16, "--usd-per-million", 1)
    told(home, "suites", "add", "paper", *towers, *api, *more)
    return next(suite for suite in read_state(home).suites if suite.alias == "paper")


def apply_suite(home: Home, suite: Suite) -> list[Outcome]:
    """Make what is missing of one suite, as one run of the graph."""
    missing = explained_plan(home, read_state(home)).steps
    steps = [step for step in missing if step.axes.get("suite") in (None, suite.id)]
    return run_job(home, refresh, steps_config(steps), len(steps), QUIET) if steps else []


def test_a_film_becomes_fused_embeddings_by_the_papers_suite(
    home: Home, models: Path, server: EmbeddingServer, tmp_path: Path
) -> None:
    suite = add(home, models, server)
    assert {m: suite.spec(m).dims for m in Modality} == WIDTHS
    film = deliver(tmp_path / "in", "alpha", scenes=(25, 30, 20), synopsis="A fox.", caption="Hello there.")
    ingest(home, film)
    outcomes = {o.key.kind: o for o in apply_suite(home, suite)}
    assert {o.status for o in outcomes.values()} == {Status.MADE}, [o.error for o in outcomes.values()]
    fused = vectors_of(pq.read_table(BytesIO(home.read(outcomes["fused_embeddings"].key))))
    assert fused.shape[1] == suite.dims == 72
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-3)
    assert fused[:, :24].any(axis=1).all()
    assert fused[:, 56:].any(axis=1).sum() == outcomes["text_embeddings"].facts["n_with_text"] == 1
    assert sorted(server.texts) == ["A fox. test", "Hello there."]

    # what it cost stands beside it, and the key nowhere
    facts = outcomes["text_embeddings"].facts
    assert (facts["paid_requests"], facts["paid_tokens"], facts["paid_usd"]) == (1, 3, pytest.approx(3e-6))
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]

    # again, nothing; and the same words in another title are not paid for again
    assert apply_suite(home, suite) == []
    ingest(home, deliver(tmp_path / "in", "beta", scenes=(25, 25), synopsis="A fox.", caption="Hello there."))
    assert {o.status for o in apply_suite(home, suite)} == {Status.MADE}
    assert len(server.texts) == 2


def test_a_budget_that_is_spent_makes_a_title_wait_and_parks_nothing(
    home: Home, models: Path, server: EmbeddingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = add(home, models, server)
    ingest(home, deliver(tmp_path / "in", "alpha", synopsis="A fox.", caption="Hello there."))
    monkeypatch.setenv(BUDGET_VARIABLE, "0.000001")
    outcomes = {o.key.kind: o for o in apply_suite(home, suite)}
    assert outcomes["text_embeddings"].status is Status.BLOCKED
    assert "left" in outcomes["text_embeddings"].error
    assert server.texts == []
    assert not home.ledger.failures()
    monkeypatch.setenv(BUDGET_VARIABLE, "1")
    assert {o.status for o in apply_suite(home, suite)} == {Status.MADE}


def test_a_plan_says_what_texts_will_cost_and_apply_says_it_before_it_begins(
    home: Home, models: Path, server: EmbeddingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(home, deliver(tmp_path / "in", "alpha", synopsis="A fox.", caption="Hello there."))
    assert json.loads(told(home, "plan", "--json"))["price"] == []
    assert "to pay" not in told(home, "plan")
    suite = add(home, models, server)

    def priced() -> dict[str, dict[str, Any]]:
        return {row["asset"]: row for row in json.loads(told(home, "plan", "--json"))["price"]}

    described = priced()["metadata_embedding"]
    assert (described["suite"], described["known"], described["tokens"]) == (suite.id, 1, len("A fox. test"))
    assert described["usd"] == pytest.approx(len("A fox. test") * 1e-6)
    assert priced()["text_embeddings"]["unknown"] == 1
    made = [("shots", "alpha"), ("timed_text", "alpha")]
    run_job(home, refresh, pairs_config(made), len(made), QUIET)
    assert priced()["text_embeddings"]["tokens"] == len("Hello there.")

    monkeypatch.setenv(BUDGET_VARIABLE, "0.00001")
    begun: list[str] = []
    monkeypatch.setattr("mediafm_assets.cli.plan_commands._carry_out", lambda *_: begun.append("begun") or True)
    for words in (("plan",), ("plan", "--title", "alpha"), ("apply",), ("apply", "--title", "alpha")):
        shown = told(home, *words)
        assert "to pay" in shown, words
        assert f"A run may spend $0.000010 ({BUDGET_VARIABLE})" in shown
    assert server.texts == []


def test_a_tower_whose_files_changed_makes_no_vectors(home: Home, server: EmbeddingServer, tmp_path: Path) -> None:
    model_folders.clip(tmp_path / "own" / "clip")
    model_folders.speech(tmp_path / "own" / "speech")
    suite = add(home, tmp_path / "own", server)
    ingest(home, deliver(tmp_path / "in", "alpha"))
    model_folders.clip(tmp_path / "own" / "clip", seed=5)
    outcomes = {o.key.kind: o for o in apply_suite(home, suite)}
    assert outcomes["video_embeddings"].status is Status.FAILED
    assert suite.video.instrument.weights_sha256 in outcomes["video_embeddings"].error
    add(home, tmp_path / "own", server)
    assert len(read_state(home).suites) == 3  # what is there now is another suite


def test_suites_are_listed_with_where_their_models_are(home: Home, models: Path, server: EmbeddingServer) -> None:
    suite = add(home, models, server)
    rows = [row for row in json.loads(told(home, "suites", "list", "--json")) if row["suite"] == suite.id]
    assert [row["encoder"] for row in rows] == ["clip-vision", "speech-tower", "openai-text"]
    assert [row["source"] for row in rows] == [str(models / "clip"), str(models / "speech"), server.url]


def test_adding_a_suite_twice_changes_nothing_and_a_moved_folder_keeps_its_name(
    home: Home, models: Path, server: EmbeddingServer, tmp_path: Path
) -> None:
    first = add(home, models, server)
    assert add(home, models, server).id == first.id
    model_folders.clip(tmp_path / "moved" / "clip")
    model_folders.speech(tmp_path / "moved" / "speech")
    assert add(home, tmp_path / "moved", server).id == first.id
    assert len(read_state(home).suites) == 2


def test_a_suite_can_mix_towers_with_encoders_that_packages_bring(home: Home, models: Path) -> None:
    chosen = ("--video", models / "clip", "--audio", "whisper-tiny-en", "--text", "all-minilm-l6-v2")
    assert "24 + 384 + 384 = 792 wide" in told(home, "suites", "add", "mixed", *chosen)


def test_a_model_of_one_width_is_declared_so_that_nothing_names_a_width(
    home: Home, models: Path, server: EmbeddingServer
) -> None:
    towers = ("--video", models / "clip", "--audio", models / "speech")
    api = ("--model", "bge-m3", "--base-url", server.url, "--dims", 16, "--no-dimensions", "--usd-per-million", 0)
    told(home, "suites", "add", "mine", *towers, *api)
    server.only_width = 16
    (suite,) = (suite for suite in read_state(home).suites if suite.alias == "mine")
    found = encoders_of(home, payer_from_environment)(suite.text).encode(["Hello."])
    assert found.shape == (1, 16)


@pytest.mark.parametrize(
    ("option", "act", "message"),
    [
        (("--request-s", 0.2, "--deadline-s", 0.25), Act(wait_s=1.0), "no answer in time, after 1 attempt;"),
        (("--deadline-s", 2), Act(status=429, headers={"Retry-After": "60"}), "status 429.* after 1 attempt;"),
    ],
)
def test_deadlines_of_requests_are_options(
    home: Home, models: Path, server: EmbeddingServer, option: tuple[object, ...], act: Act, message: str
) -> None:
    suite = add(home, models, server, *option)
    server.acts = [act] * 9
    began = monotonic()
    with pytest.raises(RemoteError, match=message):
        encoders_of(home, payer_from_environment)(suite.text).encode(["Hello."])
    assert monotonic() - began < 5  # by default it would wait for a minute


@pytest.mark.parametrize(
    ("option", "texts"), [(("--requests-per-minute", 200), ["A."]), (("--tokens-per-minute", 600), ["abc"])]
)
def test_how_fast_requests_and_tokens_go_out_are_options(
    home: Home, models: Path, server: EmbeddingServer, option: tuple[object, ...], texts: list[str]
) -> None:
    encoder = encoders_of(home, payer_from_environment)(add(home, models, server, *option).text)
    began = monotonic()
    for _ in range(3):
        encoder.encode(texts)
    assert monotonic() - began >= 0.6  # by default it takes no time to speak of
    assert len(server.requests) == 3


def test_what_is_not_said_is_as_the_client_has_it(home: Home, models: Path, server: EmbeddingServer) -> None:
    limits = place_of(home, add(home, models, server).text)["limits"]
    assert Limits(**limits) == Limits()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("paper", "--audio", "whisper-tiny-en"), WeightsError, "suites fetch paper"),
        (("mine",), WeightsError, "no model for video"),
        (("mine", "--video", "whisper-tiny-en"), EncoderMismatchError, "an encoder of audio"),
        (("mine", "--video", "nobody"), EncoderMismatchError, "no such encoder"),
        (("mine", "--video", "./nowhere"), WeightsError, "config.json"),
        (("mine", "--video", "org/model@main"), WeightsError, "a commit"),
        (("mine", "--base-url", "http://127.0.0.1:9/v1"), RemoteError, "--usd-per-million"),
        (("mine", "--model", "new-model"), RemoteError, "no price"),
    ],
)
def test_a_suite_that_cannot_be_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], error: type, message: str
) -> None:
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(error, match=message):
        told(home, "suites", "add", *arguments)
    assert len(read_state(home).suites) == 1


def test_a_fetched_suite_is_added_without_a_network(
    home: Home, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The pinned models stand where `fetch` puts them; nothing else is asked for, and other bytes are refused."""
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    pinned = {}
    for name, tiny in (("clip-vit-large-patch14", "clip"), ("wav2vec2-base", "speech")):
        folder = hub_models()[name].folder(tmp_path / "cache")
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(models / tiny)
        sha256 = hashlib.sha256((models / tiny / "config.json").read_bytes()).hexdigest()
        pinned[name] = replace(hub_models()[name], files=(PinnedFile("config.json", sha256),))
    with pytest.raises(WeightsError, match="openai/clip-vit-large-patch14"):
        told(home, "suites", "add", "paper")
    monkeypatch.setattr("mediafm_core.weights.hub.hub_models", lambda: pinned)
    assert "24 + 32 + 768 = 824 wide" in told(home, "suites", "add", "paper")


def test_fetching_passes_over_what_is_at_hand_and_names_what_to_add(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    fetched: list[str] = []
    monkeypatch.setattr("mediafm_core.weights.hub.fetch", lambda model, cache: fetched.append(model.repository))

    def fetch(*words: str) -> str:
        return CliRunner().invoke(app, ["suites", "fetch", *words], catch_exceptions=False).output

    video = f"org/tower@{'0' * 40}"
    shown = fetch("mine", "--video", video, "--audio", "whisper-tiny-en")
    assert fetched == ["org/tower"]
    assert "audio: whisper-tiny-en is at hand" in shown
    assert f"mediafm suites add mine --video {video} --audio whisper-tiny-en" in " ".join(shown.split())
    fetch("mine", "--audio", f"org/ear@{'0' * 40}")
    assert fetched == ["org/tower", "org/ear"]
    fetch("paper", "--audio", str(models / "speech"))
    assert fetched[2:] == ["openai/clip-vit-large-patch14"]
    with pytest.raises(EncoderMismatchError, match="no such encoder"):
        fetch("mine", "--video", "nobody")
    with pytest.raises(WeightsError, match="no model for video"):
        fetch("mine")


def test_what_was_not_fetched_is_told_with_the_whole_command(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    video = f"org/tower@{'0' * 40}"
    with pytest.raises(WeightsError, match=f"`mediafm suites fetch mine --video {video} --audio whisper-tiny-en`"):
        told(
            home, "suites", "add", "mine", "--video", video, "--audio", "whisper-tiny-en", "--text", "all-minilm-l6-v2"
        )


def test_a_fetched_joint_model_is_named_for_each_modality(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    commit = "0123456789abcdef" * 2 + "01234567"
    model = HubModel(name="omni", modality="video", repository="org/omni", revision=commit)
    model_folders.omni_whole(model.folder(tmp_path / "cache"))
    named = [part for modality in Modality for part in (f"--{modality}", f"org/omni@{commit}")]
    assert "32 + 32 + 32 = 96 wide" in told(home, "suites", "add", "omni", *named)
    (suite,) = (suite for suite in read_state(home).suites if suite.alias == "omni")
    assert suite.read_with(Modality.VIDEO) == tuple(Modality)


# --- who pays


def test_the_environment_says_who_pays_and_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setenv(BUDGET_VARIABLE, "2.5")
    token = RUN.set("r1")
    payer = payer_from_environment()
    RUN.reset(token)
    assert (payer.run, payer.budget_usd) == ("r1", 2.5)
    assert payer.key
    assert payer.key.reveal() == KEY
    assert KEY not in repr(payer)
    monkeypatch.delenv(KEY_VARIABLE)
    monkeypatch.delenv(BUDGET_VARIABLE)
    alone = payer_from_environment()
    assert (alone.key, alone.budget_usd) == (None, None)
    assert alone.run == payer_from_environment().run != "r1"


@pytest.mark.parametrize("budget", ["much", "-1", "nan", "inf"])
def test_a_budget_is_an_amount(monkeypatch: pytest.MonkeyPatch, budget: str) -> None:
    monkeypatch.setenv(BUDGET_VARIABLE, budget)
    with pytest.raises(RemoteError, match=BUDGET_VARIABLE):
        payer_from_environment()


def test_a_suite_that_nobody_needs_is_retired(home: Home) -> None:
    (suite,) = read_state(home).suites
    assert f"retired  {suite.id}" in told(home, "suites", "retire", suite.id)
    assert read_state(home).suites == ()
