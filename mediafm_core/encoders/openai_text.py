"""What is said: text-embedding-3-large of OpenAI, or any model behind a server that speaks the same API.

The post reads timed text with text-embedding-3-large. Vectors of one text differ in the fourth decimal from call to
call, so a text is paid for once: its vector is kept under the hash of server, model, width and text, request by
request, and from then on it is the same in every title.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders.openai_answers import OPENAI, Endpoint, check_base_url, read_answer
from mediafm_core.encoders.openai_requests import Requests
from mediafm_core.encoders.pacing import Limits, Pace
from mediafm_core.encoders.paying import Purse, Secret, Vector
from mediafm_core.errors import RemoteError
from mediafm_core.identity import canonical_json

NAME = "openai-text"
MODEL, DIMS = "text-embedding-3-large", 768
USD_PER_MILLION = {"text-embedding-3-large": 0.13, "text-embedding-3-small": 0.02}
"""List prices of a million tokens on OpenAI's own server, as last read; a suite may declare another."""

_WIDTH = "width"

MAX_BYTES = 8191
"""What a text holds beyond is not read: a token has at least one byte, and the models take 8,191 tokens."""

CountTokens = Callable[[str], int]
"""The most tokens that a text can come to."""


def spec(*, model: str = MODEL, dims: int = DIMS, base_url: str = OPENAI, asks_width: bool = True) -> UnimodalSpec:
    """What a model behind an API is: there are no weights to hash, so it is whose model, of what name, how wide.

    Args:
        model: its name.
        dims: how wide its vectors are.
        base_url: of the server.
        asks_width: whether requests name the width; False for a model that has but one, whose answers are checked.

    Raises:
        RemoteError: the URL is none that can be kept in a record.
    """
    server = check_base_url(base_url)
    settings = {"server": server, "model": model, "input": f"the first {MAX_BYTES} bytes of UTF-8", "pooling": "none"}
    settings |= {} if asks_width else {_WIDTH: "the model's own"}
    identity = hashlib.sha256(canonical_json(_named(Endpoint(server, model, dims, asks_width))).encode()).hexdigest()
    instrument = Instrument(name=NAME, weights_sha256=identity, settings=settings)
    return UnimodalSpec(modality=Modality.TEXT, dims=dims, instrument=instrument)


def bytes_of(text: str) -> int:
    """The bytes of a text: no tokeniser of bytes makes more tokens of it. English has about four for each token."""
    return len(text.encode())


def count_by_tiktoken(model: str) -> CountTokens:
    """The exact count of an OpenAI model. tiktoken reads its vocabulary from its cache, or downloads it.

    Raises:
        RemoteError: tiktoken is not installed, does not know the model, or cannot have its vocabulary.
    """
    try:
        import tiktoken

        encoding = tiktoken.encoding_for_model(model)
    except (ImportError, KeyError, OSError) as error:
        raise RemoteError(
            f"tokens of model {model!r}",
            found=f"no tokeniser ({type(error).__name__}: {error})",
            expected="one that tiktoken has, or can download",
            next_step="Add the suite again without --exact-tokens: bytes are counted then, which are never fewer.",
        ) from error
    return lambda text: len(encoding.encode_ordinary(text))


def asked(spec: UnimodalSpec, texts: Iterable[str]) -> dict[str, str]:
    """What is asked for these texts: each different one as it goes out, and the key that its vector is kept under.

    What is empty or only white space is never asked for.
    """
    endpoint = endpoint_of(spec)
    return {text: _key_of(endpoint, text) for text in map(_sent, texts) if text.strip()}


def endpoint_of(spec: UnimodalSpec) -> Endpoint:
    """The model that a record is about."""
    settings = spec.instrument.settings
    return Endpoint(settings["server"], settings["model"], spec.dims, asks_width=_WIDTH not in settings)


class OpenAIText:
    """Text to the model's embedding, each different text paid for once.

    Args:
        spec: as `spec` makes it.
        purse: what is known, and what may be spent.
        key: of the API; OpenAI's own server asks for one.
        pace: how requests are cut and spaced; that of the run.
        count: tokens of a text, or more.

    Raises:
        RemoteError: there is no key for OpenAI's own server, or the package `openai` is not installed.
    """

    def __init__(
        self,
        spec: UnimodalSpec,
        *,
        purse: Purse,
        key: Secret | None = None,
        pace: Pace | None = None,
        count: CountTokens = bytes_of,
    ) -> None:
        self.spec, self._purse, self._key = spec, purse, key
        self._pace, self._count = pace or Pace(Limits()), count
        self._endpoint = endpoint_of(spec)
        if key is None and self._endpoint.base_url == OPENAI:
            raise RemoteError(
                f"model {self._endpoint.model!r}",
                found="no API key",
                expected="a key of OpenAI",
                next_step="Set OPENAI_API_KEY in the environment of whoever runs the step.",
            )

    def encode(self, shots: Sequence[str]) -> npt.NDArray[np.float32]:
        """Encode each shot's text.

        Args:
            shots: a text each; one that is empty or only white space gets zeros and is never sent.

        Returns:
            (n_shots, dims) float32, as the server sends them: OpenAI's are of unit length.

        Raises:
            RemoteError: a request was not answered, or wrongly. What was answered before it is kept.
            BudgetError: the next request could cost more than the run may spend; it was not sent.
        """
        texts = [_sent(shot) for shot in shots]
        keys = asked(self.spec, texts)
        known = dict(self._purse.known(list(keys.values())))
        lacking = [text for text, key in keys.items() if key not in known]
        for batch in self._asked(list(_batches(lacking, self._pace.limits, self._count)), keys):
            known |= batch
        vectors = np.zeros((len(texts), self.spec.dims), np.float32)
        for row, text in enumerate(texts):
            if text in keys:
                vectors[row] = known[keys[text]]
        return vectors

    def _asked(self, batches: list[list[str]], keys: dict[str, str]) -> Iterator[dict[str, Vector]]:
        """What each batch brings, so many under way at once; after a failure nothing more is sent."""
        if not batches:
            return
        n = self._pace.limits.requests_at_once
        with Requests(self._endpoint, self._key, self._pace) as requests, ThreadPoolExecutor(n) as pool:
            under_way: deque[Future[dict[str, Vector]]] = deque()
            for batch in batches:
                if len(under_way) == n:
                    yield under_way.popleft().result()
                under_way.append(pool.submit(self._paid, requests, batch, keys))
            while under_way:
                yield under_way.popleft().result()

    def _paid(self, requests: Requests, batch: list[str], keys: dict[str, str]) -> dict[str, Vector]:
        """The vectors of one batch by their keys, kept before they are handed on."""
        n_tokens = sum(map(self._count, batch))
        request, body = requests.ask(batch, n_tokens, lambda: self._purse.reserve(n_tokens), self._purse.give_back)
        answer = read_answer(body, len(batch), self._endpoint)
        found = {keys[text]: vector for text, vector in zip(batch, answer.vectors, strict=True)}
        self._purse.settle(request, n_tokens if answer.n_tokens is None else answer.n_tokens, found)
        return found


def _key_of(endpoint: Endpoint, text: str) -> str:
    of = [*_named(endpoint), hashlib.sha256(text.encode()).hexdigest()]
    return hashlib.sha256(canonical_json(of).encode()).hexdigest()


def _named(endpoint: Endpoint) -> list[str | int]:
    """What tells one model from another."""
    named: list[str | int] = [endpoint.base_url, endpoint.model, endpoint.dims]
    return named if endpoint.asks_width else [*named, "own width"]


def _sent(text: str) -> str:
    """A text as it goes out: valid UTF-8, no longer than what is read, cut between two characters."""
    return text.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore")


def _batches(texts: Sequence[str], limits: Limits, count: CountTokens) -> Iterator[list[str]]:
    """The texts in their order, in portions that a request may hold; a text that is too long for one stands alone."""
    batch, n_tokens, n_bytes = [], 0, 0
    for text in texts:
        more_tokens, more_bytes = count(text), len(json.dumps(text, ensure_ascii=False).encode()) + 1
        full = (
            len(batch) == limits.texts_per_request
            or n_tokens + more_tokens > limits.tokens_per_request
            or n_bytes + more_bytes > limits.bytes_per_request
        )
        if batch and full:
            yield batch
            batch, n_tokens, n_bytes = [], 0, 0
        batch.append(text)
        n_tokens, n_bytes = n_tokens + more_tokens, n_bytes + more_bytes
    if batch:
        yield batch
