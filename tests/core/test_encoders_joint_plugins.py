"""Joint encoders of other packages: found by name as unimodal ones are, held to laws of their own, used in a suite."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm_assets.carrying import STAGES
from mediafm_core.catalogue.suite import JOINT, Instrument, Modality, UnimodalSpec
from mediafm_core.encoders import plugins, suites
from mediafm_core.encoders.declaring import choose, declare_suite
from mediafm_core.encoders.joint import JointEntry, JointShot
from mediafm_core.encoders.joint_conformance import check_joint_encoder
from mediafm_core.errors import ConformanceError, EncoderMismatchError
from mediafm_core.execution import carry_out
from mediafm_core.store.home import Home
from mediafm_core.workbench import LogReporter, Status
from tests import homes
from tests.plugin_package import install_example

NAME = "light-and-letters"
INSTRUMENT = Instrument(name="sizes", weights_sha256="0" * 64, settings={JOINT: ["audio", "text"]})
SPECS = {
    modality: UnimodalSpec(modality=modality, dims=2, instrument=INSTRUMENT)
    for modality in (Modality.AUDIO, Modality.TEXT)
}


class Sizes:
    """Sound and text to their lengths: right, and the base of the wrong ones."""

    def __init__(self, *, n_threads: int = 1) -> None:
        self.specs = SPECS

    def encode_shots(self, shots: Sequence[JointShot]) -> np.ndarray:
        rows = [[len(sound), abs(int(sound[:1].sum())), len(text), text.count("e")] for _, sound, text in shots]
        return np.array(rows, np.float32).reshape(len(shots), 4)


def entry(encode: Callable[..., Any] | None = None) -> JointEntry:
    """An entry that is right but for its way of encoding."""
    return JointEntry(lambda: SPECS, type("Broken", (Sizes,), {"encode_shots": encode} if encode else {}))


def test_a_joint_encoder_that_keeps_the_laws_passes() -> None:
    check_joint_encoder(entry(), afresh=False)
    few = {Modality.AUDIO: [np.ones(9, np.int16), np.ones(8, np.int16)], Modality.TEXT: ["a", "be"]}
    check_joint_encoder(entry(), few, afresh=False)


plain = Sizes.encode_shots


def only(columns: list[int]) -> Callable[..., np.ndarray]:
    return lambda self, shots: plain(self, shots)[:, columns]


def mingled(self: Sizes, shots: Sequence[JointShot]) -> np.ndarray:
    """Puts what it reads into what it hears, where it hears something."""
    vectors = plain(self, shots)
    heard = vectors[:, 0] > 0
    vectors[heard, 0] += vectors[heard, 2]
    vectors[heard, 2:] = 0
    return vectors


def unread(self: Sizes, shots: Sequence[JointShot]) -> np.ndarray:
    """Knows that there is text, and not what it says."""
    return plain(self, [shot._replace(text=shot.text[:1] and "e") for shot in shots])


BROKEN: dict[str, tuple[Callable[..., Any], str]] = {
    "dtype": (lambda s, x: plain(s, x).astype(np.float64), r"float32 \(5, 4\), not float64"),
    "width": (only([0, 1, 2]), r"not float32 \(5, 3\)"),
    "neighbours": (lambda s, x: plain(s, x) - plain(s, x).sum(0), "what else is in the call"),
    "empty": (lambda s, x: plain(s, x or [JointShot(text="a")]), "0 shots give"),
    "a block where nothing is offered": (only([0, 1, 0, 3]), "the block of text is zeros where"),
    "no block where something is": (mingled, "the block of text is zeros where"),
    "a block that hears the other alone": (unread, "moves the block of text"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_law_is_named(case: str) -> None:
    encode, law = BROKEN[case]
    with pytest.raises(ConformanceError, match=law):
        check_joint_encoder(entry(encode))


def other_instrument(**settings: Any) -> dict[Modality, UnimodalSpec]:
    instrument = replace(INSTRUMENT, settings=settings)
    return {modality: replace(spec, instrument=instrument) for modality, spec in SPECS.items()}


FAULTY: dict[str, tuple[dict[Modality, UnimodalSpec], str]] = {
    "one": ({Modality.TEXT: SPECS[Modality.TEXT]}, "at least two"),
    "none": ({}, "at least two"),
    "order": (dict(reversed(SPECS.items())), "in the order of"),
    "two instruments": (
        {
            **SPECS,
            Modality.TEXT: replace(SPECS[Modality.TEXT], instrument=replace(INSTRUMENT, weights_sha256="1" * 64)),
        },
        "of one instrument",
    ),
    "not said to be joint": (other_instrument(), "names its modalities"),
    "of more than it has": (other_instrument(**{JOINT: ["video", "audio", "text"]}), "names its modalities"),
    "width": ({**SPECS, Modality.TEXT: replace(SPECS[Modality.TEXT], dims=0)}, "above 0"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_records_that_break_a_rule_are_refused(case: str) -> None:
    specs, rule = FAULTY[case]
    with pytest.raises(ConformanceError, match=rule):
        check_joint_encoder(JointEntry(lambda: specs, Sizes))


def test_a_record_that_is_not_the_loaded_encoders_or_changes_is_refused() -> None:
    moved = {modality: replace(spec, dims=n) for (modality, spec), n in zip(SPECS.items(), (3, 1), strict=True)}
    with pytest.raises(ConformanceError, match="has the records"):
        check_joint_encoder(JointEntry(lambda: moved, Sizes))
    with pytest.raises(ConformanceError, match="has the record that"):
        check_joint_encoder(JointEntry(lambda: other_instrument(joint=["audio", "text"], more=1), Sizes))
    numbers = iter(range(99))
    with pytest.raises(ConformanceError, match="the same each time"):
        check_joint_encoder(JointEntry(lambda: other_instrument(joint=["audio", "text"], n=next(numbers)), Sizes))


# --- plug-ins


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    site = install_example(tmp_path / "site", of=NAME)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "light_and_letters", raising=False)
    forget()
    yield site
    forget()


def forget() -> None:
    """What a process remembers of the packages around it."""
    for cached in (plugins.plugin, suites._joint, suites._libraries):
        cached.cache_clear()


def test_the_example_of_the_documents_is_found_by_name_and_keeps_the_laws(site: Path) -> None:
    found = plugins.plugin(NAME)
    assert isinstance(found, JointEntry)
    check_joint_encoder(found)
    with pytest.raises(EncoderMismatchError, match="an encoder of video and text"):
        choose(Modality.AUDIO, NAME)


def test_one_whose_records_break_a_rule_is_refused_before_a_suite_has_it(site: Path) -> None:
    text = (site / "light_and_letters.py").read_text()
    (site / "light_and_letters.py").write_text(text.replace('JOINT: ["video", "text"], ', ""))
    with pytest.raises(EncoderMismatchError, match="names its modalities"):
        choose(Modality.VIDEO, NAME)


def test_what_its_vectors_hang_on_is_its_package_and_what_its_entry_names(site: Path) -> None:
    text = (site / "light_and_letters.py").read_text()
    named = text.replace("JointEntry(specs, LightAndLetters)", 'JointEntry(specs, LightAndLetters, ("pillow",))')
    (site / "light_and_letters.py").write_text(named)
    assert suites.libraries_of(suites.specs_of(NAME)[Modality.TEXT]) == ("light_and_letters", "pillow")
    assert suites.libraries_of(SPECS[Modality.TEXT]) == ()  # not at hand


def test_a_record_of_a_joint_encoder_loads_no_unimodal_one_and_the_other_way_round(site: Path) -> None:
    spec = suites.specs_of(NAME)[Modality.TEXT]
    apart = replace(spec, instrument=replace(spec.instrument, settings={"shades": 8}))
    with pytest.raises(EncoderMismatchError, match="a JointEntry; expected a Entry"):
        suites.load(apart)
    fewer = replace(spec, instrument=replace(spec.instrument, settings={JOINT: ["audio", "text"]}))
    with pytest.raises(EncoderMismatchError, match="audio"):
        suites.load_joint(replace(fewer, modality=Modality.AUDIO))


def test_a_title_is_embedded_by_it_in_one_pass(site: Path, empty_home: Home, tmp_path: Path) -> None:
    home = empty_home
    seen, read = (choose(modality, NAME) for modality in (Modality.VIDEO, Modality.TEXT))
    suite = declare_suite(home, "mine", video=seen, audio=choose(Modality.AUDIO, "whisper-tiny-en"), text=read)
    homes.ingest(home, homes.deliver(tmp_path, "alpha", synopsis="A fox.", caption="Hello there."))
    kinds = ("video_embeddings", "text_embeddings", "metadata_embedding")
    pairs = [(kind, "alpha") for kind in ("shots", "timed_text")] + [(kind, f"{suite.id}|alpha") for kind in kinds]
    made = {outcome.key.kind: outcome for outcome in carry_out(home, pairs, STAGES, LogReporter())}
    assert {outcome.status for outcome in made.values()} <= {Status.MADE, Status.KEPT}, made
    assert sum(made[kind].facts["passes"] for kind in kinds[:2]) == 1
    assert [made[kind].facts["dims"] for kind in kinds] == [8, 256, 256]
    for row in (row for kind in kinds for row in home.ledger.artifacts(kind)):
        assert row.manifest.provenance["light_and_letters"] == "1.0"  # the package that provides it
