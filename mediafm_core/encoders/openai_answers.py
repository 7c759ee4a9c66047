"""Answers of OpenAI's API for embeddings, or of a server that speaks it: whose they are, and whether they are right."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from mediafm_core.errors import RemoteError

OPENAI = "https://api.openai.com/v1"


class Endpoint(NamedTuple):
    """A model behind an API."""

    base_url: str
    model: str
    dims: int
    asks_width: bool = True
    """Whether the width is named in a request; a server refuses that of a model that has but one."""


class Answer(NamedTuple):
    """What came back for a batch."""

    vectors: npt.NDArray[np.float32]
    """(n_texts, dims), in the order of the texts."""
    n_tokens: int | None
    """Charged, as the server says; None where it does not."""


def check_base_url(base_url: str) -> str:
    """A server's address, without the slash at its end.

    Raises:
        RemoteError: it is no http(s) URL, or holds a user's name, a password or a query.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password or parts.query:
        raise RemoteError(
            "base URL of an API",
            found="a URL with a user's name, a password or a query" if parts.hostname else "no http(s) URL",
            expected=f"a plain URL, such as {OPENAI}",
            next_step="Give keys by the environment; a URL is kept in the suite's record.",
        )
    return base_url.rstrip("/")


def read_answer(body: Any, n_texts: int, endpoint: Endpoint) -> Answer:
    """Check an answer, and bring its rows into the order of the texts.

    Raises:
        RemoteError: it is from another model; a row is missing, there twice, of another width, zero or not finite.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("data"), list):
        raise _wrong(endpoint, "no list of embeddings", "a list `data`")
    if body.get("model") != endpoint.model:
        raise _wrong(endpoint, f"an answer of model {str(body.get('model'))[:80]!r}", f"one of {endpoint.model!r}")
    vectors = np.zeros((n_texts, endpoint.dims), np.float32)
    for row, vector in _rows(body["data"], n_texts, endpoint).items():
        if vector.shape != (endpoint.dims,):
            raise _wrong(endpoint, f"vectors of shape {vector.shape}", f"{endpoint.dims} numbers each")
        if not np.isfinite(vector).all() or not vector.any():
            raise _wrong(endpoint, f"zeros, NaN or infinity for text {row}", "finite vectors")
        vectors[row] = vector
    usage = body.get("usage")
    n_tokens = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    return Answer(vectors, n_tokens if isinstance(n_tokens, int) and n_tokens >= 0 else None)


def _rows(data: list[Any], n_texts: int, endpoint: Endpoint) -> dict[int, npt.NDArray[np.float32]]:
    """Each text's vector by the text's index."""
    try:
        rows = {item["index"]: _numbers(item["embedding"]) for item in data}
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as wrong:
        raise _wrong(endpoint, f"a row that cannot be read ({type(wrong).__name__})", "index and embedding") from wrong
    if len(data) != n_texts or set(rows) != set(range(n_texts)):
        raise _wrong(endpoint, f"{len(data)} rows, {len(rows)} different", f"one row for each of {n_texts} texts")
    return rows


def _numbers(embedding: Any) -> npt.NDArray[np.float32]:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
    return np.asarray(embedding, np.float32)


def _wrong(endpoint: Endpoint, found: str, expected: str) -> RemoteError:
    return RemoteError(
        f"answer of {endpoint.model!r} at {endpoint.base_url}",
        found=found,
        expected=expected,
        next_step="Nothing of it was kept. This is not what the suite was made with: check the server and its model.",
    )
