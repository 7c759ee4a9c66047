"""The forms in which embeddings made elsewhere may come: Parquet, safetensors, or .npy files beside a JSON record.

Whatever the form, what is read of the same numbers is the same: halves, as vectors are stored.

Shape letters: S shots, D the width of a modality.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import Modality
from mediafm_core.delivered import NOT_AS_DECLARED, SUITE_KEY, Embeddings, checked, read_embeddings, refused, suite_of
from mediafm_core.identity import Span

_PARQUET, _SAFETENSORS, _RECORD, _SHOTS = (
    *("embeddings.parquet", "embeddings.safetensors"),
    *("embeddings.json", "embeddings.shots.npy"),
)
_ARRAYS = {name: f"embeddings.{name}.npy" for name in (*Modality, "metadata")}

FORMS = (frozenset({_PARQUET}), frozenset({_SAFETENSORS}), frozenset({_RECORD, _SHOTS, *_ARRAYS.values()}))
"""The names of the files of each form."""

_N_AXES = {**dict.fromkeys(Modality, 2), "metadata": 1}

Array = npt.NDArray[Any]


def is_form(names: Iterable[str]) -> bool:
    """Whether files of these names are embeddings in one form, whole."""
    return frozenset(names) in FORMS


def read_form(files: Mapping[str, Path]) -> Embeddings:
    """Read delivered embeddings.

    Args:
        files: where each file lies, by the name under which it was delivered.

    Raises:
        DeliveryError: they are of no form or of two, cannot be read, or have not the arrays, widths and entries that
            they declare.
    """
    if not is_form(files):
        raise refused(Path(_PARQUET), f"the files {', '.join(sorted(files))}", "one form of embeddings, whole")
    if _PARQUET in files:
        return read_embeddings(files[_PARQUET])
    path = Path(_SAFETENSORS if _SAFETENSORS in files else _RECORD)
    try:
        record, arrays = _safetensors(files[_SAFETENSORS]) if _SAFETENSORS in files else _plain(files)
        suite = suite_of(record)
        vectors = {modality: _halves(arrays, modality) for modality in Modality}
        metadata, spans = _halves(arrays, "metadata"), _spans(arrays["start_s"], arrays["end_s"])
    except (*NOT_AS_DECLARED, OSError, EOFError) as wrong:
        expected = "a suite, and the arrays start_s, end_s, video, audio, text and metadata"
        raise refused(path, f"{type(wrong).__name__}: {wrong}", expected) from wrong
    rows = {len(spans), *map(len, vectors.values())}
    if len(rows) != 1 or not spans:
        raise refused(path, f"arrays of {sorted(rows)} rows", "one row for each shot, and at least one shot")
    return checked(path, Embeddings(suite, spans, vectors, metadata))


def _safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            entries, names = file.metadata() or {}, ("start_s", "end_s", *_ARRAYS)
            return json.loads(entries[SUITE_KEY.decode()]), {name: file.get_tensor(name) for name in names}
    except SafetensorError as wrong:
        raise ValueError(str(wrong)) from wrong


def _plain(files: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, Array]]:
    read: Callable[[Path], Array] = lambda path: np.load(path, allow_pickle=False)  # noqa: E731
    times = read(files[_SHOTS])
    if times.ndim != 2 or times.shape[1] != 2:
        raise ValueError(f"{_SHOTS} of shape {times.shape}, not (shots, 2)")
    arrays = {name: read(files[file]) for name, file in _ARRAYS.items()}
    record = json.loads(files[_RECORD].read_text(encoding="utf-8"))
    return record, {**arrays, "start_s": times[:, 0], "end_s": times[:, 1]}


def _halves(arrays: Mapping[str, Array], name: str) -> npt.NDArray[np.float32]:
    """(S, D) or, of metadata, (D,) as halves: what is too large for one becomes infinity, and is refused later."""
    array = arrays[name]
    if array.dtype not in (np.float16, np.float32) or array.ndim != _N_AXES[name]:
        raise ValueError(f"{name} of {array.dtype} {array.shape}, not float16 or float32 in {_N_AXES[name]} axes")
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def _spans(starts_s: Array, ends_s: Array) -> list[Span]:
    if starts_s.dtype != np.float64 or ends_s.dtype != np.float64 or starts_s.ndim != 1:
        raise ValueError(f"times of {starts_s.dtype} {starts_s.shape}, not float64 (shots,)")
    return [Span(start, end) for start, end in zip(starts_s.tolist(), ends_s.tolist(), strict=True)]
