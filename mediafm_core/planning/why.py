"""Why one step is planned, waits, or is not there: what it is made from, and what the last artifact was made from."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from mediafm_core.catalogue.kinds import ArtifactKey, split_partition
from mediafm_core.errors import PlanError
from mediafm_core.identity import canonical_json
from mediafm_core.planning.desired import Desired, desired, release
from mediafm_core.planning.parking import held_up
from mediafm_core.planning.plan import snapshot_step
from mediafm_core.planning.state import State, Step

_SHOWN_CHARS = 40


class Standing(StrEnum):
    """How it stands with a step."""

    THERE = "there"  # committed
    PLANNED = "planned"
    PARKED = "parked"  # after failing; not tried again as it is
    BLOCKED = "blocked"  # behind a parked one
    ON_REQUEST = "on request"  # planned for nobody: somebody asks for it
    NOT_ASKED = "not asked for"  # the catalogue has no such step


class Ingredient(NamedTuple):
    """One thing that an artifact is made from, now and last time."""

    name: str
    now: str | None  # None where the step is made from it no longer
    before: str | None  # None where the last artifact was not made from it, or there was none

    @property
    def verdict(self) -> str:
        """What became of it, in a word."""
        if self.before is None:
            return "new"
        return "same" if self.now == self.before else "gone" if self.now is None else "changed"


class Explained(NamedTuple):
    """One step; a partition of predictions may have two, one by the heads of today and one by those that are live."""

    key: ArtifactKey | None  # None where nothing is asked for
    standing: Standing
    ingredients: tuple[Ingredient, ...] = ()
    waits_for: tuple[ArtifactKey, ...] = ()  # inputs that are not there; of a blocked step, the parked ones behind it
    because: str = ""  # why nothing is asked for


def explain(state: State, kind: str, partition: str, before: Mapping[str, Any] | None = None) -> list[Explained]:
    """How it stands with the steps of one partition.

    Args:
        state: of the catalogue, or of the partition's title alone.
        kind: the asset.
        partition: its key; empty for an asset without partitions.
        before: what the artifact that was committed there last was made from.

    Raises:
        PlanError: there is no such asset, or the partition names what is not in the catalogue.
    """
    check_place(state, kind, partition)
    wanted = desired(state)
    steps = _steps(state, wanted, kind, partition)
    if not steps:
        return [Explained(None, Standing.NOT_ASKED, because=_NOT_ASKED[kind])]
    held = held_up(state, wanted.steps())
    return [_explained(state, wanted, step, held, before or {}) for step in steps]


def check_place(state: State, kind: str, partition: str) -> None:
    """Check that an asset exists and that what a partition names is in the catalogue.

    Raises:
        PlanError: it does not, or is not.
    """
    known = {
        "title": state.titles,
        "suite": [suite.id for suite in state.suites],
        "encoder": [encoder.name for encoder in state.encoders],
        "task": state.labels,
    }
    for axis, value in split_partition(kind, partition).items():
        if value not in known[axis]:
            names = "a title of the catalogue" if axis == "title" else f"one of {', '.join(known[axis]) or 'none'}"
            raise PlanError(
                f"partition {partition!r} of {kind}",
                found=f"no {axis} {value!r}" + (" with labels" if axis == "task" else ""),
                expected=names,
                next_step="Look at `mediafm status` and `mediafm titles`.",
            )


def _steps(state: State, wanted: Desired, kind: str, partition: str) -> list[Step]:
    if kind == "snapshot":
        held = held_up(state, wanted.steps())
        will_be_made = {step.key for step in wanted.steps()} - held
        due = snapshot_step(state, wanted, will_be_made=will_be_made)
        return [due] if due else []
    if kind == "release":
        steps = wanted.encoders[partition]
        return [release(steps, state.release, state.floors)] if steps.report else []
    return [step for step in wanted.steps() if (step.key.kind, step.key.partition) == (kind, partition)]


def _explained(
    state: State, wanted: Desired, step: Step, held: set[ArtifactKey], before: Mapping[str, Any]
) -> Explained:
    absent = tuple(key for key in step.reads if key not in state.committed)
    names = [*step.ingredients, *(name for name in before if name not in step.ingredients)]
    ingredients = tuple(Ingredient(name, _said(step.ingredients, name), _said(before, name)) for name in names)
    if step.key in state.committed:
        return Explained(step.key, Standing.THERE, ingredients)
    if step.key in state.parked:
        return Explained(step.key, Standing.PARKED, ingredients)
    if step.key in held or any(key in held for key in absent):
        return Explained(step.key, Standing.BLOCKED, ingredients, _parked_behind(state, wanted, step))
    planned = Standing.ON_REQUEST if step.key.kind == "release" else Standing.PLANNED
    return Explained(step.key, planned, ingredients, absent)


def _parked_behind(state: State, wanted: Desired, step: Step) -> tuple[ArtifactKey, ...]:
    reads = {each.key: each.reads for each in wanted.steps() if each.key not in state.committed}
    behind, left = [], list(step.reads)
    seen = set(left)
    while left:
        key = left.pop()
        behind += [key] if key in state.parked and key not in state.committed else []
        new = [up for up in reads.get(key, ()) if up not in seen]
        seen.update(new)
        left += new
    return tuple(behind)


def _said(ingredients: Mapping[str, Any], name: str) -> str | None:
    if name not in ingredients:
        return None
    value = ingredients[name]
    return value if isinstance(value, str) else canonical_json(value)


def shortened(text: str | None) -> str:
    """An ingredient as a table has room for it: the beginning of a hash, or of a long value."""
    if text is None:
        return ""
    return text if len(text) <= _SHOWN_CHARS else f"{text[:12]}…"


_NOT_ASKED: Mapping[str, str] = {
    "thumbnails": "the title was delivered without media",
    "timed_text": "the title was delivered without media",
    **dict.fromkeys(
        ("video_embeddings", "audio_embeddings", "text_embeddings"),
        "the title was delivered without media, or its embeddings came with it",
    ),
    **dict.fromkeys(
        ("metadata_embedding", "fused_embeddings"),
        "the title was delivered without media, or with embeddings of another suite",
    ),
    "contextual_embeddings": "the title has no embeddings of the encoder's suite",
    "probe_heads": "no labelled title of the task has embeddings of the encoder's suite",
    "predictions": "the title has no embeddings of the encoder's suite, or the encoder has no heads",
    "probe_report": "no task has labels of titles with embeddings of the encoder's suite",
    "ablation_report": "nobody asked for it, or the encoder has no heads: `mediafm encoder ablate`",
    "canaries": "the suite is not watched yet, or its embeddings were made elsewhere",
    "release": "the encoder has no heads to be judged by",
    "snapshot": "no encoder is in production, or no title is complete yet",
}
"""Why a kind may have no step in a partition that could have one; the others always have one."""
