"""The stage of the canaries: the reference is an artifact, made once; whenever the stage runs it also measures."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import pyarrow.parquet as pq

from mediafm_core.catalogue.declared import Release
from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.devices import DeviceOf, on_cpu
from mediafm_core.drift.asking import PayerOf, encoders_of, nobody
from mediafm_core.drift.canaries import Canary, from_bytes, of_modality
from mediafm_core.drift.history import Measurement, accepted_noise, history, record
from mediafm_core.drift.limits import Limits, limits_from
from mediafm_core.drift.machine import SettingsOf, machine, untold
from mediafm_core.drift.reference import EncoderOf, Reference, Vectors, embed, from_table, to_table
from mediafm_core.drift.scores import frozen_scores, scored
from mediafm_core.drift.statistics import Movement, Shift, distances, head_shift, movement
from mediafm_core.drift.verdicts import Finding, modality_finding, scores_finding
from mediafm_core.encoders.suites import libraries_of
from mediafm_core.planning.state import State, Step
from mediafm_core.store.home import Home, now, provenance
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.workbench import Bench, Draft


def make_reference(
    bench: Bench,
    step: Step,
    payer: PayerOf = nobody,
    encoder_of: EncoderOf | None = None,
    settings: SettingsOf = untold,
) -> Draft:
    """The vectors that later measurements are held against.

    Inputs that were embedded under the same acceptance keep their vectors: to add a canary accepts no movement.

    Args:
        bench: what a maker works with.
        step: of a suite.
        payer: who pays, asked for only where an encoder stands behind an API.
        encoder_of: other encoders than the suite's own, for tests.
        settings: what was chosen for the engines; it is kept beside the vectors.
    """
    asked = encoder_of or encoders_of(bench.home, payer)
    reference = embed(bench.suite(step), inputs(bench, step), asked, _known(bench, step))
    counts = {f"n_{modality.value}": len(embedded.digests) for modality, embedded in reference.items()}
    facts = {**counts, "accepted": step.ingredients["accepted"], **machine(settings)}
    return Draft(to_table(reference), facts, _libraries(bench.suite(step)))


def _known(bench: Bench, step: Step) -> Reference | None:
    rows = _since_acceptance(bench.home, step)
    return _read(bench.home, rows[-1].key) if rows else None


def _since_acceptance(home: Home, step: Step) -> list[ArtifactRow]:
    """The references of a step's suite under its acceptance, oldest first."""
    rows = [row for row in home.ledger.artifacts("canaries") if row.key.partition == step.key.partition]
    return [row for row in rows if row.manifest.ingredients["accepted"] == step.ingredients["accepted"]]


def _read(home: Home, key: ArtifactKey) -> Reference:
    return from_table(pq.read_table(BytesIO(home.read(key))))


def inputs(bench: Bench, step: Step) -> tuple[Canary, ...]:
    """All canaries of a step's suite; first those that were made."""
    return tuple(c for table in bench.state.canaries[step.axes["suite"]].tables for c in _table(bench.home, table))


def _table(home: Home, sha256: str) -> tuple[Canary, ...]:
    return from_bytes(home.blobs.path(sha256).read_bytes())


class _Pair(NamedTuple):
    """One modality's canaries, row for row."""

    before: Vectors  # (n, D), of the reference
    now: Vectors  # (n, D)


_Pairs = Mapping[Modality, _Pair]


def measure(
    bench: Bench,
    step: Step,
    payer: PayerOf = nobody,
    encoder_of: EncoderOf | None = None,
    device: DeviceOf = on_cpu,
    settings: SettingsOf = untold,
) -> None:
    """Embed the canaries again, hold them against the reference, and append what was found to the history.

    Arguments as in `make_reference`; and where the MediaFM encoder reads.

    Raises:
        DimensionError: an encoder gives another width, or numbers that are not finite.
    """
    home, suite = bench.home, bench.suite(step)
    reference, again = _read(home, step.key), embed(suite, inputs(bench, step), encoder_of or encoders_of(home, payer))
    pairs = {m: _Pair(was.rows(again[m].digests), again[m].vectors) for m, was in reference.items()}
    accepted = int(str(step.ingredients["accepted"]))
    measured, around = history(home, suite.id), machine(settings)
    movements = {modality: movement(*pair) for modality, pair in pairs.items()}
    earlier = {m: _since(measured, accepted, m) for m in pairs}
    noise = {m: accepted_noise(measured, m, accepted) for m in pairs}
    limits = {m: limits_from(earlier[m], is_remote=suite.spec(m).is_remote, noise=noise[m]) for m in pairs}
    release = live_on(bench.state, suite)
    shifts = _shifts(bench, step, release, pairs, device) if release else {}
    found = [_finding(m, pair, limits[m], earlier[m]) for m, pair in pairs.items()]
    found += [scores_finding(task, shift) for task, shift in shifts.items()]
    measurement = Measurement(
        suite=suite.id,
        accepted=accepted,
        at=now(),
        n={modality.value: len(pair.now) for modality, pair in pairs.items()},
        provenance={**provenance(_libraries(suite)), **around},
        changed=_changed(home, step, suite, around),
        movements={modality.value: moved._asdict() for modality, moved in movements.items()},
        limits={modality.value: of.to_json() for modality, of in limits.items()},
        release=release.name if release else None,
        scores={task: shift._asdict() for task, shift in shifts.items()},
        findings=[each._asdict() for each in found if each],
    )
    record(home, measurement)


def _since(measured: Sequence[Measurement], accepted: int, modality: Modality) -> list[Movement]:
    """What a modality did since an acceptance, oldest first."""
    return [moved for each in measured if each.accepted == accepted and (moved := each.movement(modality))]


def _finding(modality: Modality, pair: _Pair, limits: Limits, earlier: Sequence[Movement]) -> Finding | None:
    found, n_moved = movement(*pair), int((distances(*pair) > limits.upper).sum())
    return modality_finding(modality.value, found, limits, n_moved, first=[*earlier, found][0])


def live_on(state: State, suite: Suite) -> Release | None:
    """The release that readers see, where it is bound to this suite and has heads."""
    release = state.release
    bound = {encoder.name for encoder in state.encoders if encoder.suite == suite.id}
    return release if release and release.heads and release.encoder in bound else None


def _shifts(bench: Bench, step: Step, release: Release, pairs: _Pairs, device: DeviceOf) -> dict[str, Shift]:
    """What the heads of the live release make of it, on clips of the canaries that were made."""
    suite, wish = bench.suite(step), bench.state.canaries[step.axes["suite"]]
    made = _table(bench.home, wish.tables[0])
    n_made = {modality: len(of_modality(made, modality)) for modality in pairs}
    before = {modality: pair.before[: n_made[modality]] for modality, pair in pairs.items()}
    now_vectors = {modality: pair.now[: n_made[modality]] for modality, pair in pairs.items()}
    was = frozen_scores(bench.home, release, suite, wish.accepted, before, device())
    again = scored(bench.home, release, suite, now_vectors, device())
    return {task: head_shift(was[task], scores, again.labels[task]) for task, scores in again.scores.items()}


def _libraries(suite: Suite) -> tuple[str, ...]:
    return tuple(sorted({name for modality in Modality for name in libraries_of(suite.spec(modality))}))


def _changed(home: Home, step: Step, suite: Suite, around: Mapping[str, str]) -> dict[str, list[str | None]]:
    """What is otherwise around than when the reference was first made: name to old and new."""
    first = _since_acceptance(home, step)[0].manifest
    told = first.facts.keys() & around.keys()  # an older version of this code told less
    was = {**first.provenance, **{name: str(first.facts[name]) for name in told}}
    found = {**provenance(_libraries(suite)), **{name: around[name] for name in told}}
    return {
        name: [was.get(name), found.get(name)] for name in sorted({*was, *found}) if was.get(name) != found.get(name)
    }
