"""What an artifact says about itself, inside its own bytes: from these alone the ledger can be made again."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.errors import ArtifactError
from mediafm_core.identity import canonical_json

_KEY = "mediafm.artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The self-description of one artifact."""

    key: ArtifactKey
    ingredients: Mapping[str, Any]  # all that the fingerprint hashes, by name
    inputs: Mapping[str, ArtifactKey]  # the artifacts it was made from, by role
    facts: Mapping[str, Any] = field(default_factory=dict)  # counts, durations: shown, never decided upon
    seconds: float = 0.0  # how long it took to make
    provenance: Mapping[str, str] = field(default_factory=dict)  # library versions
    made_at: float = 0.0  # seconds since the epoch

    def to_json(self) -> str:
        """One line of JSON."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        record = json.loads(text)
        record["key"] = ArtifactKey(*record["key"])
        record["inputs"] = {role: ArtifactKey(*key) for role, key in record["inputs"].items()}
        return cls(**record)


Payload = pa.Table | bytes | Mapping[str, Any]
"""What an artifact holds: a table, safetensors bytes, or a JSON document, as its kind says."""


def serialise(payload: Payload, manifest: Manifest) -> bytes:
    """The bytes of an artifact with its manifest inside."""
    match KINDS[manifest.key.kind].suffix, payload:
        case ".parquet", pa.Table():
            return _parquet_bytes(payload, manifest)
        case ".safetensors", bytes():
            return _with_safetensors_entry(payload, manifest.to_json())
        case ".json", Mapping():
            return canonical_json({_KEY: json.loads(manifest.to_json()), "document": payload}).encode()
    raise AssertionError(f"{manifest.key.kind} cannot hold a {type(payload).__name__}")


def _parquet_bytes(table: pa.Table, manifest: Manifest) -> bytes:
    metadata = {**(table.schema.metadata or {}), _KEY.encode(): manifest.to_json().encode()}
    sink = BytesIO()
    # vectors do not compress and dictionaries only slow them down
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="none", use_dictionary=False)
    return sink.getvalue()


def read_manifest(path: str, data: bytes) -> Manifest:
    """The manifest inside an artifact's bytes.

    Raises:
        ArtifactError: the bytes are not a whole artifact.
    """
    try:
        if path.endswith(".parquet"):
            return manifest_of(pq.read_schema(BytesIO(data)))
        if path.endswith(".safetensors"):
            text = _safetensors_header(data)["__metadata__"][_KEY]
        else:
            text = canonical_json(json.loads(data)[_KEY])
        return Manifest.from_json(text)
    except (pa.ArrowException, OSError, struct.error, ValueError, LookupError, TypeError, AttributeError) as unreadable:
        raise ArtifactError(
            f"object {path!r}",
            found=f"{len(data)} bytes without a readable manifest",
            expected="an artifact that was written by MediaFM",
            next_step="Delete the file, then run `mediafm rebuild` and `mediafm apply`: what is missing is made again.",
        ) from unreadable


def manifest_of(schema: pa.Schema) -> Manifest:
    """The manifest inside an artifact that was read as a table."""
    return Manifest.from_json((schema.metadata or {})[_KEY.encode()].decode())


def manifest_within(data: bytes) -> Manifest | None:
    """The manifest inside safetensors bytes; None where they were not committed."""
    text = _safetensors_header(data).get("__metadata__", {}).get(_KEY)
    return Manifest.from_json(text) if text else None


def read_table(data: bytes) -> pa.Table:
    """The table inside the bytes of a Parquet artifact: whole, in this thread, its numbers where they lie in `data`."""
    return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)


def read_document(data: bytes) -> Any:
    """The JSON document of an artifact of a `.json` kind."""
    return json.loads(data)["document"]


# The safetensors layout: 8 bytes little-endian header length, a JSON header, the tensors' bytes.


def _safetensors_header(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    if len(data) != 8 + length + end:
        raise ValueError(f"{len(data)} bytes of {8 + length + end}")
    return header


def _with_safetensors_entry(data: bytes, text: str) -> bytes:
    (length,) = struct.unpack_from("<Q", data)
    header = _safetensors_header(data)
    header.setdefault("__metadata__", {})[_KEY] = text
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # tensors stay aligned
    return struct.pack("<Q", len(encoded)) + encoded + data[8 + length :]
