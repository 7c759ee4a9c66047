"""Why each step of a plan is missing, in words; and many steps told in few lines."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.planning.state import Step

Earlier = Mapping[tuple[str, str], Mapping[str, Any]]
"""(kind, partition) to the ingredients of the artifact that was committed there last."""


def with_reasons(steps: Iterable[Step], earlier: Earlier) -> list[Step]:
    """The same steps, each with the reason why it is missing, in words.

    Args:
        steps: in the order of the plan.
        earlier: for partitions that had an artifact before, what that was made from.
    """
    reasons: dict[ArtifactKey, str] = {}
    explained = []
    for step in steps:
        before = earlier.get((step.key.kind, step.key.partition))
        reasons[step.key] = _reason(step, before, reasons)
        explained.append(step._replace(reason=reasons[step.key] + _without(step)))
    return explained


def _reason(step: Step, before: Mapping[str, Any] | None, reasons: Mapping[ArtifactKey, str]) -> str:
    if before is None:
        return _reason_of_title(step, reasons) or _not_yet(_subject(step))
    changed = [name for name, value in step.ingredients.items() if before.get(name) != value]
    changed += [name for name in before if name not in step.ingredients]
    for role in changed:
        upstream = step.inputs.get(role)
        if upstream and upstream in reasons:
            return reasons[upstream]
    if "code" in changed:
        return f"{step.key.kind}: code version {before.get('code')} is now {step.ingredients['code']}"
    came_or_went = [name for name in changed if (name in before) != (name in step.ingredients)]
    changed = [name for name in came_or_went if name in _INSTEAD_OF_MEDIA] or changed
    # made from just this before: only the snapshot is asked for again then, for the pointer's sake
    return (
        f"{_subject(step)}: {' and '.join(_IN_WORDS.get(name, name) for name in changed)} changed"
        if changed
        else f"{_subject(step)}: made, not yet published"
    )


_INSTEAD_OF_MEDIA = {"captions", "shot_list"}
"""Where one of these comes or goes, media and what looks at media go or come with it: that is no change of them."""
_IN_WORDS = {"members": "the titles that it is fitted on", "shot_list": "shot list"}


def _without(step: Step) -> str:
    return f", without {', '.join(step.without)}, which wait for parked steps" if step.without else ""


def _not_yet(subject: str) -> str:
    return f"{subject}: not yet computed"


def _reason_of_title(step: Step, reasons: Mapping[ArtifactKey, str]) -> str | None:
    """Why an encoder has not read a title: that it is new, where the encoder is not. None where it is otherwise.

    The title's predictions repeat what is said of its contextual embeddings.
    """
    if step.key.kind == "predictions":
        return reasons.get(step.inputs["contextual"])
    if step.key.kind != "contextual_embeddings" or step.inputs["encoder"] in reasons:
        return None
    new = _not_yet(f"title {step.title!r}")
    return new if new in {reasons.get(key) for key in step.inputs.values()} else None


def _subject(step: Step) -> str:
    axes = step.axes
    if "encoder" in axes:
        return f"encoder {axes['encoder']}"
    if "task" in axes:
        return f"task {axes['task']!r}"
    if axes.keys() == {"suite"}:
        return f"suite {axes['suite']}"
    return f"title {axes['title']!r}" if "title" in axes else "catalogue"


class Alike(NamedTuple):
    """Steps of one kind that are missing for the same reason, but for the name of a title."""

    kind: str
    reason: str  # as that of a step, with `title` in the place of each title's name
    n_steps: int


def in_groups(steps: Iterable[Step]) -> list[Alike]:
    """The reasons of a plan's steps, counted; in the order of the plan."""
    n_of = Counter((step.key.kind, _NAMED_TITLE.sub("title", step.reason)) for step in steps)
    return [Alike(kind, reason, n) for (kind, reason), n in n_of.items()]


_NAMED_TITLE = re.compile(r"^title '[^']*'")
