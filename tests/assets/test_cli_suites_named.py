"""Models of a hub by their short names: fetched by command from a hub on this machine, then used without one."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mediafm_assets.cli.app import app
from mediafm_assets.cli.running import initialise
from mediafm_core.catalogue.suite import Modality
from mediafm_core.encoders.declaring import place_of
from mediafm_core.encoders.suites import load
from mediafm_core.errors import WeightsError
from mediafm_core.identity import Span
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import WorkingSet, audio_of, stills_of
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.weights import hub
from mediafm_core.weights.hub import HubModel
from mediafm_core.weights.named import named
from tests import model_folders
from tests.commands import told
from tests.hub_server import serve_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SAMPLE = Path(__file__).parents[2] / "samples" / "bbb-butterfly" / "media.webm"
SHOTS = [Span(1.0, 3.5), Span(8.0, 8.9), Span(12.0, 17.0)]
Made = Callable[[Path], Path]
FAMILIES: dict[str, Made] = {
    "siglip": model_folders.siglip,
    "hubert": lambda folder: model_folders.speech(folder, "Hubert"),
    "wavlm": lambda folder: model_folders.speech(folder, "WavLM"),
}
OTHERS = {"video": "efficientnet-lite0", "audio": "whisper-tiny-en", "text": "all-minilm-l6-v2"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> WorkingSet:
    return decode(SAMPLE, tmp_path_factory.mktemp("work") / "set")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    home = initialise(tmp_path / "home")
    yield home
    home.ledger.close()


def fetch(name: str, folder: Path, *words: str) -> str:
    """Run `mediafm suites fetch mine` while a hub serves a folder as a name's repository; it is gone afterwards."""
    model = HubModel(name=name, modality="", repository=named()[name].repository, revision=COMMIT)
    with serve_hub(model, folder) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "fetch", partial(hub.fetch, get=partial(hub.download, endpoint=endpoint)))
        ran = CliRunner().invoke(app, ["suites", "fetch", "mine", *words], catch_exceptions=False)
    return " ".join(ran.output.split())


def embedded(home: Home, sample: WorkingSet, modality: Modality) -> np.ndarray:
    """The sample's shots by the encoder of the suite `mine`."""
    (suite,) = (suite for suite in read_state(home).suites if suite.alias == "mine")
    spec = suite.spec(modality)
    seen: list[Any] = [stills_of(sample, shot, at_most=8) for shot in SHOTS]
    heard: list[Any] = [audio_of(sample, shot) for shot in SHOTS]
    return load(spec, place=place_of(home, spec)).encode(seen if modality is Modality.VIDEO else heard)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_by_its_name_is_fetched_at_a_commit_and_embeds_a_real_film_without_a_network(
    home: Home, sample: WorkingSet, tmp_path: Path, name: str
) -> None:
    modality = Modality(named()[name].modality)
    served = FAMILIES[name](tmp_path / "served")
    sha256 = hashlib.sha256((served / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match="--revision"):
        fetch(name, served, f"--{modality}", name)
    said = fetch(
        *(name, served, f"--{modality}", name, "--revision", COMMIT),
        *("--sha256", f"model.safetensors={sha256}"),
    )
    assert f"fetching {named()[name].repository} at {COMMIT[:12]}" in said
    assert f"next mediafm suites add mine --{modality} {name}@{COMMIT}" in said

    others = [part for other, chosen in OTHERS.items() if other != modality for part in (f"--{other}", chosen)]
    told(home, "suites", "add", "mine", f"--{modality}", name, "--revision", COMMIT, *others)
    vectors = embedded(home, sample, modality)
    assert np.isfinite(vectors).all()
    assert vectors.any(axis=1).all()
    apart = vectors @ vectors.T / np.linalg.norm(vectors, axis=1)[:, None] / np.linalg.norm(vectors, axis=1)
    assert apart[np.triu_indices(3, 1)].max() < 1 - 1e-6  # three shots, three vectors


def test_a_checkpoint_is_taken_by_the_hash_that_is_given_and_stays_what_it_was(home: Home, tmp_path: Path) -> None:
    """As the repositories of the real ones have it: no safetensors."""
    import torch
    from safetensors.torch import load_file

    served = FAMILIES["wavlm"](tmp_path / "served")
    torch.save(load_file(served / "model.safetensors"), served / "pytorch_model.bin")
    (served / "model.safetensors").unlink()
    words = ("--audio", f"wavlm@{COMMIT}")
    with pytest.raises(WeightsError, match=r"no safetensors.*--sha256 pytorch_model\.bin"):
        fetch("wavlm", served, *words)
    sha256 = hashlib.sha256((served / "pytorch_model.bin").read_bytes()).hexdigest()
    hashed = ("--sha256", f"pytorch_model.bin={sha256}")
    fetch("wavlm", served, *words, *hashed)
    add = ("suites", "add", "mine", "--video", OTHERS["video"], *words, "--text", OTHERS["text"])
    assert "1280 + 32 + 384" in told(home, *add)
    (weights,) = (tmp_path / "cache" / "hub").rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="sha256"):
        told(home, *add)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--audio", "wavlm", "--video", "siglip", "--revision", COMMIT), "siglip and wavlm that it could be of"),
        (("--audio", "wav2vec2", "--revision", COMMIT), "no model that it could be of"),
        (("--audio", "whisper-tiny-en", "--sha256", f"config.json={'0' * 64}"), "no model that it could be of"),
        (("--video", "wavlm", "--revision", COMMIT), "a model of audio"),
        (("--audio", f"wavlm@{COMMIT}", "--sha256", "config.json"), "FILE=HEX"),
    ],
)
def test_what_is_given_of_a_model_must_be_of_one_and_right(
    words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mediafm_core.weights.cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(WeightsError, match=message):
        CliRunner().invoke(app, ["suites", "fetch", "mine", *words], catch_exceptions=False)
    assert not (tmp_path / "cache").exists()
