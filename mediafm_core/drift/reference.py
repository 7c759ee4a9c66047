"""The reference: the vectors of a suite's canaries as they were measured first, in float32, as Parquet.

A row of zeros is a canary that offers its encoder nothing. Shape letters: n inputs, D width of a modality's vectors.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm_core.catalogue.suite import Modality, Suite, UnimodalSpec
from mediafm_core.drift.canaries import Canary, of_modality
from mediafm_core.encoders.protocol import UnimodalEncoder

Vectors = NDArray[np.float32]
EncoderOf = Callable[[UnimodalSpec], UnimodalEncoder[Any]]


class Embedded(NamedTuple):
    """The canaries of one modality with their vectors."""

    digests: tuple[str, ...]  # n
    vectors: Vectors  # (n, D)

    def rows(self, digests: Sequence[str]) -> Vectors:
        """(k, D): the vectors of these canaries, which must be among them."""
        at = {digest: row for row, digest in enumerate(self.digests)}
        return self.vectors[[at[digest] for digest in digests]]


Reference = Mapping[Modality, Embedded]


def embed(
    suite: Suite, canaries: Iterable[Canary], encoder_of: EncoderOf, known: Reference | None = None
) -> dict[Modality, Embedded]:
    """Embed canaries by a suite's encoders, each content once.

    Args:
        suite: whose encoders.
        canaries: of any modality.
        encoder_of: gives an encoder for its record.
        known: vectors that are taken over, not made again.
    """
    all_of_them = tuple(canaries)
    return {
        modality: _embedded(of_modality(all_of_them, modality), suite.spec(modality), encoder_of, known)
        for modality in Modality
    }


def _embedded(
    canaries: Sequence[Canary], spec: UnimodalSpec, encoder_of: EncoderOf, known: Reference | None
) -> Embedded:
    digests = tuple(canary.digest for canary in canaries)
    taken = (known or {}).get(spec.modality)
    of = dict(zip(taken.digests, taken.vectors, strict=True)) if taken else {}
    new = [canary for canary, digest in zip(canaries, digests, strict=True) if digest not in of]
    if new:
        made = encoder_of(spec).encode([canary.value for canary in new])
        of |= dict(zip((canary.digest for canary in new), made, strict=True))
    rows = [of[digest] for digest in digests]
    return Embedded(digests, np.stack(rows) if rows else np.zeros((0, spec.dims), np.float32))


def to_table(reference: Reference) -> pa.Table:
    """A row for each canary: modality, digest, vector (float32, little-endian)."""
    rows = [
        {"modality": modality.value, "digest": digest, "vector": vector.astype("<f4").tobytes()}
        for modality, embedded in reference.items()
        for digest, vector in zip(embedded.digests, embedded.vectors, strict=True)
    ]
    fields = [("modality", pa.string()), ("digest", pa.string()), ("vector", pa.binary())]
    return pa.Table.from_pylist(rows, pa.schema(fields))


def from_table(table: pa.Table) -> dict[Modality, Embedded]:
    """Read what `to_table` wrote; a modality without canaries is not in it."""
    found: dict[Modality, list[tuple[str, bytes]]] = {}
    for row in table.to_pylist():
        found.setdefault(Modality(row["modality"]), []).append((row["digest"], row["vector"]))
    return {modality: _of_rows(rows) for modality, rows in found.items()}


def _of_rows(rows: Sequence[tuple[str, bytes]]) -> Embedded:
    digests, vectors = zip(*rows, strict=True)
    return Embedded(digests, np.stack([np.frombuffer(vector, "<f4") for vector in vectors]))
