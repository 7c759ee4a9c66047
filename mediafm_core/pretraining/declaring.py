"""Asking for a new encoder: its corpus is frozen here, so a title that comes later makes no encoder stale."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from mediafm_core.catalogue.declared import CorpusMember, EncoderSpec
from mediafm_core.catalogue.suite import Suite
from mediafm_core.errors import PlanError, TrainingError
from mediafm_core.identity import name_id
from mediafm_core.planning.desired import desired
from mediafm_core.planning.state import State
from mediafm_core.pretraining.changes import changed
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.pretraining.recipes import command_of
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home


def declare_encoder(
    home: Home,
    name: str,
    *,
    preset: str,
    seed: int,
    size: str = "tiny",
    of_suite: str | None = None,
    changes: Iterable[str] = (),
) -> EncoderSpec:
    """Declare an encoder over every title that is fused now; the first one of a home is what readers see.

    Args:
        home: an open home.
        name: a new one.
        preset: of the model, the objective and the trainer.
        seed: of the weights, the masks and the data.
        size: of the model.
        of_suite: its id; by default the one that most titles are fused by, the oldest of equals.
        changes: of single fields of the preset, such as `trainer.steps=200`.

    Raises:
        IdentityError: the name cannot be one.
        PlanError: the name is taken, or there is no such suite.
        TrainingError: there is no such preset, a field cannot be changed so, or no title is fused yet.
        DimensionError: there is no such size, or a field of the model cannot be changed so.
    """
    state = read_state(home)
    _require_new(state, name)
    suites = [suite for suite in state.suites if of_suite in (None, suite.id)]
    if not suites:
        raise PlanError(
            f"suite {of_suite!r}",
            found="no such suite",
            expected=f"one of {', '.join(suite.id for suite in state.suites)}",
            next_step="Check the name.",
        )
    corpora = {suite.id: fused_now(state, suite) for suite in suites}
    suite = max(suites, key=lambda suite: len(corpora[suite.id]))  # the one that the catalogue is embedded by
    if not corpora[suite.id]:
        raise TrainingError(
            "pre-training corpus",
            found="no title with fused embeddings",
            expected="at least one",
            next_step="Ingest titles and run `mediafm apply` first.",
        )
    spec = EncoderSpec(
        name=name_id(name, "encoder"),
        suite=suite.id,
        corpus=corpora[suite.id],
        config=_config_for(suite, preset, size, changes),
        seed=seed,
    )
    home.declare("encoder", name, asdict(spec))
    if state.production is None and not state.labels:  # with tasks an encoder has to pass the gate
        home.declare("production", "encoder", {"name": name})
    return spec


def _require_new(state: State, name: str) -> None:
    """Check that no encoder has this name; one that is not trained yet is told by the command that goes on with it."""
    taken = next((encoder for encoder in (*state.encoders, *state.retired) if encoder.name == name), None)
    if taken is None:
        return
    found, next_step = "an encoder of this name", "Choose another name; `mediafm encoder list` shows those that exist."
    if taken in state.retired:
        found = "a retired encoder of this name"
    elif desired(state).encoders[name].trained.key not in state.committed:
        found = f"an encoder of this name that was declared otherwise over suite {taken.suite} and is not trained yet"
        next_step = f"Go on with it by `{command_of(taken)}`, or give it up by `mediafm encoder retire {name}`."
    raise PlanError(
        f"encoder {name!r}", found=found, expected="a new name: an encoder never changes", next_step=next_step
    )


def is_cut_off(
    home: Home,
    name: str,
    *,
    preset: str,
    seed: int,
    size: str = "tiny",
    of_suite: str | None = None,
    changes: Iterable[str] = (),
) -> bool:
    """Whether just this encoder was declared before and is not trained yet, so that its training can go on.

    Raises:
        TrainingError: there is no such preset, or a field cannot be changed so.
        DimensionError: there is no such size, or a field of the model cannot be changed so.
    """
    state = read_state(home)
    spec = next((encoder for encoder in state.encoders if encoder.name == name), None)
    if (
        spec is None
        or of_suite not in (None, spec.suite)
        or desired(state).encoders[name].trained.key in state.committed
    ):
        return False
    suite = next(suite for suite in state.suites if suite.id == spec.suite)
    return spec.seed == seed and changed(spec.config, ()) == _config_for(suite, preset, size, changes)


def _config_for(suite: Suite, preset: str, size: str, changes: Iterable[str]) -> dict[str, Any]:
    dims = (suite.video.dims, suite.audio.dims, suite.text.dims)
    return preset_config(preset, modality_dims=dims, metadata_dims=suite.text.dims, size=size, changes=changes)


def fused_now(state: State, suite: Suite) -> tuple[CorpusMember, ...]:
    """What a new corpus of a suite holds: active titles alone, each with what exists of its current delivery.

    That a title's embeddings are still in the store brings it into no corpus.
    """
    members = []
    for title, chain in desired(state).chains.items():
        keys = {step.key.kind: step.key for step in chain if step.axes.get("suite") == suite.id}
        fused, metadata = keys.get("fused_embeddings"), keys.get("metadata_embedding")
        if fused and metadata and {fused, metadata} <= state.committed:
            members.append(CorpusMember(title=title, fused=fused.fingerprint, metadata=metadata.fingerprint))
    return tuple(members)


def is_new_to_learn(state: State) -> bool:
    """Whether some suite's corpus of today is that of no encoder yet."""
    known = {spec.corpus for spec in (*state.encoders, *state.retired)}
    corpora = (fused_now(state, suite) for suite in state.suites)
    return any(corpus and corpus not in known for corpus in corpora)
