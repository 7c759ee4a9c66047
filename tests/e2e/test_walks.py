"""Whatever happens to a home, and in whatever order: what is planned is done, and readers see one version."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mediafm_core.errors import IncompleteError, PlanError, ReleaseError
from mediafm_core.planning.desired import desired
from mediafm_core.release.retiring import retire
from mediafm_core.release.rollback import publish_standing, roll_back
from mediafm_core.release.withdrawing import free_withdrawn
from mediafm_core.stock import ask_for_suite, read_state
from mediafm_core.store.ledger import MAX_ATTEMPTS
from tests import catalogue
from tests.e2e.walk import ENCODERS, POOL, SUITES, TASKS, Walk
from tests.fakes import pairs

SNAPSHOT = ("snapshot", "")
EDITS = {
    "captions": catalogue.with_captions,
    "media": catalogue.with_media,
    "synopsis": catalogue.with_synopsis,
    "attribution": catalogue.with_attribution,
}
CODE = (
    "shots",
    "timed_text",
    "text_embeddings",
    "fused_embeddings",
    "pretraining_corpus",
    "mediafm_encoder",
    "contextual_embeddings",
    "probe_heads",
    "predictions",
    "probe_report",
    "snapshot",
)


class AnyWalk(RuleBasedStateMachine):
    """What may happen to a home, in any order."""

    walk: Walk

    @initialize(labelled=st.booleans(), two_suites=st.booleans())
    def begin(self, labelled, two_suites):
        self.walk = Walk(labelled=labelled)
        if two_suites:
            self.ask_for_suite(1)
        self.walk.apply()
        if labelled:
            self.promote("v1")
        self.has_run = False

    # What people do

    @rule(title=st.sampled_from(range(len(POOL))))
    def deliver(self, title):
        self.walk.deliver(self.walk.title(POOL[title]))

    @rule(title=st.sampled_from(range(len(POOL))), edit=st.sampled_from(sorted(EDITS)))
    def deliver_anew(self, title, edit):
        self.walk.deliver(EDITS[edit](self.walk.title(POOL[title]), self.walk.edit()))

    @rule(title=st.sampled_from(range(len(POOL))))
    def withdraw(self, title):
        self.walk.withdraw(POOL[title])

    @rule()
    def free_withdrawn(self):
        free_withdrawn(self.walk.home)

    @precondition(lambda self: self.walk.labelled)
    @rule(task=st.sampled_from(TASKS))
    def edit_labels(self, task):
        self.walk.edit_labels(task)

    @rule(kind=st.sampled_from(CODE))
    def change_code(self, kind):
        self.walk.bump(kind)

    @rule(name=st.sampled_from(ENCODERS[1:]), suite=st.sampled_from(range(len(SUITES))), worse=st.booleans())
    def declare_encoder(self, name, suite, worse):
        home = self.walk.home
        if name not in home.ledger.declared("encoder") and SUITES[suite] in read_state(home).suites:
            self.walk.declare_encoder(name, SUITES[suite])
            if worse:
                self.walk.makers.worse.add(name)

    @rule(suite=st.sampled_from(range(len(SUITES))))
    def ask_for_suite(self, suite):
        ask_for_suite(self.walk.home, SUITES[suite])

    @rule()
    def retire_suites(self):
        bound = {spec.suite for spec in read_state(self.walk.home).encoders}
        for suite in SUITES:
            try:
                self.walk.retire_suite(suite)
                assert suite.id not in bound
            except PlanError:
                assert suite.id not in self.walk.home.ledger.declared("suite")
            except ReleaseError:
                assert suite.id in bound

    @precondition(lambda self: self.walk.labelled)
    @rule(name=st.sampled_from(ENCODERS))
    def promote(self, name):
        try:
            self.walk.carry_out([("release", name), SNAPSHOT])
        except IncompleteError:
            return  # it passed before, and titles have come since
        except PlanError:
            found = desired(read_state(self.walk.home)).encoders.get(name)
            assert found is None or not found.heads  # no such encoder, or no title with labels is left

    @precondition(lambda self: self.walk.labelled)
    @rule()
    def roll_back(self):
        try:
            roll_back(self.walk.home)
        except (PlanError, ReleaseError):
            return
        publish_standing(self.walk.home)

    @rule(name=st.sampled_from(ENCODERS), force=st.booleans())
    def retire(self, name, force):
        try:
            retire(self.walk.home, name, force=force)
        except (PlanError, ReleaseError):
            return

    @rule()
    def retry(self):
        self.walk.makers.failing.clear()
        self.walk.home.ledger.forgive(self.walk.home.ledger.failures())

    # What carries plans out

    @rule()
    def apply(self):
        self.walk.apply()

    @rule(share=st.floats(0.1, 0.9))
    def apply_a_part(self, share):
        steps = self.walk.plan().steps
        self.walk.carry_out(pairs(steps[: int(share * len(steps))]))

    @rule(share=st.floats(0, 0.99), always=st.booleans())
    def apply_while_a_step_fails(self, share, always):
        if steps := self.walk.plan().steps:
            key = steps[int(share * len(steps))].key
            self.walk.makers.failing[key.kind, key.partition] = 10**6 if always else 1
            for _ in range(MAX_ATTEMPTS if always else 1):
                self.walk.apply()

    @precondition(lambda self: not self.has_run)  # once in a walk: a run of Dagster's costs as much as all the rest
    @rule()
    def tick_and_run(self):
        self.has_run = True
        self.walk.tick_and_run()

    @rule(at_commit=st.integers(1, 12), before_the_row=st.booleans())
    def die(self, at_commit, before_the_row):
        self.walk.die(at_commit, before_the_row=before_the_row)

    @rule()
    def two_at_once(self):
        self.walk.makers.meanwhile = lambda: self.walk.carry_out(pairs(self.walk.plan().steps))
        before, planned = self.walk.committed(), self.walk.plan()
        self.walk.carry_out(pairs(planned.steps))
        self.walk.makers.meanwhile = None
        if not self.walk.home.ledger.failures():
            assert self.walk.committed() - before >= {s.key for s in planned.steps if s.key.kind != "snapshot"}
            assert not self.walk.plan().steps

    # What must hold

    @invariant()
    def readers_see_one_version(self):
        self.walk.check_readers()

    @invariant()
    def what_was_committed_stays(self):
        self.walk.check_kept()

    def teardown(self):
        """Once all is mended and made, nothing is missing and nothing is damaged."""
        if not hasattr(self, "walk"):
            return
        try:
            self.retry()
            self.walk.apply()
            assert self.walk.plan() == ((), ())
            self.walk.check_withdrawn()
            self.walk.check_retired_suites()
            assert self.walk.plan() == ((), ())
            self.walk.check_objects()
        finally:
            self.walk.close()


def walk(*, n_walks: int, n_steps: int, the_same: bool) -> None:
    """Walk at random, or as every time; a walk that fails is told as it was found, for to shorten it takes minutes."""
    run_state_machine_as_test(
        AnyWalk,
        settings=settings(
            max_examples=n_walks,
            stateful_step_count=n_steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=the_same,
            phases=[Phase.generate],
        ),
    )


def test_whatever_happens_what_is_planned_is_done_and_readers_see_one_version():
    walk(n_walks=10, n_steps=15, the_same=True)


def test_a_suite_is_replaced_while_titles_come_and_change_and_comes_back():
    one = AnyWalk()
    try:
        one.begin(labelled=True, two_suites=False)
        one.ask_for_suite(1)
        one.declare_encoder("v2", 1, worse=False)
        one.deliver(2)
        one.apply()
        one.retire_suites()
        assert read_state(one.walk.home).suites == SUITES  # each has an encoder
        one.promote("v2")
        one.what_was_committed_stays()
        one.retire("v1", force=True)
        one.retire_suites()
        assert read_state(one.walk.home).suites == (SUITES[1],)
        one.deliver_anew(0, "captions")
        one.apply()
        one.ask_for_suite(0)
        one.apply()
        one.retire_suites()
        one.what_was_committed_stays()
    finally:
        one.teardown()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_so_it_is_on_long_walks():
    walk(n_walks=200, n_steps=50, the_same=False)
