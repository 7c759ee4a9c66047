"""Which of a delivery's caption files make up a title's text."""

import io
from itertools import permutations
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.captions import is_audio_description
from mediafm_core.execution import carry_out
from mediafm_core.ingest.taking import make_delivery
from mediafm_core.shots.stage import make_shots
from mediafm_core.timed_text.choosing import chosen_captions, language_of
from mediafm_core.timed_text.stage import make_timed_text
from mediafm_core.workbench import LogReporter, Stage
from tests.homes import deliver, ingest, initialise

NAMES = [
    f"captions{language}{description}.{suffix}"
    for language in ("", ".en", ".en-gb", ".fr", ".de")
    for description in ("", ".ad")
    for suffix in ("srt", "vtt")
]


def chosen(*names: str) -> list[str]:
    return chosen_captions(names, "media.mp4")


@given(st.sets(st.sampled_from(NAMES)))
def test_captions_of_one_language_are_taken_and_description_of_one(names: set[str]) -> None:
    taken = chosen(*sorted(names))
    for described in (True, False):
        of_kind = [name for name in names if is_audio_description(name) is described]
        assert len({language_of(name, "media") for name in taken if name in of_kind}) <= 1
    assert bool(taken) == bool(names)


@given(st.sets(st.sampled_from(NAMES), max_size=4))
def test_the_order_of_the_files_changes_nothing(names: set[str]) -> None:
    assert len({frozenset(chosen(*order)) for order in permutations(names)}) == 1


@pytest.mark.parametrize(
    ("names", "taken", "why"),
    [
        (["captions.en.vtt", "captions.fr.vtt"], ["captions.en.vtt"], "English goes first"),
        (["captions.de.vtt", "captions.fr.vtt"], ["captions.de.vtt"], "else the first by name"),
        (["captions.fr.vtt", "captions.vtt"], ["captions.vtt"], "which is the one that names no language"),
        (["captions.en-us.vtt", "captions.cs.vtt"], ["captions.en-us.vtt"], "a kind of English is English"),
        (["captions.en.vtt", "captions.en.songs.srt"], ["captions.en.vtt", "captions.en.songs.srt"], "one language"),
        (["captions.ad.vtt", "captions.fr.vtt"], ["captions.ad.vtt", "captions.fr.vtt"], "description goes with any"),
        (
            ["captions.en-gb.ad.vtt", "captions.en.vtt"],
            ["captions.en-gb.ad.vtt", "captions.en.vtt"],
            "the same language",
        ),
        (["captions.en.ad.vtt", "captions.fr.vtt"], ["captions.fr.vtt"], "description in another language is left"),
        (
            ["captions.ad.vtt", "captions.fr.ad.vtt", "captions.fr.vtt"],
            ["captions.fr.ad.vtt", "captions.fr.vtt"],
            "own",
        ),
        (["captions.de.ad.vtt", "captions.en.ad.vtt"], ["captions.en.ad.vtt"], "description alone, by the same rule"),
        (["captions.sdh.vtt"], ["captions.sdh.vtt"], "one file is always taken"),
        ([], [], "nothing came"),
    ],
)
def test_one_language_is_taken_with_its_audio_description(names: list[str], taken: list[str], why: str) -> None:
    assert chosen(*names) == taken, why


@pytest.mark.parametrize(
    ("name", "stem", "language"),
    [
        ("captions.vtt", "media", ""),
        ("captions.pt-BR.ad.vtt", "media", "pt-br"),
        ("captions-en.srt", "media", "en"),
        ("captions.sdh.vtt", "media", ""),
        ("captions.en.sdh.vtt", "media", "en"),
        ("it.srt", "it", ""),
        ("night.train.srt", "night.train", ""),
        ("captions-of-a-war.en.vtt", "captions-of-a-war", "en"),
    ],
)
def test_the_language_stands_in_the_name(name: str, stem: str, language: str) -> None:
    assert language_of(name, stem) == language


def test_a_title_delivered_in_two_languages_has_the_text_of_one_and_says_which(tmp_path: Path) -> None:
    home = initialise(tmp_path / "home")
    delivery = deliver(tmp_path, "gamma", caption="Hello there.")
    cue = "WEBVTT\n\n00:00.200 --> 00:00.900\n{}\n"
    (delivery / "captions.fr.vtt").write_text(cue.format("Bonjour."))
    (delivery / "captions.ad.vtt").write_text(cue.format("She waves."))
    ingest(home, delivery)
    stages = {"deliveries": make_delivery, "shots": make_shots, "timed_text": make_timed_text}
    wanted = [(kind, "gamma") for kind in stages]
    *_, outcome = carry_out(home, wanted, {k: Stage(make) for k, make in stages.items()}, LogReporter())
    text = " ".join(pq.read_table(io.BytesIO(home.read(outcome.key)))["text"].to_pylist())
    assert "Hello there." in text
    assert "She waves." in text
    assert "Bonjour" not in text
    assert outcome.facts["files"] == "captions.ad.vtt, captions.en.vtt"
    home.ledger.close()
