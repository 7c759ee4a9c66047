"""Arrays that grow on disk: one .npy file, written from front to back, whose length is known at the end."""

import io
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray


class GrowingArray:
    """An .npy file that takes rows one after the other; memory stays flat in their number.

    The header is written with length 0 first and again with the true one on closing: numpy leaves room in it for the
    first axis to grow. Until it is closed the file reads as an empty array.

    Args:
        path: the file to write.
        dtype: of the array.
        row_shape: the shape of one row; () for a vector.
    """

    def __init__(self, path: Path, dtype: DTypeLike, row_shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._row_shape = np.dtype(dtype), row_shape
        self._n_rows = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(self._header())

    def __len__(self) -> int:
        return self._n_rows

    def append(self, rows: NDArray) -> None:
        """Add (n, *row_shape) rows of the array's own dtype."""
        assert rows.dtype == self._dtype, f"{rows.dtype} rows for a {self._dtype} array"
        assert rows.shape[1:] == self._row_shape, f"rows of {rows.shape[1:]} for {self._row_shape}"
        self._file.write(np.ascontiguousarray(rows).data)
        self._n_rows += len(rows)

    def close(self) -> None:
        """Write the length. Closing twice is the same as closing once."""
        if self._file.closed:
            return
        self._file.seek(0)
        self._file.write(self._header())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self) -> bytes:
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._n_rows, *self._row_shape),
        }
        text = io.BytesIO()
        np.lib.format.write_array_header_1_0(text, described)
        return text.getvalue()
