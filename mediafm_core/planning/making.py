"""A step from what it is made from. They are hashed by the hundred thousand: here is where the time of a plan goes."""

import gc
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from mediafm_core.catalogue.kinds import KINDS, UNPARTITIONED, ArtifactKey, join_partition
from mediafm_core.catalogue.title import LATER
from mediafm_core.identity import canonical_json, fingerprint
from mediafm_core.planning.state import Step


def made_step(kind: str, axes: Mapping[str, str], ingredients: Mapping[str, object], **inputs: ArtifactKey) -> Step:
    """The step of a kind in a partition.

    Args:
        kind: of the artifact.
        axes: the parts of its partition.
        ingredients: what it is made from beside other artifacts, as JSON values.
        inputs: the artifacts that it reads, by role.
    """
    read = {role: key.fingerprint for role, key in inputs.items()}
    made_from = {"code": code_version(kind), **ingredients, **read}
    partition = join_partition(**axes) if axes else UNPARTITIONED
    return Step(ArtifactKey(kind, partition, fingerprint(kind, made_from)), made_from, inputs)


def code_version(kind: str) -> int:
    """That of a kind's code."""
    return KINDS[kind].code_version


def hash_of(value: object) -> str:
    """The sha256 of a JSON value: stands for it where it is long."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def plain(value: Any) -> Any:
    """What `dataclasses.asdict` makes of a record, without the copying that makes that slow.

    What is `LATER` and empty is left out: a record that says nothing new is hashed as it always was.
    """
    if is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name))
            for field in fields(value)
            if LATER not in field.metadata or getattr(value, field.name) not in ("", None, ())
        }
    return [plain(each) for each in value] if isinstance(value, tuple) else value


@contextmanager
def uncollected() -> Iterator[None]:
    """Without passes of the garbage collector.

    A plan makes a million small objects, keeps them all and makes no cycle: passes over them would be in vain, and they
    are why ten times the titles took more than ten times as long.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
