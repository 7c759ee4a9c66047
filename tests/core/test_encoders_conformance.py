"""Encoders of other packages: found by name, held to the laws; each broken law is named."""

import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders import clip_vision, openai_text, plugins, speech_tower, suites
from mediafm_core.encoders.conformance import check_encoder, sample_shots
from mediafm_core.encoders.openai_text import OpenAIText
from mediafm_core.encoders.protocol import Entry
from mediafm_core.errors import ConformanceError, EncoderMismatchError
from mediafm_core.store.paid import Purse
from mediafm_core.weights.folders import read_folder
from tests import model_folders
from tests.embedding_server import serve_embeddings
from tests.plugin_package import install_example

SPEC = UnimodalSpec(
    modality=Modality.TEXT, dims=3, instrument=Instrument(name="lengths", weights_sha256="0" * 64, settings={})
)


class Lengths:
    """A text to numbers of its letters: right, and the base of the wrong ones."""

    def __init__(self, *, n_threads: int = 1) -> None:
        self.spec = SPEC
        self.n_calls = 0

    def encode(self, shots: Sequence[str]) -> np.ndarray:
        rows = [[len(text), text.count("e"), text.count(" ")] for text in shots]
        return np.array(rows, np.float32).reshape(len(shots), 3)


def entry(encode: Any = None, **record: Any) -> Entry:
    """An entry that is right but for its way of encoding, or for its record."""
    kind = type("Broken", (Lengths,), {"encode": encode} if encode else {})
    spec = replace(SPEC, **record)

    def load(*, n_threads: int) -> Any:
        encoder = kind(n_threads=n_threads)
        encoder.spec = spec
        return encoder

    return Entry(lambda: spec, load)


def test_an_encoder_that_keeps_the_laws_passes() -> None:
    check_encoder(entry(), afresh=False)


plain = Lengths.encode
calls = count(1)


def drifting(self: Lengths, shots: Sequence[str]) -> np.ndarray:
    self.n_calls += 1
    return plain(self, shots) * (1 + self.n_calls / 10)


BROKEN: dict[str, tuple[Any, str]] = {
    "dtype": (lambda s, x: plain(s, x).astype(np.float64), r"float32 \(4, 3\), not float64"),
    "width": (lambda s, x: plain(s, x)[:, :2], r"not float32 \(4, 2\)"),
    "lists": (lambda s, x: plain(s, x).tolist(), "not list"),
    "NaN": (lambda s, x: np.where(plain(s, x) == 0, np.nan, plain(s, x)).astype(np.float32), "vectors are finite"),
    "drift": (drifting, "the same bits"),
    "each load another": (lambda s, x: plain(s, x) * np.float32(id(s) % 97 + 1), "loaded anew"),
    "empty": (lambda s, x: plain(s, x or ["a"]), "0 shots give"),
    "neighbours": (lambda s, x: plain(s, x) - plain(s, x).sum(0), "what else is in the call"),
    "position": (lambda s, x: plain(s, x) * (1 + np.arange(len(x))[:, None]).astype("f4"), "in the call"),
    "presence": (lambda s, x: plain(s, x) + np.float32(1), "row of zeros"),
    "absence": (lambda s, x: plain(s, x) * np.array([len(t) > 5 for t in x], bool)[:, None], "no other shot has"),
    "constant": (lambda s, x: np.sign(plain(s, x))[:, [0, 0, 0]], "different vectors"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_law_is_named(case: str) -> None:
    encode, law = BROKEN[case]
    with pytest.raises(ConformanceError, match=law):
        check_encoder(entry(encode))


def test_a_record_that_changes_or_is_no_json_is_refused() -> None:
    instrument = SPEC.instrument
    numbers = count()
    moving = entry()._replace(spec=lambda: replace(SPEC, instrument=replace(instrument, settings={"n": next(numbers)})))
    with pytest.raises(ConformanceError, match="the same each time"):
        check_encoder(moving)
    with pytest.raises(ConformanceError, match="plain JSON"):
        check_encoder(entry(instrument=replace(instrument, settings={"f": len})))
    with pytest.raises(ConformanceError, match="64 hex digits"):
        check_encoder(entry(instrument=replace(instrument, weights_sha256="")))


SALTED = """
import hashlib
import numpy as np
from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders.protocol import Entry

def of(weights):
    instrument = Instrument(name="salted", weights_sha256=hashlib.sha256(weights.encode()).hexdigest(), settings={})
    return UnimodalSpec(modality=Modality.TEXT, dims=9, instrument=instrument)

def spec():
    return of("weights")

def salted_spec():
    return of(str(hash("weights")))

class Right:
    salt, spec = staticmethod(len), of("weights")
    def __init__(self, *, n_threads=1):
        pass
    def encode(self, shots):
        rows = [np.random.default_rng(abs(self.salt(s))).normal(size=9) * bool(s) for s in shots]
        return np.array(rows, np.float32).reshape(len(shots), 9)

class SaltedVectors(Right):
    salt = staticmethod(hash)

class SaltedRecord(Right):
    spec = salted_spec()

RIGHT, VECTORS, RECORD = Entry(spec, Right), Entry(spec, SaltedVectors), Entry(salted_spec, SaltedRecord)
"""


def test_what_hangs_on_a_processs_hashes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "salted_encoders.py").write_text(SALTED)
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("salted_encoders")
    check_encoder(module.RIGHT)
    with pytest.raises(ConformanceError, match="its vectors are the same in another process"):
        check_encoder(module.VECTORS)
    with pytest.raises(ConformanceError, match="its record is the same in another process"):
        check_encoder(module.RECORD)


def test_an_entry_that_no_other_process_can_import_is_not_passed_over() -> None:
    with pytest.raises(ConformanceError, match="modules that can be imported"):
        check_encoder(entry())


def test_an_encoder_whose_vectors_move_with_the_room_for_portions_is_told() -> None:
    def load(*, n_threads: int, portion_bytes: int = 64) -> Any:
        encoder = Lengths()
        encoder.encode = lambda shots: plain(encoder, shots) * np.float32(portion_bytes)
        return encoder

    check_encoder(Entry(lambda: SPEC, load), afresh=False)
    with pytest.raises(ConformanceError, match="room for one at a time"):
        check_encoder(Entry(lambda: SPEC, load, in_portions=True))


# --- those whose models a home brings


def tower(folder: Path, name: str) -> Entry:
    """The entry of a small tower."""
    found = read_folder(getattr(model_folders, name)(folder / name), folder / "stamps")
    room, kind = (speech_tower, speech_tower.SpeechTower) if name == "speech" else (clip_vision, clip_vision.ClipVision)
    return Entry(partial(room.spec, found), partial(kind, room.spec(found), found), in_portions=room is clip_vision)


@pytest.mark.parametrize("name", ["clip", "siglip", "speech"])
def test_a_tower_keeps_the_laws(tmp_path: Path, name: str) -> None:
    check_encoder(tower(tmp_path, name), afresh=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip", "siglip", "speech"])
def test_a_tower_keeps_the_laws_in_another_process(tmp_path: Path, name: str) -> None:
    check_encoder(tower(tmp_path, name))


def test_a_model_behind_an_api_keeps_the_laws(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "paid.db", run="r", step="s", usd_per_million=0.0)
    with serve_embeddings() as server:
        spec = openai_text.spec(dims=8, base_url=server.url)
        check_encoder(Entry(lambda: spec, lambda n_threads: OpenAIText(spec, purse=purse)), afresh=False)
    purse.close()


# --- plug-ins


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    site = install_example(tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    plugins.plugin.cache_clear()
    yield site
    plugins.plugin.cache_clear()


def test_the_example_of_the_documents_is_found_by_name_and_keeps_the_laws(example: Path) -> None:
    check_encoder(suites.entry_of("mean-colour"))
    spec = suites.entry_of("mean-colour").spec()
    vectors = suites.load(UnimodalSpec.from_json(json.loads(json.dumps({**_record(spec)})))).encode(
        sample_shots(Modality.VIDEO)
    )
    assert vectors.shape == (4, 48)


def _record(spec: UnimodalSpec) -> dict[str, Any]:
    instrument = {"name": spec.instrument.name, "weights_sha256": spec.instrument.weights_sha256}
    settings = {"settings": dict(spec.instrument.settings)}
    return {"modality": spec.modality.value, "dims": spec.dims, "instrument": {**instrument, **settings}}


def test_a_package_is_not_imported_before_its_encoder_is_asked_for(example: Path) -> None:
    (example / "mean_colour.py").write_text("raise RuntimeError('imported')")
    assert "mean-colour" in plugins.plugged_in()
    with pytest.raises(EncoderMismatchError, match="mean-colour"):
        plugins.plugin("another")


def test_two_packages_with_one_name_are_refused(example: Path) -> None:
    install_example(example, target="other_package:ENTRY")
    with pytest.raises(EncoderMismatchError, match=r"mean_colour:ENTRY and other_package|other_package.* and mean_"):
        plugins.plugged_in()


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [("mean-colour", "mean_colour:MeanColour", "is a type"), ("colour", "mean_colour:ENTRY", "named 'mean-colour'")],
)
def test_what_is_no_entry_of_its_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: str, message: str
) -> None:
    monkeypatch.syspath_prepend(install_example(tmp_path / "site", name=name, target=target))
    plugins.plugin.cache_clear()
    with pytest.raises(EncoderMismatchError, match=message):
        plugins.plugin(name)
