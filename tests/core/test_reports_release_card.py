"""What the card of a release says, read off its Markdown: each figure is that of the record that it comes from."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from time import gmtime, strftime

import pytest

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.catalogue.suite import Instrument, Modality
from mediafm_core.encoders.declaring import Chosen, choose, choose_api, declare_suite
from mediafm_core.release.floors import set_floor
from mediafm_core.release.history import Actor, history
from mediafm_core.release.promotion import promote
from mediafm_core.reports.gather_card import card_of
from mediafm_core.reports.origins import Origin, origin_of
from mediafm_core.reports.release_card import card_markdown, shown
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.manifest import read_document
from mediafm_core.weights.hub import hub_models
from tests import catalogue, model_folders
from tests.candidates import Candidates, released_home
from tests.catalogue import LONG, ONE_SHOT, SILENT
from tests.fakes import make_home

TITLES = (SILENT, ONE_SHOT, LONG)
ANN = Actor(user="ann", through="job refresh", run="r1")
REVISION = "0123456789abcdef" * 2 + "01234567"
Table = list[dict[str, str]]


def tables(text: str) -> dict[str, Table]:
    """The tables of a card's Markdown by their headings; of each the rows, cells by column."""
    return {title: _table(lines) for title, _, lines in (part.partition("\n") for part in text.split("\n## ")[1:])}


def _table(lines: str) -> Table:
    rows = [line.replace("\\", "")[2:-2].split(" | ") for line in lines.splitlines() if line.startswith("| ")]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def said(table: Table) -> dict[str, str]:
    """A table of two columns."""
    return {row["what"]: row["value"] for row in table}


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home where ann promoted v2, better at tone, after v1."""
    home, makers = released_home(tmp_path_factory.mktemp("card") / "home", TITLES, worse=[("v1", "tone")]), Candidates()
    set_floor(home, "tone", 0.25)
    home.declare("encoder", "v2", asdict(catalogue.encoder("v2", TITLES, seed=1)))
    makers.promote = partial(promote, by=ANN)
    makers.run(home)
    makers.go_live(home, "v2")
    yield home
    home.ledger.close()


@pytest.fixture(scope="module")
def card(upgraded: Home) -> dict[str, Table]:
    """The card of what is live."""
    return tables(card_markdown(card_of(upgraded, "v2-r1"), None))


def test_a_card_has_the_gates_figures_against_production_with_intervals_and_floors(
    upgraded: Home, card: dict[str, Table]
) -> None:
    live = read_state(upgraded).release
    assert live is not None
    judged = read_document(upgraded.read(ArtifactKey("release", "v2", live.fingerprint)))["gate"]
    rows = {row["task"]: row for row in card["Gate"]}
    assert rows.keys() == {verdict["task"] for verdict in judged} == set(catalogue.TASKS)
    for verdict in judged:
        row = rows[verdict["task"]]
        assert row["verdict"] == verdict["verdict"] == "passes"
        assert row["reached"] == shown(float(verdict["candidate"]))
        assert row["production"] == shown(float(verdict["production"]))
        assert row["difference"] == shown(float(verdict["difference"]))
        assert row["95 % interval"] == f"{verdict['low']:.3f} to {verdict['high']:.3f}"
        assert row["floor"] == ("0.250" if verdict["task"] == "tone" else "")
    tone = rows["tone"]
    assert float(tone["reached"]) == 1 > float(tone["production"])
    assert float(tone["difference"]) > 0


def test_a_card_says_when_how_and_by_whose_hand_its_release_went_live(upgraded: Home, card: dict[str, Table]) -> None:
    (row,) = card["Went live"]
    at = history(upgraded)[-1].at
    assert at is not None
    assert row.pop("when") == strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(at))
    assert row == {"how": "promotion", "before": "v1-r1", "user": "ann", "through": "job refresh", "run": "r1"}


def test_a_card_has_the_fingerprints_of_the_encoder_of_its_corpus_and_of_the_release(
    upgraded: Home, card: dict[str, Table]
) -> None:
    of = {kind: upgraded.ledger.latest(kind, "v2") for kind in ("pretraining_corpus", "mediafm_encoder", "release")}
    identity = said(card["Corpus and identity"])
    for kind, what in (("pretraining_corpus", "corpus"), ("mediafm_encoder", "encoder"), ("release", "release")):
        row = of[kind]
        assert row is not None
        assert identity[f"fingerprint of the {what}"] == row.key.fingerprint
    assert identity["titles of the corpus"] == "3"
    assert identity["seed"] == "1"


def test_a_card_has_the_code_versions_that_its_encoder_and_release_were_made_by_and_those_of_today(
    monkeypatch: pytest.MonkeyPatch, upgraded: Home
) -> None:
    made_by = KINDS["mediafm_encoder"].code_version
    newer = {**KINDS, "mediafm_encoder": replace(KINDS["mediafm_encoder"], code_version=made_by + 1)}
    monkeypatch.setattr("mediafm_core.reports.gather_card.KINDS", newer)
    identity = said(tables(card_markdown(card_of(upgraded, "v2-r1"), None))["Corpus and identity"])
    assert identity["code version that made the encoder"] == str(made_by)
    assert identity["code version that made the release"] == str(KINDS["release"].code_version)
    today = identity["code versions when this was written"].split(", ")
    assert f"mediafm_encoder {made_by + 1}" in today
    for kind in ("pretraining_corpus", "contextual_embeddings", "probe_heads", "predictions", "probe_report"):
        assert f"{kind} {KINDS[kind].code_version}" in today
    assert "mediafm 0" in identity["libraries that made the encoder"]


# --- where pretrained weights come from


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A speech tower of two layers."""
    return model_folders.speech(tmp_path_factory.mktemp("models") / "speech")


def chosen(folder: Path, **source: str) -> Chosen:
    """The tower of a folder that says this of where it is from."""
    (folder / "source.json").write_text(json.dumps(source))
    return choose(Modality.AUDIO, str(folder))


def weights_of(home: Home, suite_id: str) -> dict[str, dict[str, str]]:
    """The card's rows of pretrained weights, by modality."""
    encoder = catalogue.encoder("v3", TITLES)
    home.declare("encoder", "v3", asdict(replace(encoder, suite=suite_id)))
    rows = tables(card_markdown(card_of(home, "v3"), None))["Pretrained weights"]
    return {row["what"]: row for row in rows}


def test_a_card_has_the_licence_that_a_towers_folder_tells(tower: Path, tmp_path: Path) -> None:
    told = {"repository": "org/speech", "revision": REVISION, "licence": "BSD-3-Clause"}
    home = make_home(tmp_path / "home", TITLES, production=None)
    folder = shutil.copytree(tower, tmp_path / "speech")
    video, text = choose(Modality.VIDEO, "efficientnet-lite0"), choose_api(usd_per_million=1.0)
    suite = declare_suite(home, "towers", video=video, audio=chosen(folder, **told), text=text)
    rows = weights_of(home, suite.id)
    assert rows["video"]["licence"] == "Apache-2.0"
    assert rows["audio"]["licence"] == "BSD-3-Clause"
    assert rows["audio"]["source"] == f"org/speech@{REVISION}, by its source.json"
    assert rows["audio"]["sha256"] == suite.audio.instrument.weights_sha256
    assert rows["text"]["licence"] == "not known here"
    assert rows["text"]["source"] == "text-embedding-3-large behind https://api.openai.com/v1"
    home.ledger.close()


def an_instrument(**files: str) -> Instrument:
    return Instrument(name="a-tower", weights_sha256="0" * 64, settings={"files": files})


def test_a_pinned_model_is_known_by_its_files_wherever_they_lie() -> None:
    clip = hub_models()["clip-vit-large-patch14"]
    expected = Origin("MIT", f"{clip.repository}@{clip.revision}")
    files = {file.path: file.sha256 for file in clip.files}
    assert origin_of(an_instrument(**files), {"folder": "/anywhere"}) == expected
    assert origin_of(an_instrument(**{**files, "config.json": "another"}), {}).licence == "not known here"


def test_a_converted_checkpoint_is_known_by_repository_and_revision_unless_a_pinned_file_differs() -> None:
    model = hub_models()["wav2vec2-base"]
    told = {"repository": model.repository, "revision": model.revision, "licence": "what somebody wrote"}
    files = {file.path: file.sha256 for file in model.files if not file.path.endswith(".bin")}
    converted = {**files, "model.safetensors": "of the conversion"}
    expected = Origin("Apache-2.0", f"{model.repository}@{model.revision}")
    assert origin_of(an_instrument(**converted), told) == expected
    assert origin_of(an_instrument(**converted), {}).licence == "not known here"
    spoiled = origin_of(an_instrument(**{**converted, "config.json": "another"}), told)
    assert spoiled.licence == "what somebody wrote"
    assert "source.json" in spoiled.source


def test_a_model_of_no_known_source_is_said_to_be_unknown() -> None:
    assert origin_of(catalogue.instrument("reader"), {}) == Origin("not known here", "not pinned by this version")
    assert origin_of(catalogue.instrument("tower"), {"folder": "/m", "licence": "MIT"}).licence == "MIT"
    assert origin_of(catalogue.instrument("tower"), {"folder": "/m", "repository": "a/b"}).licence == "not stated"
    elsewhere = catalogue.instrument("reader", delivered=True)
    assert origin_of(elsewhere, {}) == Origin("not known here", "made elsewhere, and delivered")
