"""title.json: what a title is called, what it is about, and whose it is."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mediafm_core.catalogue.title import Metadata
from mediafm_core.errors import MetadataError

_MAX_BYTES = 1 << 20
_TYPES: dict[str, type] = {
    "name": str,
    "synopsis": str,
    "tags": list,
    "year": int,
    "attribution": str,
    "licence": str,
    "source": str,
    "series": str,
    "season": int,
    "episode": int,
    "genres": list,
    "cast": list,
    "reviews": list,
}
_MAX_CHARACTERS = 200  # of a name, be it of a series, a genre or a person
_MAX_REVIEW = 20_000  # characters
_MAX_ENTRIES = 500  # of a list
_MAX_DEPTH = 8  # names in a path of genres


def _is_name(text: str) -> bool:
    return 0 < len(text.strip()) <= _MAX_CHARACTERS


def _is_genre(text: str) -> bool:
    names = text.split("/")
    return len(names) <= _MAX_DEPTH and len(text) <= _MAX_CHARACTERS and all(name.strip() for name in names)


_NAME = f"of 1 to {_MAX_CHARACTERS} characters"
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "series": (_is_name, f"a name {_NAME}"),
    "season": (lambda number: 0 <= number < 10_000, "a whole number from 0 to 9999"),
    "episode": (lambda number: 0 <= number < 100_000, "a whole number from 0 to 99999"),
    "genres": (_is_genre, f"paths such as 'drama/courtroom', {_NAME} and at most {_MAX_DEPTH} names, none blank"),
    "cast": (_is_name, f"names {_NAME}"),
    "reviews": (lambda text: 0 < len(text.strip()) <= _MAX_REVIEW, f"texts of 1 to {_MAX_REVIEW} characters"),
}
"""What holds of a field's value, or of each entry where it is a list, beyond its type."""


def read_metadata(path: Path) -> Metadata:
    """Read and check a title.json.

    Raises:
        MetadataError: it is no JSON object, lacks a name, has an unknown field, one of another type, or one whose value
            breaks a rule of docs/delivery.md.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise _wrong(path, f"{path.stat().st_size} bytes", f"at most {_MAX_BYTES}")
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
        json.dumps(record, ensure_ascii=False).encode()  # half a surrogate pair is JSON, and no text
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"no JSON ({error})", "a JSON object in UTF-8") from error
    return Metadata.from_json(_checked(path, record))


def _checked(path: Path, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict) or not str(record.get("name", "")).strip():
        raise _wrong(path, "no name", 'an object with at least {"name": "…"}')
    for field, value in record.items():
        if field not in _TYPES:
            raise _wrong(path, f"the field {field!r}", f"only {', '.join(_TYPES)}")
        if not isinstance(value, _TYPES[field]) or isinstance(value, bool):
            raise _wrong(path, f"{field} of type {type(value).__name__}", f"a {_TYPES[field].__name__}")
        _check_value(path, field, value)
    if not record.keys().isdisjoint({"season", "episode"}) and "series" not in record:
        raise _wrong(path, "season or episode without series", "the series that it is of")
    return record


def _check_value(path: Path, field: str, value: Any) -> None:
    entries = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not all(isinstance(entry, str) for entry in entries):
        raise _wrong(path, f"an entry of {field} that is no string", "a list of strings")
    if field not in _RULES:
        return
    holds, expected = _RULES[field]
    if len(entries) > _MAX_ENTRIES:
        raise _wrong(path, f"{len(entries)} entries of {field}", f"at most {_MAX_ENTRIES}")
    for entry in entries:
        if not holds(entry):
            raise _wrong(path, f"{field} {str(entry)[:40]!r}", expected)


def _wrong(path: Path, found: str, expected: str) -> MetadataError:
    return MetadataError(f"metadata {path.name!r}", found=found, expected=expected, next_step="See docs/delivery.md.")
