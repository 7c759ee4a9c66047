"""A joint encoder reads a shot in one pass and gives a block for each modality; suites of three are what they were."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from mediafm_assets.carrying import STAGES
from mediafm_core.catalogue.suite import JOINT, Instrument, Modality, Suite
from mediafm_core.encoders.conformance import check_encoder, sample_shots
from mediafm_core.encoders.declaring import choose, declare_suite
from mediafm_core.encoders.joint import JointEntry, JointShot, OneModality, blocks
from mediafm_core.encoders.joint_conformance import check_joint_encoder
from mediafm_core.encoders.protocol import Entry
from mediafm_core.encoders.qwen_omni import STILLS_PER_SHOT, QwenOmni
from mediafm_core.errors import EncoderMismatchError, WeightsError
from mediafm_core.execution import carry_out
from mediafm_core.planning.desired import desired
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.weights.folders import ModelFolder, read_folder
from mediafm_core.workbench import LogReporter, Outcome, Status
from tests import catalogue, homes, model_folders
from tests.catalogue import ONE_SHOT, SUITE

# Of ONE_SHOT by SUITE as they were before there were joint encoders. A change embeds every catalogue anew.
OF_THREE = {
    "video_embeddings": "4fdd6cdec320d99004ecf14dfdec482e89a655d4add264f7d7acfa003cfe8477",
    "audio_embeddings": "3faf7d07bd4ddd34c7c15ca8c7fc52c714bc92a1e9f5fc70bc201ba825566478",
    "text_embeddings": "d580fdba529727c424670c82a0a3ca98759b73b6422108a36faa50c7d6f48a63",
    "fused_embeddings": "a1bad1e087b9f639b115a98f704ad81ac31dd95fffb7aebb659456d53f56beb8",
}
THREE = ("video_embeddings", "audio_embeddings", "text_embeddings")


def joint_suite(*together: Modality) -> Suite:
    """`SUITE` with one instrument for these modalities."""
    one = Instrument(name="all", weights_sha256="0" * 64, settings={JOINT: [m.value for m in together]})
    return replace(SUITE, **{m.value: replace(SUITE.spec(m), instrument=one) for m in together})


def inputs_of(suite: Suite) -> dict[str, set[str]]:
    """What each kind of embedding of a title is made from."""
    state = replace(catalogue.state(ONE_SHOT), suites=(suite,))
    return {step.key.kind: {*step.ingredients} for step in desired(state).chains[ONE_SHOT.id] if step.key.kind in THREE}


def test_suites_of_three_encoders_have_the_fingerprints_that_they_always_had() -> None:
    steps = desired(catalogue.state(ONE_SHOT)).chains[ONE_SHOT.id]
    assert {s.key.kind: s.key.fingerprint for s in steps if s.key.kind in OF_THREE} == OF_THREE


def test_what_is_perceived_in_one_pass_is_made_from_all_that_the_pass_reads() -> None:
    assert set(map(frozenset, inputs_of(joint_suite(*Modality)).values())) == {
        frozenset({"code", "encoder", "media", "shots", "timed_text"})
    }
    two = inputs_of(joint_suite(Modality.VIDEO, Modality.AUDIO))
    assert two["video_embeddings"] == two["audio_embeddings"] == {"code", "encoder", "media", "shots"}
    assert two["text_embeddings"] == {"code", "encoder", "timed_text"}


def test_a_suite_with_a_part_of_a_joint_encoder_is_refused() -> None:
    whole = joint_suite(*Modality)
    with pytest.raises(EncoderMismatchError, match="perceives together"):
        replace(whole, text=SUITE.text)
    assert Suite.from_json(asdict(whole)) == whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folders.omni(tmp_path_factory.mktemp("omni") / "thinker")


@pytest.fixture(scope="module")
def model(folder: Path) -> ModelFolder:
    return read_folder(folder, folder.parent / "stamps", ("tokenizer.json",))


@pytest.fixture(scope="module")
def encoder(model: ModelFolder) -> QwenOmni:
    return QwenOmni(model)


@pytest.mark.parametrize("modality", Modality)
def test_offered_one_modality_it_keeps_the_laws_of_every_encoder(encoder: QwenOmni, modality: Modality) -> None:
    check_encoder(
        Entry(lambda: encoder.specs[modality], lambda n_threads: OneModality(encoder, modality)), afresh=False
    )


def test_it_keeps_the_laws_of_every_joint_encoder(encoder: QwenOmni) -> None:
    small = {m: sample_shots(m)[::2] for m in (Modality.AUDIO, Modality.TEXT)}
    small[Modality.VIDEO] = [stills[:1, :60, :60] for stills in sample_shots(Modality.VIDEO)[::2]]
    check_joint_encoder(JointEntry(lambda: encoder.specs, lambda n_threads: encoder), small, afresh=False)


def test_shots_do_not_know_of_one_another_and_what_is_read_knows_of_what_is_seen(encoder: QwenOmni) -> None:
    seen, heard, read = (sample_shots(modality)[0] for modality in Modality)
    whole, silent = JointShot(seen, heard, read), JointShot(sound=heard, text=read)
    together = encoder.encode_shots([whole, silent])
    np.testing.assert_allclose(encoder.encode_shots([silent])[0], together[1], atol=1e-6)
    found = blocks(encoder.specs, together)
    assert not np.allclose(*found[Modality.TEXT], atol=1e-3)
    alone = blocks(encoder.specs, encoder.encode_shots([JointShot(stills=seen)]))
    np.testing.assert_allclose(found[Modality.VIDEO][0], alone[Modality.VIDEO][0], atol=1e-5)  # what comes first
    assert encoder.specs[Modality.VIDEO].instrument.settings["stills_per_shot"] == STILLS_PER_SHOT


def test_the_thinker_of_a_whole_model_is_the_one_that_was_saved_alone(tmp_path: Path) -> None:
    """As published: thinker, talker and voice in several files, of which the first part alone is read."""
    from safetensors.torch import save_file
    from transformers import Qwen2_5OmniThinkerConfig

    whole = read_folder(model_folders.omni_whole(tmp_path / "whole"), tmp_path, ("tokenizer.json",))
    assert len(set(whole.tensors.values())) > 2
    assert {name.partition(".")[0] for name in whole.tensors} == {"thinker", "talker", "token2wav"}
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("preprocessor_config.json", "tokenizer.json"):
        (alone / name).write_bytes((whole.path / name).read_bytes())
    Qwen2_5OmniThinkerConfig(**whole.config["thinker_config"]).save_pretrained(alone)
    save_file(whole.state("thinker"), alone / "model.safetensors", {"format": "pt"})
    shots = [JointShot(*(sample_shots(modality)[0] for modality in Modality))]
    of_alone = QwenOmni(read_folder(alone, tmp_path, ("tokenizer.json",))).encode_shots(shots)
    np.testing.assert_array_equal(QwenOmni(whole).encode_shots(shots), of_alone)


def test_a_whole_model_without_a_weight_of_its_thinker_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = model_folders.omni_whole(tmp_path / "whole")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    file = folder / index["weight_map"].pop("thinker.model.norm.weight")
    save_file({k: v for k, v in load_file(file).items() if k != "thinker.model.norm.weight"}, file, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"no tensor 'thinker\.model\.norm\.weight'"):
        read_folder(folder, tmp_path)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"1 weights missing.*norm\.weight"):
        QwenOmni(read_folder(folder, tmp_path, ("tokenizer.json",)))


def test_a_folder_without_its_tokenizer_or_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").rename(tmp_path / "kept.json")
    try:
        with pytest.raises(WeightsError, match=r"no tokenizer\.json"):
            choose(Modality.VIDEO, str(folder))
    finally:
        (tmp_path / "kept.json").rename(folder / "tokenizer.json")
    with pytest.raises(WeightsError, match="a clip"):
        QwenOmni(read_folder(model_folders.clip(tmp_path / "clip"), tmp_path))


# through the graph


def carried(home: Home, suite: Suite, kinds: Iterable[str]) -> dict[str, Outcome]:
    """Carry out what a title's chain needs of these kinds."""
    state = read_state(home)
    chain = desired(state).chains[next(iter(state.titles))]
    pairs = [step.key[:2] for step in chain if step.key.kind in kinds and step.axes.get("suite", suite.id) == suite.id]
    return {outcome.key.kind: outcome for outcome in carry_out(home, pairs, STAGES, LogReporter())}


def test_a_title_is_embedded_in_one_pass_and_fused_as_any_other(empty_home: Home, folder: Path, tmp_path: Path) -> None:
    home, own = empty_home, ("deliveries", "shots", "timed_text", *THREE, "metadata_embedding", "fused_embeddings")
    chosen = {modality.value: choose(modality, str(folder)) for modality in Modality}
    suite = declare_suite(home, "omni", **chosen)
    assert suite.dims == 96
    homes.ingest(home, homes.deliver(tmp_path, "alpha", synopsis="A fox.", caption="Hello there."))
    made = carried(home, suite, own)
    assert {outcome.status for outcome in made.values()} == {Status.MADE}, made
    assert sum(made[kind].facts["passes"] for kind in THREE) == 1
    assert made["fused_embeddings"].facts["dims"] == 96
    assert made["metadata_embedding"].facts["dims"] == 32
    assert all("transformers" in row.manifest.provenance for kind in THREE for row in home.ledger.artifacts(kind))

    again = homes.deliver(tmp_path / "again", "alpha", synopsis="A fox.", caption="Good night.")
    homes.ingest(home, again)
    after = carried(home, suite, own)
    assert {kind for kind in THREE if after[kind].status is Status.MADE} == set(THREE)  # all of them read the text
    for kept in home.work.glob("joint-*"):
        kept.unlink()
    assert {outcome.status for outcome in carried(home, suite, own).values()} == {Status.KEPT}
