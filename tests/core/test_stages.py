"""What each stage hands over for a real title, from its media to its place in context; real models, tiny media."""

from dataclasses import asdict, replace
from functools import partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.catalogue.suite import Modality, Suite, UnimodalSpec
from mediafm_core.catalogue.title import Part, Title
from mediafm_core.encoders import stage as encoders_stage
from mediafm_core.encoders.offered import Offered
from mediafm_core.errors import ArtifactError, EncoderMismatchError, IdentityError, MediaError, PlanError, TrainingError
from mediafm_core.execution import carry_out
from mediafm_core.fusion import make_fused
from mediafm_core.identity import fingerprint
from mediafm_core.ingest.taking import examine, make_delivery, take
from mediafm_core.media.cache import MAX_KEPT, working_set
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import plan
from mediafm_core.planning.state import Step
from mediafm_core.pretraining.declaring import declare_encoder, fused_now
from mediafm_core.pretraining.stage import forget_training, make_corpus, make_encoder
from mediafm_core.shots.stage import make_shots, make_thumbnails
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.vectors import spans_of, vector_table, vectors_of
from mediafm_core.timed_text import stage as timed_text_stage
from mediafm_core.workbench import Bench, LogReporter, Stage
from tests import catalogue
from tests.catalogue import LONG, N_SHOTS_ELSE, ONE_SHOT, SILENT, SUITE
from tests.fakes import Fakes, apply, deliver, done, make_home, pairs, planned

VTT = "WEBVTT\n\n00:01.200 --> 00:01.800\nin the second\n"
AD = "WEBVTT\n\n00:00.100 --> 00:00.500\nA tile.\n"


@pytest.fixture
def home(tmp_path: Path):
    home = make_home(tmp_path / "home", [])
    yield home
    home.ledger.close()


@pytest.fixture
def delivered(home: Home, tmp_path: Path, film) -> Home:
    """A home with one real title of three scenes, with captions of which the later file comes first by name."""
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "media.mp4").write_bytes(film.path.read_bytes())
    (folder / "captions.ad.vtt").write_text(AD)
    (folder / "captions.en.vtt").write_text(VTT)
    take(home, examine(folder))
    return home


def bench(home: Home) -> Bench:
    return Bench(home, read_state(home), LogReporter())


def step(home: Home, kind: str, title: str | None = None) -> Step:
    state = read_state(home)
    return next(s for s in desired(state).steps() if s.key.kind == kind and title in (None, s.title))


def made(home: Home, stages: dict, *kinds: str) -> dict[str, pa.Table]:
    """Carry out these kinds of the only title with these makers, and return their tables."""
    fakes = Fakes().stages
    state = read_state(home)
    wanted = [pair for pair in pairs(desired(state).steps()) if pair[0] in kinds]
    own = {kind: fakes[kind]._replace(make=make) for kind, make in stages.items()}
    outcomes = list(carry_out(home, wanted, {**fakes, **own}, LogReporter()))
    assert {outcome.error for outcome in outcomes} == {""}
    return {o.key.kind: pq.read_table(BytesIO(home.read(o.key))) for o in outcomes if o.key.kind != "deliveries"}


# The delivery and its media


def test_a_delivery_s_record_says_what_its_media_declares(delivered: Home) -> None:
    draft = make_delivery(bench(delivered), step(delivered, "deliveries"))
    assert draft.payload["title"]["id"] == "film"
    assert (draft.facts["width"], draft.facts["height"], draft.facts["n_files"]) == (96, 54, 3)
    assert draft.facts["declared_s"] == pytest.approx(3.0, abs=0.1)


def test_shots_tile_the_title_and_each_has_a_picture(delivered: Home, film) -> None:
    tables = made(delivered, {"shots": make_shots, "thumbnails": make_thumbnails}, "shots", "thumbnails")
    spans = spans_of(tables["shots"])
    assert spans[0].start_s == 0.0
    assert spans[-1].end_s == pytest.approx(film.n_frames / 25, abs=0.05)
    assert all(a.end_s == b.start_s for a, b in pairwise(spans))
    assert spans_of(tables["thumbnails"]) == spans
    assert all(picture[:2] == b"\xff\xd8" for picture in tables["thumbnails"]["picture"].to_pylist())
    (row,) = delivered.ledger.artifacts("thumbnails")
    assert "pillow" in row.manifest.provenance
    (row,) = delivered.ledger.artifacts("shots")
    assert row.manifest.facts["n_shots"] == len(spans)
    assert row.manifest.facts["duration_s"] == spans[-1].end_s


def test_a_title_is_decoded_once_for_its_whole_chain(delivered: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = working_set(bench(delivered), step(delivered, "shots"))
    stamp = (first.folder / "frames.npy").stat().st_mtime_ns
    again = working_set(bench(delivered), step(delivered, "thumbnails"))
    assert again.folder == first.folder
    assert (again.folder / "frames.npy").stat().st_mtime_ns == stamp


def test_a_damaged_working_set_is_made_again(delivered: Home) -> None:
    first = working_set(bench(delivered), step(delivered, "shots"))
    frames = np.array(first.frames)
    (first.folder / "frames.npy").write_bytes(b"half")
    assert np.array_equal(working_set(bench(delivered), step(delivered, "shots")).frames, frames)


def test_media_that_cannot_be_decoded_is_refused_and_not_decoded_twice(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "media.mp4"
    source.write_bytes(b"no film")
    broken = catalogue.delivered(Part.MEDIA, "media.mp4", "no film")
    home.blobs.keep(source, broken.sha256)
    deliver(home, catalogue.replace(SILENT, files=(broken,)))
    with pytest.raises(MediaError):
        working_set(bench(home), step(home, "shots"))
    assert list(home.work.iterdir()) == []


def test_old_working_sets_make_room_for_new_ones(delivered: Home) -> None:
    for i in range(MAX_KEPT + 1):
        (delivered.work / f"{i:064d}").mkdir()
    (delivered.work / "training-1.safetensors").write_bytes(b"kept")
    working_set(bench(delivered), step(delivered, "shots"))
    left = [p for p in delivered.work.iterdir() if p.is_dir()]
    assert len(left) == MAX_KEPT
    assert (delivered.work / "training-1.safetensors").exists()


# Text


def test_captions_of_all_files_come_in_order_of_time(delivered: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_text_stage, "recognise", None)  # never called where captions came
    tables = made(delivered, {"timed_text": timed_text_stage.make_timed_text}, "shots", "timed_text")
    assert spans_of(tables["timed_text"]) == spans_of(tables["shots"])
    (row,) = delivered.ledger.artifacts("timed_text")
    assert row.manifest.facts["sources"] == "audio_description, captions"
    assert row.manifest.facts["n_cues"] == 2
    assert ("pysubs2" in row.manifest.provenance, "faster-whisper" in row.manifest.provenance) == (True, False)
    assert tables["timed_text"]["text"][0].as_py() == "A tile. in the second"


def test_a_title_without_captions_is_listened_to(home: Home, film, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediafm_core.captions import Cue
    from mediafm_core.identity import Span

    heard = []

    def recognise(audio: np.ndarray) -> list[Cue]:
        heard.append(len(audio))
        return [Cue(Span(0.1, 0.2), "click", "speech_recognition")]

    monkeypatch.setattr(timed_text_stage, "recognise", recognise)
    take(home, examine(film.path))
    made(home, {"timed_text": timed_text_stage.make_timed_text}, "shots", "timed_text")
    (row,) = home.ledger.artifacts("timed_text")
    assert row.manifest.facts["sources"] == "speech_recognition"
    assert ("pysubs2" in row.manifest.provenance, "faster-whisper" in row.manifest.provenance) == (False, True)
    assert heard[0] == pytest.approx(3 * 16_000, rel=0.05)


# Embeddings


class FakeEncoder:
    """Gives each shot the number of things that it was given, or zeros for nothing."""

    def __init__(self, dims: int) -> None:
        self.dims = dims
        self.given: list = []

    def encode(self, shots) -> np.ndarray:
        self.given = list(shots)
        return np.array([[len(shot)] * self.dims for shot in self.given], np.float32)


@pytest.fixture
def fake_encoders(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeEncoder]:
    encoders = {str(spec.modality): FakeEncoder(spec.dims) for spec in (SUITE.video, SUITE.audio, SUITE.text)}
    monkeypatch.setattr(encoders_stage, "load", lambda spec, **_: encoders[str(spec.modality)])
    return encoders


STAGES = {
    "video_embeddings": encoders_stage.make_video,
    "audio_embeddings": encoders_stage.make_audio,
    "text_embeddings": encoders_stage.make_text,
    "metadata_embedding": encoders_stage.make_metadata,
    "fused_embeddings": make_fused,
}


def with_stills(suite: Suite) -> Suite:
    eyes = replace(suite.video.instrument, settings={"stills_per_shot": 2})
    return replace(suite, video=replace(suite.video, instrument=eyes))


def test_each_modality_is_given_its_shots_and_fused_joins_them(
    tmp_path: Path, film, fake_encoders: dict[str, FakeEncoder]
) -> None:
    suite = with_stills(SUITE)
    home = make_home(tmp_path / "home", [], suites=[suite], encoders=[], production=None)
    take(home, examine(film.path))
    tables = made(home, STAGES, "shots", "timed_text", *STAGES)
    n = N_SHOTS_ELSE
    assert [len(stills) for stills in fake_encoders["video"].given] == [2, 2, 1, 1]  # behind the end: the nearest
    assert len(fake_encoders["audio"].given[0]) == 2.5 * 16_000
    assert fake_encoders["text"].given == [film.path.stem]  # the last call: the metadata embedding
    fused = vectors_of(tables["fused_embeddings"])
    assert fused.shape == (n, suite.dims)
    assert np.linalg.norm(fused, axis=1) == pytest.approx(np.ones(n), abs=1e-3)
    assert spans_of(tables["fused_embeddings"]) == spans_of(tables["shots"])
    (row,) = home.ledger.artifacts("fused_embeddings")
    assert row.manifest.facts == {"n_shots": n, "dims": 10, "n_with_audio": 2, "n_with_text": 2}
    assert fused[0, suite.video.dims + suite.audio.dims :].tolist() == [0.0, 0.0]  # nothing is said in the first shot
    home.ledger.close()


def test_every_encoder_is_loaded_with_the_bound_that_its_stage_is_given(
    tmp_path: Path, film, fake_encoders: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    load, bounds = encoders_stage.load, set()

    def loading(spec: UnimodalSpec, **given: Any) -> FakeEncoder:
        bounds.add((spec.modality, given["portion_bytes"]))
        return load(spec, **given)

    monkeypatch.setattr(encoders_stage, "load", loading)
    home = make_home(tmp_path / "home", [], suites=[with_stills(SUITE)], encoders=[], production=None)
    take(home, examine(film.path))
    bounded = {kind: partial(make, bound=lambda: 7) for kind, make in STAGES.items() if make is not make_fused}
    made(home, bounded, "shots", "timed_text", *bounded)
    assert bounds == {(modality, 7) for modality in Modality}
    home.ledger.close()


def test_a_lazy_shot_list_reads_each_shot_once_and_tells_how_far_it_is() -> None:
    read, told = [], []
    shots = Offered(list("abcd"), lambda span: read.append(span) or span, told.append)
    assert list(shots[1:3]) == ["b", "c"]
    assert list(shots) == list("abcd")
    assert read == list("bcabcd")
    assert told[-5:] == [0.0, 0.25, 0.5, 0.75, 1.0]


# An encoder


def fused_home(root: Path, *titles: Title) -> Home:
    """A home whose titles have real fused vectors of the suite's widths, and no encoder."""
    home = make_home(root, titles, encoders=[], production=None)
    fakes = Fakes()
    stages = fakes.stages

    def unimodal(bench: Bench, step: Step):
        dims = {"video": 5, "audio": 3, "text": 2, "metadata": 2}[step.key.kind.split("_")[0]]
        made = stages["shots"].make(bench, step)
        n = made.payload.num_rows
        random = np.random.default_rng(int(step.key.fingerprint[:8], 16))
        return made._replace(
            payload=vector_table(spans_of(made.payload), random.normal(size=(n, dims)).astype(np.float32)),
        )

    encodings = {kind: stages[kind]._replace(make=unimodal) for kind in STAGES if kind != "fused_embeddings"}
    real = {**stages, **encodings, "fused_embeddings": stages["fused_embeddings"]._replace(make=make_fused)}
    list(carry_out(home, pairs(planned(home).steps), real, LogReporter()))
    assert plan(read_state(home)).steps == ()
    return home


def test_an_encoder_s_corpus_is_frozen_when_it_is_declared(tmp_path: Path) -> None:
    home = fused_home(tmp_path, SILENT, ONE_SHOT)
    spec = declare_encoder(home, "v1", preset="demo", seed=3)
    assert [member.title for member in spec.corpus] == ["silent", "one-shot"]
    assert read_state(home).production == "v1"
    assert read_state(home).encoders == (spec,)
    apply(home)
    for edit in (LONG, catalogue.with_media(SILENT, "other"), catalogue.with_synopsis(ONE_SHOT, "other")):
        deliver(home, edit)
    kinds = {kind for kind, _ in pairs(planned(home).steps)}
    assert "contextual_embeddings" in kinds
    assert {"pretraining_corpus", "mediafm_encoder"}.isdisjoint(kinds)
    home.ledger.close()


def test_only_titles_that_are_fused_now_are_learned_from(tmp_path: Path) -> None:
    home = fused_home(tmp_path, SILENT)
    deliver(home, LONG)
    deliver(home, catalogue.with_synopsis(SILENT, "its metadata embedding is out of date"))
    with pytest.raises(TrainingError, match="no title"):
        declare_encoder(home, "v1", preset="demo", seed=0)
    deliver(home, SILENT)
    assert [m.title for m in declare_encoder(home, "v1", preset="demo", seed=0).corpus] == ["silent"]
    home.ledger.close()


def test_a_title_that_is_no_longer_active_is_in_no_new_corpus(tmp_path: Path) -> None:
    home = fused_home(tmp_path, SILENT, ONE_SHOT)
    state = read_state(home)
    without = replace(state, titles={title: body for title, body in state.titles.items() if title != "silent"})
    assert [member.title for member in fused_now(state, SUITE)] == ["silent", "one-shot"]
    assert [member.title for member in fused_now(without, SUITE)] == ["one-shot"]  # its embeddings still exist
    home.ledger.close()


def test_a_second_encoder_does_not_go_live_by_itself(tmp_path: Path) -> None:
    home = fused_home(tmp_path, SILENT)
    declare_encoder(home, "v1", preset="demo", seed=0)
    declare_encoder(home, "v2", preset="demo", seed=0)
    assert read_state(home).production == "v1"
    with pytest.raises(PlanError, match=r"'v1': .*--preset demo --size tiny --seed 0`, or give .*encoder retire v1`"):
        declare_encoder(home, "v1", preset="demo", seed=1)
    home.ledger.close()


@pytest.mark.parametrize(
    ("name", "preset", "error"),
    [("V 1", "demo", IdentityError), ("a|b", "demo", IdentityError), ("v1", "none", TrainingError)],
)
def test_what_cannot_be_declared_leaves_no_encoder(tmp_path: Path, name: str, preset: str, error: type) -> None:
    home = fused_home(tmp_path, SILENT)
    with pytest.raises(error):
        declare_encoder(home, name, preset=preset, seed=0)
    assert read_state(home).encoders == ()
    assert read_state(home).production is None
    home.ledger.close()


def test_a_corpus_lists_its_members_by_fingerprint(tmp_path: Path) -> None:
    home = fused_home(tmp_path, SILENT, ONE_SHOT)
    spec = declare_encoder(home, "v1", preset="demo", seed=0)
    draft = make_corpus(bench(home), step(home, "pretraining_corpus"))
    assert draft.payload.select(["title", "fused", "metadata"]).to_pylist() == [asdict(m) for m in spec.corpus]
    assert draft.payload["n_shots"].to_pylist() == [N_SHOTS_ELSE, 1]
    assert draft.facts == {"n_titles": 2, "n_shots": N_SHOTS_ELSE + 1, "suite": SUITE.id}
    home.ledger.close()


def test_a_corpus_whose_member_is_gone_is_refused(tmp_path: Path) -> None:
    home = fused_home(tmp_path, SILENT)
    home.declare("encoder", "v1", asdict(catalogue.encoder("v1", (SILENT,))))
    with pytest.raises(ArtifactError, match="silent"):
        make_corpus(bench(home), step(home, "pretraining_corpus"))
    home.ledger.close()


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A home with an encoder that was trained for four steps."""
    import torch

    from mediafm_core.pretraining import declaring
    from mediafm_core.pretraining.presets import preset_config

    def short(name: str, **dims) -> dict:
        config = preset_config(name, **dims)
        config["trainer"] |= {"steps": 4, "warm_up_steps": 1, "shots_per_step": 8}
        config["model"] |= {"hidden": 16, "layers": 1, "heads": 2} if "layers" in config["model"] else {}
        return config

    torch.set_num_threads(1)
    monkeypatch.setattr(declaring, "preset_config", short)
    home = fused_home(tmp_path / "home", SILENT, ONE_SHOT)
    declare_encoder(home, "v1", preset="demo", seed=0)
    stages = Fakes().stages
    own = {"pretraining_corpus": Stage(make_corpus), "mediafm_encoder": Stage(make_encoder, forget_training)}
    outcomes = list(carry_out(home, [(kind, "v1") for kind in own], {**stages, **own}, LogReporter()))
    assert {outcome.error for outcome in outcomes} == {""}
    yield home
    home.ledger.close()


def test_a_trained_encoder_says_how_its_training_went(trained: Home) -> None:
    (row,) = trained.ledger.artifacts("mediafm_encoder")
    facts = row.manifest.facts
    assert (facts["n_titles"], facts["n_shots"], facts["steps"], facts["kept_step"]) == (2, N_SHOTS_ELSE + 1, 4, 4)
    assert np.isfinite([facts["first_loss"], facts["last_loss"]]).all()
    assert [point["step"] for point in facts["curve"]] == [1, 2, 3, 4]
    assert facts["curve"][0]["loss/msm"] == pytest.approx(facts["first_loss"], rel=1e-4)
    assert (facts["learnt"], facts["baselines"]) == ("not judged", [])
    assert not list(trained.work.glob("training-*"))


def test_titles_are_read_in_context_and_shown(trained: Home) -> None:
    from mediafm_core.consumption.catalogue import open_catalogue
    from mediafm_core.contextual.stage import make_contextual

    stages = Fakes().stages
    contextual = stages["contextual_embeddings"]._replace(make=make_contextual)
    wanted = pairs(planned(trained).steps)
    outcomes = list(carry_out(trained, wanted, {**stages, "contextual_embeddings": contextual}, LogReporter()))
    assert done(outcomes) == {("contextual_embeddings", f"v1|{t}") for t in ("silent", "one-shot")} | {("snapshot", "")}
    catalogue_ = open_catalogue(str(trained.root))
    shots = catalogue_.shots("silent")
    ids, title_vectors = catalogue_.title_vectors()
    assert shots.vectors.shape == (N_SHOTS_ELSE, title_vectors.shape[1])
    assert ids == ["one-shot", "silent"]
    assert np.isfinite(title_vectors).all()
    assert len(np.unique(shots.vectors, axis=0)) == N_SHOTS_ELSE


def test_an_encoder_is_read_once_for_all_titles_on_a_device(trained: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediafm_core.contextual import stage

    read: list[str] = []
    monkeypatch.setattr(stage, "_at_hand", {})
    monkeypatch.setattr(Home, "read", lambda self, key, _read=Home.read: read.append(key.kind) or _read(self, key))
    for title in ("silent", "one-shot", "silent"):
        stage.make_contextual(bench(trained), step(trained, "contextual_embeddings", title))
    assert read.count("mediafm_encoder") == 1
    assert read.count("fused_embeddings") == 3


def test_an_encoder_of_another_suite_is_refused(trained: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediafm_core.contextual import stage

    manifest = {"suite": "other-12345678"}
    monkeypatch.setattr(stage, "_loaded", lambda *_: SimpleNamespace(manifest=manifest, encoder=None))
    with pytest.raises(EncoderMismatchError, match="other-12345678"):
        stage.make_contextual(bench(trained), step(trained, "contextual_embeddings", "silent"))


def test_inputs_are_found_by_their_fingerprint_alone(home: Home) -> None:
    key = ArtifactKey("fused_embeddings", join_partition(suite=SUITE.id, title="silent"), fingerprint("x", {}))
    with pytest.raises(ArtifactError, match="mediafm apply"):
        home.read(key)
