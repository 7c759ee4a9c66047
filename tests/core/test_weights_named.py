"""Short names of a hub's models: each means one repository, and where no commit is pinned whoever asks says which."""

import pytest

from mediafm_core.errors import WeightsError
from mediafm_core.weights.hub import hub_models
from mediafm_core.weights.named import given_hashes, is_pinned, model_named, named

COMMIT = "0123456789abcdef0123456789abcdef01234567"
UNPINNED = [name for name in named() if not is_pinned(name)]


@pytest.mark.parametrize(("name", "modality"), [("clip", "video"), ("wav2vec2", "audio"), ("wav2vec2-base", "audio")])
def test_a_name_whose_repository_is_pinned_means_the_pinned_commit(name: str, modality: str) -> None:
    model = model_named(name, modality)
    assert model in hub_models().values()
    assert model_named(f"{model.repository}@{model.revision}", modality) == model
    assert model_named(f"{name}@{COMMIT}", modality).files == ()


def test_siglip_wavlm_and_hubert_have_names_and_no_pins() -> None:
    assert set(UNPINNED) == {"siglip", "hubert", "wavlm"}


@pytest.mark.parametrize("name", UNPINNED)
def test_a_name_that_is_not_pinned_asks_for_a_commit_and_takes_it(name: str) -> None:
    known = named()[name]
    with pytest.raises(WeightsError, match=rf"{known.repository}.*no revision.*--revision COMMIT, or write {name}@"):
        model_named(name, known.modality)
    found = model_named(f"{name}@{COMMIT}", known.modality)
    assert (found.repository, found.revision, found.licence) == (known.repository, COMMIT, known.licence)
    with pytest.raises(WeightsError, match="a commit"):
        model_named(f"{name}@main", known.modality)


def test_a_name_is_refused_for_what_its_model_does_not_perceive() -> None:
    with pytest.raises(WeightsError, match=r"a model of audio.*Give it as --audio"):
        model_named(f"wavlm@{COMMIT}", "video")


def test_hashes_are_read_by_file() -> None:
    (found,) = given_hashes([f"pytorch_model.bin={'a' * 64}"])
    assert found == ("pytorch_model.bin", "a" * 64)


@pytest.mark.parametrize(
    "given", [["x"], ["config.json="], [f"../x={'a' * 64}"], ["x=" + "A" * 64], [f"x={'a' * 64}", f"x={'b' * 64}"]]
)
def test_what_is_no_hash_of_a_file_is_refused(given: list[str]) -> None:
    with pytest.raises(WeightsError, match="FILE=HEX"):
        given_hashes(given)
