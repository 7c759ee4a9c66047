"""A suite is measured again and again against its first vectors; what moved is said, kept, and blocks a promotion."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mediafm_core.catalogue.suite import DELIVERED, SERVER, Modality, Suite, UnimodalSpec
from mediafm_core.drift import guarding, scores
from mediafm_core.drift.asking import Forgetful, encoders_of
from mediafm_core.drift.canaries import Canary, from_bytes, of_modality, to_bytes
from mediafm_core.drift.guarding import canary_alarm, overdue
from mediafm_core.drift.history import record
from mediafm_core.drift.limits import N_QUIET
from mediafm_core.drift.machine import machine
from mediafm_core.drift.made import N_INPUTS, made_canaries
from mediafm_core.drift.measuring import make_reference, measure
from mediafm_core.drift.scores import canary_titles
from mediafm_core.drift.watching import accept, add_canaries, in_use, watch
from mediafm_core.encoders import openai_text
from mediafm_core.errors import ArtifactError, DimensionError, GateError, PlanError, RemoteError
from mediafm_core.execution import carry_out
from mediafm_core.planning.desired import desired
from mediafm_core.stock import read_state
from mediafm_core.store.paid import Purse
from mediafm_core.workbench import LogReporter, Stage, Status
from tests import catalogue
from tests.canary_homes import N, RealHeads, Watched, few_canaries, go_live
from tests.candidates import seen
from tests.fakes import make_home, pairs, planned

SUITE = catalogue.SUITE
TITLES = (catalogue.SILENT, catalogue.ONE_SHOT, catalogue.LONG)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    home = make_home(tmp_path / "home", titles=(), encoders=(), production=None)
    found = Watched(home)
    found.declare()
    yield found
    home.ledger.close()


def noise(distance: float, seed: int = 0):
    """Moves every vector by about this distance, each its own way."""

    def disturb(vectors: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        step = np.random.default_rng(seed).normal(size=vectors.shape) / np.sqrt(vectors.shape[1])
        return (vectors + np.sqrt(2 * distance) * lengths * step).astype(np.float32)

    return disturb


# The inputs


def test_the_made_canaries_are_160_of_each_modality_all_different_and_the_same_every_time() -> None:
    made = made_canaries()
    assert [len(of_modality(made, modality)) for modality in Modality] == [N_INPUTS] * 3
    assert [canary.digest for canary in made] == [canary.digest for canary in made_canaries()]
    stills = of_modality(made, Modality.VIDEO)
    assert {canary.value.shape[0] for canary in stills if isinstance(canary.value, np.ndarray)} == {1, 3}
    assert all(np.abs(c.value).max() > 0 for c in of_modality(made, Modality.AUDIO) if isinstance(c.value, np.ndarray))


def test_canaries_are_read_as_they_were_written() -> None:
    kept = few_canaries()
    found = from_bytes(to_bytes(kept))
    assert [(c.name, c.modality, c.shape, c.data) for c in found] == [
        (c.name, c.modality, c.shape, c.data) for c in kept
    ]


def test_a_damaged_row_is_refused() -> None:
    class Short(Canary):
        @property
        def shape(self) -> tuple[int, ...]:
            return (7,)

    with pytest.raises(DimensionError, match="canary 'x'"):
        from_bytes(to_bytes([Short("x", Modality.AUDIO, np.zeros(3, np.int16))]))


def test_the_same_content_counts_once_whatever_it_is_called() -> None:
    twice = [Canary("a", Modality.TEXT, "one"), Canary("b", Modality.TEXT, "one"), Canary("c", Modality.TEXT, "two")]
    assert [c.value for c in of_modality(twice, Modality.TEXT)] == ["one", "two"]


def test_canary_clips_lack_words_and_sound_now_and_then(watched: Watched) -> None:
    random = np.random.default_rng(0)
    vectors = {m: random.normal(size=(N, SUITE.spec(m).dims)).astype(np.float32) for m in Modality}
    titles = list(canary_titles(vectors, SUITE))
    assert [len(title.fused) for title in titles] == [scores.SHOTS_PER_TITLE] * 2
    fused = np.concatenate([title.fused for title in titles])
    assert 0.3 < np.mean(~fused[:, 8:].any(axis=1)) < 0.5
    assert 0 < np.mean(~fused[:, 5:8].any(axis=1)) < 0.2


# Watching


def test_nothing_is_planned_for_a_suite_that_nobody_watches(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", TITLES)
    assert not [step for step in planned(home).steps if step.key.kind == "canaries"]


def test_a_watched_suite_is_planned_once_with_its_reason(watched: Watched) -> None:
    (step,) = planned(watched.home).steps
    assert (step.key.kind, step.key.partition) == ("canaries", SUITE.id)
    assert step.reason == f"suite {SUITE.id}: not yet computed"
    watched.run()
    assert planned(watched.home).steps == ()


def test_a_suite_whose_vectors_are_delivered_has_no_canaries(tmp_path: Path) -> None:
    def elsewhere(spec: UnimodalSpec) -> UnimodalSpec:
        return replace(spec, instrument=replace(spec.instrument, settings={DELIVERED: True}))

    suite = Suite(alias="theirs", **{m.value: elsewhere(SUITE.spec(m)) for m in Modality})
    home = make_home(tmp_path / "home", (), suites=(suite,), encoders=(), production=None)
    with pytest.raises(PlanError, match="no encoder to run again"):
        watch(home, suite.id)
    with pytest.raises(PlanError, match="no such suite"):
        watch(home, "none")
    assert in_use(read_state(home)) == []


def test_watching_twice_changes_nothing_and_suites_share_their_inputs(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", (), suites=(SUITE, catalogue.SECOND_SUITE), production=None)
    assert in_use(read_state(home)) == [SUITE.id]
    first = watch(home, SUITE.id)
    n_declared = len(home.ledger.declarations())
    assert watch(home, SUITE.id) == first
    assert len(home.ledger.declarations()) == n_declared
    assert watch(home, catalogue.SECOND_SUITE.id).tables == first.tables
    assert in_use(read_state(home)) == [SUITE.id, catalogue.SECOND_SUITE.id]


# Measuring


def test_unchanged_is_steady_and_every_measurement_is_a_row(watched: Watched) -> None:
    outcomes = [watched.run()[0].status for _ in range(3)]
    assert outcomes == [Status.MADE, Status.KEPT, Status.KEPT]
    assert [each.verdict for each in watched.history] == ["steady"] * 3
    last = watched.history[-1]
    assert last.n == {"video": N, "audio": N, "text": N}
    assert {"numpy", "machine", "processor", "engine_settings"} <= last.provenance.keys()
    assert last.changed == {}
    assert len({each.at for each in watched.history}) == 3


@pytest.mark.parametrize("modality", Modality)
def test_what_moves_is_named_and_nothing_else(watched: Watched, modality: Modality) -> None:
    watched.run()
    watched.disturbed = {modality: noise(1e-4)}
    found = watched.measured()
    assert found.verdict == "moved"
    assert [each.what for each in found.found] == [f"{modality.value} embeddings"]
    assert found.said.startswith("moved: ")


def test_a_local_encoder_alarms_above_a_millionth_and_not_below(watched: Watched) -> None:
    watched.run()
    watched.disturbed = {Modality.VIDEO: noise(1e-9)}
    assert watched.measured().verdict == "steady"
    watched.disturbed = {Modality.VIDEO: noise(1e-5)}
    assert watched.measured().verdict == "moved"


def test_an_encoder_that_does_not_repeat_itself_is_found_at_once(watched: Watched) -> None:
    seeds = iter(range(99))
    watched.disturbed = {Modality.TEXT: lambda vectors: noise(1e-4, next(seeds))(vectors)}
    assert watched.measured().verdict == "moved"


def test_a_part_of_the_inputs_is_found(watched: Watched) -> None:
    watched.run()
    watched.disturbed = {Modality.VIDEO: lambda v: np.concatenate([noise(1e-3)(v[:4]), v[4:]])}
    (found,) = watched.measured().found
    assert (found.how, found.figures[:16]) == ("part of the inputs", f"4 of {N} inputs; ")


def test_another_width_is_an_error_and_no_measurement(watched: Watched) -> None:
    watched.run()
    watched.disturbed = {Modality.TEXT: lambda vectors: vectors[:, :1]}
    with pytest.raises(DimensionError, match="canaries"):
        watched.run()
    assert len(watched.history) == 1


def test_what_its_encoders_hang_on_is_told_beside_the_reference_and_each_measurement(tmp_path: Path) -> None:
    bought = replace(SUITE.text, instrument=replace(SUITE.text.instrument, name=openai_text.NAME))
    heard = replace(SUITE.audio, instrument=replace(SUITE.audio.instrument, name="whisper-tiny-en"))
    suite = replace(SUITE, text=bought, audio=heard)
    watched = Watched(make_home(tmp_path / "home", (), suites=(suite,), encoders=(), production=None), suite)
    watched.declare()
    last = watched.measured()
    (reference,) = watched.home.ledger.artifacts("canaries")
    for told in (last.provenance, reference.manifest.provenance):
        assert {"openai", "faster-whisper", "numpy"} <= told.keys()
    assert last.changed == {}


def test_another_choice_of_the_cpus_instructions_is_said_to_have_changed(watched: Watched) -> None:
    watched.run()
    stage = Stage(
        partial(make_reference, encoder_of=watched.encoder_of),
        partial(measure, encoder_of=watched.encoder_of, settings=lambda: "CT2_FORCE_CPU_ISA=GENERIC"),
    )
    list(carry_out(watched.home, [("canaries", SUITE.id)], {"canaries": stage}, LogReporter()))
    assert watched.history[0].changed == {}
    assert watched.history[1].changed == {"engine_settings": ["none", "CT2_FORCE_CPU_ISA=GENERIC"]}
    assert "engine_settings none became CT2_FORCE_CPU_ISA=GENERIC" in watched.history[1].changed_said


def test_another_cpu_is_told_by_its_name_and_its_instructions(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("processor: 0\nmodel name: One\nflags: sse avx\n\nprocessor: 1\nmodel name: Two\n")
    (tmp_path / "same").write_text("model name\t: One\nflags\t\t: avx sse\n")
    (tmp_path / "arm").write_text("Features: neon\n")
    one, same, arm = (machine(cpu_info=tmp_path / name) for name in ("one", "same", "arm"))
    assert one == same
    assert one["cpu"] == "One"
    assert one["cpu_instructions"] != arm["cpu_instructions"]
    assert "cpu" not in machine(cpu_info=tmp_path / "none")


def test_versions_that_changed_since_the_reference_are_said(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediafm_core.drift import measuring

    watched.run()
    versions = {**measuring.provenance(), "openvino": "9.9"}
    monkeypatch.setattr(measuring, "provenance", lambda _: versions)
    changed = watched.measured().changed
    assert list(changed) == ["openvino"]
    assert changed["openvino"][1] == "9.9"
    around = watched.history[-1].surroundings
    assert around["openvino"] == (changed["openvino"][0], "9.9")
    assert around["numpy"][0] == around["numpy"][1] == versions["numpy"]
    assert watched.history[-1].changed_said.endswith("became 9.9")


def test_a_remote_encoder_is_calibrated_from_quiet_days_and_then_held_to_them(tmp_path: Path) -> None:
    remote = replace(
        SUITE.text, dims=32, instrument=replace(SUITE.text.instrument, settings={SERVER: "https://models.example"})
    )
    suite = replace(SUITE, text=remote)
    watched = Watched(make_home(tmp_path / "home", (), suites=(suite,), encoders=(), production=None), suite)
    watched.declare()
    seeds = iter(range(999))
    watched.disturbed = {Modality.TEXT: lambda vectors: noise(2e-6, next(seeds))(vectors)}
    rules = [watched.measured().limits["text"]["rule"] for _ in range(N_QUIET + 2)]
    assert rules == ["provisional"] * N_QUIET + ["calibrated"] * 2
    assert {each.verdict for each in watched.history} == {"steady"}
    assert watched.history[-1].limits["video"]["rule"] == "exact"
    watched.disturbed = {Modality.TEXT: lambda vectors: noise(2.5e-5, next(seeds))(vectors)}  # less than provisional
    assert watched.measured().verdict == "moved"


def noisy_provider(tmp_path: Path) -> Watched:
    """A home whose texts are read by somebody else's machine."""
    settings = {SERVER: "https://models.example"}
    remote = replace(SUITE.text, dims=32, instrument=replace(SUITE.text.instrument, settings=settings))
    suite = replace(SUITE, text=remote)
    watched = Watched(make_home(tmp_path / "home", (), suites=(suite,), encoders=(), production=None), suite)
    watched.declare()
    return watched


def test_a_provider_too_noisy_to_watch_alarms_says_so_and_once_accepted_is_calibrated(tmp_path: Path) -> None:
    watched = noisy_provider(tmp_path)
    seeds = iter(range(999))
    watched.disturbed = {Modality.TEXT: lambda vectors: noise(1e-4, next(seeds))(vectors)}
    alarmed = watched.measured()
    assert [each.how for each in alarmed.found] == ["too noisy"]
    assert "mediafm canaries accept" in alarmed.found[0].advice
    accept(watched.home, watched.suite.id, why="so the provider says")
    after = [watched.measured() for _ in range(N_QUIET + 1)]
    assert {each.verdict for each in after} == {"steady"}
    assert [each.limits["text"]["rule"] for each in after] == ["noise accepted"] * N_QUIET + ["calibrated"]
    (said,) = after[-1].sees_said
    assert said.startswith("text, calibrated limits: a drift of all inputs is seen from")
    assert said.endswith("noise hides a tenth at 1e-04, which is asked")
    watched.disturbed = {Modality.TEXT: noise(2e-3)}
    assert [each.how for each in watched.measured().found] == ["noisy"]


def test_an_alarm_says_what_the_limits_that_it_was_held_to_can_see(tmp_path: Path) -> None:
    watched = noisy_provider(tmp_path)
    spec = catalogue.encoder("v1", of=watched.suite)
    watched.home.declare("encoder", "v1", asdict(spec))
    watched.run()
    (seen_now,) = guarding.seen_for(watched.home, read_state(watched.home), "v1")
    assert seen_now.startswith("text, provisional limits: a drift of all inputs is seen from 5.0e-05 on")
    watched.disturbed = {Modality.TEXT: noise(1e-3)}
    watched.run()
    alarm = canary_alarm(watched.home, read_state(watched.home), "v1")
    assert alarm is not None
    assert alarm.found.endswith(f"; {seen_now}")


def test_a_drift_that_is_accepted_widens_no_limit(tmp_path: Path) -> None:
    watched = noisy_provider(tmp_path)
    watched.run()
    watched.disturbed = {Modality.TEXT: noise(1e-3)}
    assert [each.how for each in watched.measured().found] == ["noisy"]
    accept(watched.home, watched.suite.id, why="the provider's new model")
    assert watched.measured().limits["text"]["rule"] == "provisional"


# Adding and accepting


def test_an_added_canary_is_watched_and_accepts_nothing(watched: Watched) -> None:
    watched.run()
    watched.disturbed = {Modality.TEXT: noise(1e-4)}
    add_canaries(watched.home, SUITE.id, [Canary("mine", Modality.TEXT, "a text of ours")])
    watched.n_encoded.clear()
    found = watched.measured()
    assert watched.n_encoded[0] == 1  # the reference took over all others
    assert found.n["text"] == N + 1
    assert found.verdict == "moved"
    assert watched.home.ledger.artifacts("canaries")[-1].manifest.facts["n_text"] == N + 1


def test_adding_the_same_again_changes_nothing(watched: Watched) -> None:
    mine = [Canary("mine", Modality.TEXT, "a text of ours")]
    assert add_canaries(watched.home, SUITE.id, mine) == add_canaries(watched.home, SUITE.id, mine)


def test_accepting_makes_todays_vectors_the_reference_and_keeps_the_history(watched: Watched) -> None:
    watched.run()
    watched.disturbed = {Modality.TEXT: noise(1e-4)}
    watched.run()
    assert accept(watched.home, SUITE.id, why="a library was mended").verdict == "moved"
    assert pairs(planned(watched.home).steps) == [("canaries", SUITE.id)]
    assert watched.measured().verdict == "steady"
    assert [each.verdict for each in watched.history] == ["steady", "moved", "steady"]
    declared = read_state(watched.home).canaries[SUITE.id]
    assert (declared.accepted, declared.why) == (1, "a library was mended")
    assert len(watched.home.ledger.artifacts("canaries")) == 2


@pytest.mark.parametrize(("moved", "why"), [(False, "because"), (True, " ")])
def test_only_what_moved_is_accepted_and_only_with_a_reason(watched: Watched, moved: bool, why: str) -> None:
    watched.run()
    if moved:
        watched.disturbed = {Modality.TEXT: noise(1e-4)}
        watched.run()
    with pytest.raises(PlanError, match=r"nothing that has moved|no reason"):
        accept(watched.home, SUITE.id, why=why)
    assert read_state(watched.home).canaries[SUITE.id].accepted == 0


def test_a_rebuilt_ledger_knows_the_canaries_and_their_history(watched: Watched) -> None:
    watched.run()
    before = watched.history
    watched.home.ledger.close()
    (watched.home.root / "ledger.db").unlink()
    watched.home.rebuild_ledger()
    assert watched.history == before
    assert planned(watched.home).steps == ()


# Heads, and the gate


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Watched]:
    """A home where v1 is live with real heads, and whose suite is watched."""
    home = make_home(tmp_path / "home", TITLES, production=None)
    for task in ("tone", "popularity"):
        home.declare("labels", task, asdict(catalogue.labels(task, *TITLES)))
    go_live(home, "v1")
    found = Watched(home)
    found.declare()
    yield found
    home.ledger.close()


def test_the_live_heads_score_the_canary_clips_and_are_steady(live: Watched) -> None:
    found = live.measured()
    assert found.release == "v1-r1"
    assert {task: shift["shift"] for task, shift in found.scores.items()} == {"tone": 0.0, "popularity": 0.0}
    assert found.verdict == "steady"


def test_shifted_scores_name_their_task_and_label(live: Watched) -> None:
    live.run()
    live.disturbed = {modality: noise(0.05) for modality in Modality}
    said = {each.what for each in live.measured().found}
    assert {"video embeddings", "scores of tone"} <= said


def test_a_change_behind_the_unimodal_encoders_shows_in_the_scores(
    live: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.run()
    real = scores.fuse
    monkeypatch.setattr(scores, "fuse", lambda *a, **k: real(*a, **k)[:, ::-1].copy())
    found = live.measured()
    assert {each.how for each in found.found} == {"shifted"}
    assert "of decisions flipped" in found.said


def test_steady_canaries_of_the_last_hour_let_a_promotion_pass(live: Watched) -> None:
    live.run()
    n_before = len(live.history)
    assert canary_alarm(live.home, read_state(live.home), "v1") is None
    assert len(live.history) == n_before  # the gate reads, it measures nothing


def test_canaries_that_moved_refuse_a_promotion_until_they_are_accepted_and_measured(live: Watched) -> None:
    home, candidates = live.home, RealHeads()
    home.declare("encoder", "v2", asdict(catalogue.V2))
    candidates.run(home)
    live.run()
    live.disturbed = {Modality.AUDIO: noise(1e-4)}
    live.run()
    before = seen(home)
    refused, snapshot = candidates.go_live(home, "v2")
    assert (refused.status, snapshot.status) == (Status.FAILED, Status.BLOCKED)
    assert "'v2' at the gate: canaries of suite" in refused.error
    assert "audio embeddings moved (noisy)" in refused.error
    assert "libraries and machine are those of the reference" in refused.error
    assert seen(home) == before
    accept(home, SUITE.id, why="known")
    assert "never measured" in candidates.go_live(home, "v2")[0].error
    live.run()
    candidates.go_live(home, "v2")
    assert read_state(home).production == "v2"


def test_a_release_that_was_judged_before_does_not_go_live_while_canaries_alarm(live: Watched) -> None:
    home, judging = live.home, RealHeads()
    home.declare("encoder", "v2", asdict(catalogue.V2))
    judging.run(home)
    live.run()
    judging.promote = lambda bench, step: None
    judging.go_live(home, "v2")
    live.disturbed = {Modality.AUDIO: noise(1e-4)}
    live.run()
    with pytest.raises(GateError, match="audio embeddings"):
        RealHeads().go_live(home, "v2")
    assert read_state(home).production == "v1"


def test_an_old_measurement_holds_a_promotion_up_and_says_who_measures(live: Watched) -> None:
    live.run()
    old = replace(live.history[-1], at=live.history[-1].at - guarding.FRESH_S - 1)
    record(live.home, old)
    found = canary_alarm(live.home, read_state(live.home), "v1")
    assert found is not None
    assert "not measured since" in found.found
    assert "mediafm canaries run" in found.next_step
    live.run()
    assert canary_alarm(live.home, read_state(live.home), "v1") is None


def test_a_suite_that_is_not_watched_holds_nothing_up(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", TITLES)
    assert canary_alarm(home, read_state(home), "v1") is None
    assert desired(read_state(home)).canaries == {}


def test_what_is_live_or_watched_is_overdue_until_it_is_measured_and_again_after_long(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", (), suites=(SUITE, catalogue.SECOND_SUITE))
    assert overdue(home, read_state(home), 60.0) == [(SUITE.id, None)]  # the other one serves nobody
    watched = Watched(home)
    watched.declare()
    watched.run()
    assert overdue(home, read_state(home), 60.0) == []
    record(home, replace(watched.history[-1], at=watched.history[-1].at - 61))
    (late,) = overdue(home, read_state(home), 60.0)
    assert (late.suite, late.since) == (SUITE.id, watched.history[-1].at)
    assert late.said.startswith("not measured since 2")
    watch(home, catalogue.SECOND_SUITE.id)
    assert [each.said for each in overdue(home, read_state(home), 600.0)] == ["never measured"]
    home.ledger.close()


def test_a_reference_whose_object_is_damaged_is_not_compared_with(watched: Watched) -> None:
    watched.run()
    path = Path(watched.home.root) / watched.home.ledger.artifacts("canaries")[0].path
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(ArtifactError, match="as it was committed"):
        watched.run()
    assert len(watched.history) == 1


def test_a_model_behind_an_api_is_asked_anew_and_paid_for_and_its_answers_are_not_kept(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "paid.db", run="r", step="s", usd_per_million=1.0)
    known, new = ({name * 64: np.ones(2, np.float32)} for name in "kn")
    purse.settle(purse.reserve(10), 10, known)
    forgetful = Forgetful(purse)
    assert forgetful.known(list(known)) == {}
    forgetful.settle(forgetful.reserve(50), 30, new)
    forgetful.give_back(forgetful.reserve(5))
    assert list(purse.known([*known, *new])) == list(known)
    assert purse.spent()[:2] == (2, 40)
    purse.close()


def test_a_model_behind_an_api_without_a_payer_is_refused_by_name(tmp_path: Path) -> None:
    suite = replace(SUITE, text=openai_text.spec(model="a-model", dims=2, base_url="https://models.example/v1"))
    home = make_home(tmp_path / "home", (), suites=(suite,), encoders=(), production=None)
    with pytest.raises(RemoteError, match="nobody who pays"):
        encoders_of(home)(suite.text)
    assert suite.text.is_remote
