"""An encoder loaded and asked in a process of its own, where Python hashes strings otherwise: what it says there.

Within one process `hash()` gives the same for the same text each time, in the next it does not; so does the order of a
set. An encoder whose record or vectors hang on it makes another suite, or other vectors, whenever a process begins.
"""

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mediafm_core.encoders.joint import JointEntry
from mediafm_core.encoders.protocol import Entry
from mediafm_core.errors import ConformanceError
from mediafm_core.identity import canonical_json

_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mediafm_core.encoders import afresh; from pathlib import Path; afresh.answer(Path(sys.argv[2]))"
)
_ASKED, _RECORD, _VECTORS = "asked.pickle", "record.json", "vectors.npy"


class Said(NamedTuple):
    """What an encoder says in some process."""

    record: str
    """Its records as canonical JSON."""
    vectors: npt.NDArray[np.float32]
    """As its `encode` gives them."""


def said_here(entry: Entry | JointEntry, shots: Sequence[Any]) -> Said:
    """Load an encoder in this process, and ask it."""
    loaded: Any = entry.load(n_threads=1)
    encode = loaded.encode_shots if isinstance(entry, JointEntry) else loaded.encode
    return Said(records_of(entry), encode(shots))


def records_of(entry: Entry | JointEntry) -> str:
    """The records of an entry, as canonical JSON."""
    records = entry.specs().values() if isinstance(entry, JointEntry) else [entry.spec()]
    return canonical_json([asdict(record) for record in records])


def said_afresh(entry: Entry | JointEntry, shots: Sequence[Any]) -> Said:
    """Load an encoder in another process, in which strings have other hashes, and ask it.

    Args:
        entry: made of functions and classes of modules that can be imported there, as an entry point's are.
        shots: what to encode.

    Raises:
        ConformanceError: it cannot be imported there, or it fails there.
    """
    with tempfile.TemporaryDirectory(prefix="mediafm-afresh-") as folder:
        asked = Path(folder) / _ASKED
        try:
            asked.write_bytes(pickle.dumps((entry, list(shots))))
        except (pickle.PicklingError, AttributeError, TypeError) as wrong:
            raise _not_there(str(wrong)) from wrong
        command = [sys.executable, "-R", "-c", _CHILD, json.dumps(sys.path), folder]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
        if ended.returncode:
            raise _not_there((ended.stderr.strip().splitlines() or ["no word"])[-1])
        record = (Path(folder) / _RECORD).read_text(encoding="utf-8")
        return Said(record, np.load(Path(folder) / _VECTORS, allow_pickle=False))


def answer(folder: Path) -> None:
    """What the other process does: read what `said_afresh` wrote a moment ago, and write what the encoder says."""
    entry, shots = pickle.loads((folder / _ASKED).read_bytes())  # noqa: S301 - written by the process that waits
    said = said_here(entry, shots)
    (folder / _RECORD).write_text(said.record, encoding="utf-8")
    np.save(folder / _VECTORS, said.vectors)


def _not_there(found: str) -> ConformanceError:
    return ConformanceError(
        "encoder in a process of its own",
        found=found[:300],
        expected="an entry made of functions and classes of modules that can be imported, and no failure there",
        next_step="Put the encoder into a module; with `afresh=False` this is not checked.",
    )
