"""What a home asks for and what it has, read from its ledger: whole, or as far as some titles go."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from typing import NamedTuple

from mediafm_core.catalogue.declared import (
    RETIRED,
    RETIRED_SUITE,
    TRAINING,
    WITHDRAWN,
    AblationWish,
    CanarySet,
    EncoderSpec,
    FrozenLabels,
    Release,
    TrainingSet,
)
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, join_partition, split_partition
from mediafm_core.catalogue.suite import Instrument, Suite
from mediafm_core.catalogue.title import Title
from mediafm_core.errors import HomeError
from mediafm_core.identity import TitleId
from mediafm_core.planning.cost import Cost, Past, cost
from mediafm_core.planning.plan import Plan, for_titles, plan, standing_of
from mediafm_core.planning.reasons import Earlier, with_reasons
from mediafm_core.planning.state import Embedded, Scored, State, Step, lineage_of, scored_by
from mediafm_core.planning.training_sets import titles_of_new_heads
from mediafm_core.planning.why import Explained, check_place, explain
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import FailureRow, Ledger
from mediafm_core.store.pointer import read_pointer


def read_state(home: Home, titles: Collection[str] | None = None) -> State:
    """The catalogue and what exists of it, as the ledger has them now.

    Args:
        home: the home.
        titles: only these, and nothing is read of any other title, but of those that a head which is still to be fitted
            will read. Such a state serves for the steps of these titles; no snapshot and no release follows from it.

    Raises:
        HomeError: the home has not been initialised with its instruments.
    """
    as_of = home.ledger.as_of()  # first: what is committed while we read may or may not be in the state
    state = read_declared(home)
    if titles is None:
        return _with_stock(home, replace(state, titles=_active(home.ledger, state, None), as_of=as_of))
    some = replace(state, titles=_active(home.ledger, state, {*titles, *titles_of_new_heads(state)}))
    return _with_stock(home, some, _places(some))


def read_declared(home: Home) -> State:
    """All that is declared, but the titles; what exists of it is not read.

    Raises:
        HomeError: the home has not been initialised with its instruments.
    """
    ledger = home.ledger
    instruments = {name: Instrument.from_json(body) for name, body in ledger.declared("instrument").items()}
    if not {"detector", "recogniser"} <= instruments.keys():
        raise HomeError(
            f"home {str(home.root)!r}",
            found="no declared shot detector and speech recogniser",
            expected="an initialised home",
            next_step="Run `mediafm init`.",
        )
    declared, retired = ledger.declared("encoder"), ledger.declared(RETIRED)
    suites, retired_suites = ledger.declared("suite"), ledger.declared(RETIRED_SUITE)
    withdrawn = ledger.declared(WITHDRAWN)
    live = ledger.declared_one("production", "encoder") or {}
    return State(
        detector=instruments["detector"],
        recogniser=instruments["recogniser"],
        withdrawn=frozenset(TitleId(title) for title, body in withdrawn.items() if body),
        suites=tuple(Suite.from_json(body) for name, body in suites.items() if not retired_suites.get(name)),
        encoders=tuple(EncoderSpec.from_json(body) for name, body in declared.items() if name not in retired),
        retired=tuple(EncoderSpec.from_json(body) for name, body in declared.items() if name in retired),
        labels={task: FrozenLabels.from_json(body) for task, body in ledger.declared("labels").items()},
        training={
            (t.encoder, t.task): t
            for t in (TrainingSet.from_json(body) for body in ledger.declared(TRAINING).values() if body)
        },
        ablations={n: AblationWish.from_json(body) for n, body in ledger.declared("ablation").items() if body},
        canaries={suite: CanarySet.from_json(body) for suite, body in ledger.declared("canaries").items()},
        production=live.get("name"),
        release=Release.from_json(live["release"]) if live.get("release") else None,
        floors={task: body["value"] for task, body in ledger.declared("floor").items() if body},
    )


def _active(ledger: Ledger, state: State, names: Collection[str] | None) -> dict[TitleId, Title]:
    titles = ((TitleId(name), body) for name, body in ledger.declared("title", names).items())
    return {title: Title.from_json(body) for title, body in titles if title not in state.withdrawn}


def _places(state: State) -> Mapping[str, list[str]]:
    """Where the artifacts lie that have to do with the titles of a state: partitions by kind."""
    values = {
        "title": list(state.titles),
        "suite": [suite.id for suite in state.suites],
        "encoder": [encoder.name for encoder in state.encoders],
        "task": list(state.labels),
    }
    found = {}
    for kind in KINDS.values():
        if kind.axes:
            rows = product(*(values[axis] for axis in kind.axes))
            found[kind.name] = [join_partition(**dict(zip(kind.axes, row, strict=True))) for row in rows]
    return found


def ask_for_suite(home: Home, suite: Suite) -> None:
    """Declare a suite; one that was retired is active again."""
    home.declare("suite", suite.id, asdict(suite))
    if home.ledger.declared_one(RETIRED_SUITE, suite.id):
        home.declare(RETIRED_SUITE, suite.id, {})


def _with_stock(home: Home, state: State, places: Mapping[str, Collection[str]] | None = None) -> State:
    """The state with what exists in these places, or everywhere."""
    committed = home.ledger.committed_in_order(places)
    pointer = read_pointer(home.objects)
    return replace(
        state,
        committed=frozenset(committed),
        standing=standing_of(committed),
        parked=frozenset(key for key, failure in home.ledger.failures().items() if failure.parked),
        scored=partial(_scored, home),
        embedded=partial(_embedded, home),
        published=pointer.snapshot if pointer else None,
    )


def _scored(home: Home, partition: str) -> tuple[Scored, ...]:
    rows = reversed(home.ledger.history("predictions", partition))
    return tuple(scored_by(row.key, row.manifest.inputs) for row in rows)


def _embedded(home: Home, partition: str) -> tuple[Embedded, ...]:
    rows = reversed(home.ledger.history("contextual_embeddings", partition))
    return tuple(Embedded(row.key, lineage_of(row.manifest.ingredients, row.manifest.inputs)) for row in rows)


def explained_plan(home: Home, state: State) -> Plan:
    """The plan for a state, with the reason of each step found in the ledger."""
    return with_history(home, state, plan(state))


def title_plan(home: Home, title: str) -> Plan:
    """What can be made of one title now, each step with its reason. Of other titles it reads what `read_state` says.

    Blocked are its steps that are parked, and those that wait for parked steps or for what is of no title, such as an
    encoder that is not trained yet.

    Raises:
        PlanError: there is no such title.
    """
    state = read_state(home, [title])
    check_place(state, "deliveries", title)
    found = plan(state)
    now = [step for step in for_titles(found.steps, state, {title}) if step.title == title]
    later = [step for step in (*found.steps, *found.blocked) if step.title == title and step not in now]
    return with_history(home, state, Plan(tuple(now), tuple(later)))


def with_history(home: Home, state: State, found: Plan) -> Plan:
    """The same plan, each step with its reason."""
    return found._replace(steps=tuple(with_reasons(found.steps, earlier(home, state, found.steps))))


def earlier(home: Home, state: State, steps: Iterable[Step]) -> Earlier:
    """What the artifacts that stand in the partitions of these steps were made from."""
    places = {(step.key.kind, step.key.partition) for step in steps}
    standing = [ArtifactKey(*place, state.standing[place]) for place in places if place in state.standing]
    rows = home.ledger.rows(standing).values()
    return {(row.key.kind, row.key.partition): row.manifest.ingredients for row in rows}


class Told(NamedTuple):
    """How it stands with one step, with what the ledger says of it."""

    explained: Explained
    since: float | None  # seconds since the epoch, of the artifact that is there
    seconds: float | None  # that making it took
    attempts: int  # that failed
    error: str  # of the last one


def explain_step(home: Home, kind: str, partition: str) -> list[Told]:
    """Why a step is planned, waits, is there, or is not asked for; a title's step from what `read_state` reads for it.

    Raises:
        PlanError: there is no such asset, or the partition names what is not in the catalogue.
    """
    title = split_partition(kind, partition).get("title")
    state = read_state(home, None if title is None else [title])
    last = home.ledger.latest(kind, partition)
    told = explain(state, kind, partition, last.manifest.ingredients if last else None)
    failures = home.ledger.failures()
    return [_told(each, home.ledger, failures) for each in told]


def _told(explained: Explained, ledger: Ledger, failures: Mapping[ArtifactKey, FailureRow]) -> Told:
    row = ledger.artifact(explained.key) if explained.key else None
    failed = failures.get(explained.key) if explained.key else None
    made = row.manifest if row else None
    return Told(
        explained,
        made.made_at if made else None,
        made.seconds if made else None,
        failed.attempts if failed else 0,
        failed.message if failed else "",
    )


def cost_of(home: Home, steps: Iterable[Step]) -> Cost:
    """What these steps will take, by the last ones of each kind that were made in this home."""
    planned = list(steps)
    titles = {step.title for step in planned if step.title}
    return cost(planned, partial(_past, home.ledger), _shots_of(home.ledger, titles))


_N_PAST = 200  # artifacts of a kind that an estimate rests on, the last ones


def _past(ledger: Ledger, kind: str) -> list[Past]:
    made = [row.manifest for row in ledger.last(kind, _N_PAST)]
    return [Past(each.seconds, each.facts.get("n_shots")) for each in made]


def _shots_of(ledger: Ledger, titles: Collection[TitleId]) -> dict[TitleId, int]:
    """The shots of the titles whose shots were ever found, by the last ones."""
    rows = ledger.rows(ledger.committed_in_order({"shots": titles}))
    return {TitleId(key.partition): row.manifest.facts["n_shots"] for key, row in rows.items()}
