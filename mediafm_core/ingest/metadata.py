"""title.json: what a title is called, what it is about, and whose it is."""

import json
from pathlib import Path
from typing import Any

from mediafm_core.catalogue import Metadata
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
}


def read_metadata(path: Path) -> Metadata:
    """Read and check a title.json.

    Raises:
        MetadataError: it is no JSON object, lacks a name, has an unknown field or one of another type.
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
    if not all(isinstance(tag, str) for tag in record.get("tags", [])):
        raise _wrong(path, "a tag that is no string", "a list of strings")
    return record


def _wrong(path: Path, found: str, expected: str) -> MetadataError:
    return MetadataError(f"metadata {path.name!r}", found=found, expected=expected, next_step="See docs/delivery.md.")
