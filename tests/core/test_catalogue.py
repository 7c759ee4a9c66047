"""The records of a catalogue turn into JSON and back, and name nothing that is unsafe."""

import json
from dataclasses import asdict, replace
from itertools import permutations

import pytest

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.catalogue.kinds import KINDS, join_partition, split_partition
from mediafm_core.catalogue.suite import Instrument, Modality, Suite
from mediafm_core.catalogue.title import REVIEW_CHARACTERS, Metadata, Part, Title
from mediafm_core.errors import IdentityError, PlanError
from mediafm_core.identity import TitleId, canonical_json
from tests.catalogue import DETECTOR, NO_ID, SECOND_SUITE, SILENT, SUITE, TITLES, UNSORTED, V1


@pytest.mark.parametrize("record", [*TITLES, SUITE, SECOND_SUITE, V1, DETECTOR, NO_ID.metadata], ids=repr)
def test_a_record_reads_back_as_it_was_written(record: Title | Suite | EncoderSpec | Instrument | Metadata) -> None:
    written = canonical_json(asdict(record))
    assert type(record).from_json(json.loads(written)) == record


def test_every_title_of_the_awkward_catalogue_has_its_own_id() -> None:
    assert len({title.id for title in TITLES}) == len(TITLES)


def test_the_hash_of_a_part_knows_names_and_bytes_and_no_order() -> None:
    hashes = {replace(UNSORTED, files=files).part_hash(Part.CAPTIONS) for files in permutations(UNSORTED.files)}
    assert hashes == {UNSORTED.part_hash(Part.CAPTIONS)}
    renamed = [replace(f, name=f"x{f.name}") for f in UNSORTED.files]
    assert replace(UNSORTED, files=tuple(renamed)).part_hash(Part.CAPTIONS) not in hashes
    assert SILENT.part_hash(Part.CAPTIONS) is None


def test_the_files_of_a_part_come_by_name() -> None:
    assert [file.name for file in UNSORTED.part_files(Part.CAPTIONS)] == ["captions.ad.vtt", "captions.en.vtt"]


def test_a_title_without_a_description_is_read_by_its_name() -> None:
    assert Metadata(name="Silent").described == "Silent"
    assert Metadata(name="Silent", synopsis="A mime.", tags=("calm",)).described == "A mime. calm"


def test_further_fields_are_lines_of_their_own_in_one_order_after_what_the_post_reads() -> None:
    told = Metadata(
        name="The Verdict of Ink",
        synopsis="A clerk is tried.",
        tags=("calm",),
        reviews=("Slow,\nand right.", "I wept."),
        cast=("Ada Ember", "Bo Reed"),
        genres=("drama/courtroom", "mystery"),
        season=0,
        episode=3,
        series="Courts\tof  Old",
        year=1976,
        licence="CC0-1.0",
    )
    assert told.described == (
        "A clerk is tried. calm\nSeries: Courts of Old\nSeason: 0\nEpisode: 3\n"
        "Genres: drama/courtroom; mystery\nCast: Ada Ember, Bo Reed\nReviews: Slow, and right. / I wept."
    )
    assert told.as_the_post == "A clerk is tried. calm"
    assert Metadata(name="Mute", cast=("Bo Reed",)).described == "Mute\nCast: Bo Reed"


def test_reviews_are_cut_all_together() -> None:
    told = Metadata(name="Long", reviews=("a" * 1500, "b" * 1500)).described
    assert told == "Long\nReviews: " + "a" * 1500 + " / " + "b" * (REVIEW_CHARACTERS - 1503)


@pytest.mark.parametrize("modality", Modality)
def test_a_suite_with_another_encoder_has_another_id(modality: Modality) -> None:
    spec = SUITE.spec(modality)
    changed = replace(SUITE, **{modality.value: replace(spec, dims=spec.dims + 1)})
    assert changed.id != SUITE.id
    assert changed.dims == SUITE.dims + 1
    assert SECOND_SUITE.id.startswith("plain-")


@pytest.mark.parametrize("name", ["", "..", "a|b", "a/b", "Film", "007", "*", "x" * 65])
def test_no_record_takes_a_name_that_is_unsafe_in_a_path_or_a_partition(name: str) -> None:
    with pytest.raises(IdentityError):
        replace(SILENT, id=TitleId(name))
    with pytest.raises(IdentityError):
        replace(V1, name=name)
    with pytest.raises(IdentityError):
        replace(SUITE, alias=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_partition_key_splits_into_what_it_was_joined_from(kind: str) -> None:
    values = {axis: f"{axis}-1" for axis in KINDS[kind].axes}
    assert split_partition(kind, join_partition(**values)) == values
    assert list(KINDS[kind].axes) == sorted(KINDS[kind].axes)  # as Dagster orders the dimensions of a key


@pytest.mark.parametrize(
    ("kind", "partition"), [("nothing", "a"), ("shots", "a|b"), ("shots", ""), ("snapshot", "a"), ("shots", "a|")]
)
def test_a_partition_key_of_another_form_is_refused(kind: str, partition: str) -> None:
    with pytest.raises(PlanError):
        split_partition(kind, partition)
