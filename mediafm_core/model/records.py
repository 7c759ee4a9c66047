"""Configurations as the plain JSON that records and checkpoints keep, and back.

A record outlives the code that wrote it. So a field that is added later has a default under which an encoder is what it
was before, and a record that lacks the field reads as that default; a field that is not known is refused.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

_Config = TypeVar("_Config")

Require = Callable[[bool, str, object, str], None]
"""Raises the caller's error unless the first argument holds; then come the field, what was found, what was expected."""


def to_record(config: object) -> dict[str, Any]:
    """Plain JSON values of a dataclass, all fields spelled out."""
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config)}  # pyright: ignore[reportArgumentType]


def _plain(value: object) -> object:
    if is_dataclass(value):
        return to_record(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, StrEnum) else value


def from_record(kind: type[_Config], record: Mapping[str, Any], require: Require) -> _Config:
    """Read what `to_record` wrote of a dataclass whose fields are numbers, enumerations and tuples of numbers."""
    known = {f.name: f for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    needed = {name for name, f in known.items() if f.default is MISSING}
    expected = f"{sorted(needed)} and any of {sorted(set(known) - needed)}"
    require(needed <= set(record) <= set(known), "fields", sorted(record), expected)
    return kind(**{name: _read(name, known[name].type, value, require) for name, value in record.items()})


def _read(name: str, kind: Any, value: Any, require: Require) -> Any:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        require(value in tuple(kind), name, value, f"one of {', '.join(kind)}")
        return kind(value)
    if kind is int or kind is float:
        require(_is_number(value, kind), name, value, "a whole number" if kind is int else "a finite number")
        return value
    sound = isinstance(value, list | tuple) and all(_is_number(each, int) for each in value)
    require(sound, name, value, "a list of whole numbers")
    return tuple(value)


def _is_number(value: object, kind: type) -> bool:
    """Whether a JSON value is one; true and false are none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind is float and isinstance(value, float) and math.isfinite(value))
