"""Requests for embeddings to OpenAI's API, or to a server that speaks it: sent, spaced, tried again."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import isfinite
from typing import Any, NamedTuple

from mediafm_core.encoders.openai_answers import Endpoint
from mediafm_core.encoders.pacing import Pace
from mediafm_core.encoders.paying import Secret
from mediafm_core.errors import RemoteError

_log = logging.getLogger(__name__)

_TRY_AGAIN = {408, 409, 425, 429}  # and every 5xx
_MAX_ANSWER_BYTES = 256 << 20


class Trouble(NamedTuple):
    """Why an attempt gave no answer."""

    found: str
    again: bool
    """Whether another attempt can help."""
    charged: bool
    """Whether it may have been charged all the same."""
    wait_s: float | None = None
    """How long the server asks to be left alone."""


class Answered(NamedTuple):
    """An attempt that was answered."""

    request: int
    """The number under which it is entered."""
    body: Any
    """JSON, not checked yet."""


class Requests:
    """Sends batches of texts to one endpoint. Used as a context manager, from several threads.

    Args:
        endpoint: where to, and for what.
        key: the API's key; None for a server that asks for none.
        pace: of all requests of the run, with its limits.
    """

    def __init__(self, endpoint: Endpoint, key: Secret | None, pace: Pace) -> None:
        self._endpoint, self._key = endpoint, key or Secret("none")
        self._pace, self._limits = pace, pace.limits
        self._clock, self._sleep = pace.clock, pace.sleep
        self._client = _client(endpoint.base_url, self._key)

    def __enter__(self) -> "Requests":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(
        self, texts: Sequence[str], n_tokens: int, reserve: Callable[[], int], give_back: Callable[[int], None]
    ) -> Answered:
        """Send one batch until it is answered.

        Args:
            texts: what to embed.
            n_tokens: the most that they can come to.
            reserve: enters an attempt before it is sent.
            give_back: strikes out an attempt that was not charged.

        Raises:
            RemoteError: no answer within the attempts and the time allowed, or a refusal that will not change.
            BudgetError: from `reserve`.
        """
        until = self._clock() + self._limits.deadline_s
        for attempt in count(1):
            request = reserve()
            self._pace.wait(n_tokens)
            outcome = self._attempt(texts, min(until, self._clock() + self._limits.request_s))
            if not isinstance(outcome, Trouble):
                return Answered(request, outcome)
            if not outcome.charged:
                give_back(request)
            wait_s = self._wait_s(outcome, attempt)
            if not outcome.again or attempt == self._limits.attempts or self._clock() + wait_s > until:
                raise self._no_answer(outcome, attempt)
            _log.info("%s of %s: waiting %.1f s", outcome.found, self._endpoint.model, wait_s)
            self._sleep(wait_s)
        raise AssertionError("unreachable")

    def _wait_s(self, trouble: Trouble, attempt: int) -> float:
        return self._limits.first_wait_s * 2 ** (attempt - 1) if trouble.wait_s is None else trouble.wait_s

    def _attempt(self, texts: Sequence[str], until: float) -> Any:
        """The body of an answer, or a `Trouble`."""
        import openai

        left_s = max(until - self._clock(), 0.001)
        try:
            with self._client.embeddings.with_streaming_response.create(
                input=list(texts),
                model=self._endpoint.model,
                dimensions=self._endpoint.dims if self._endpoint.asks_width else openai.omit,
                encoding_format="base64",  # smaller; a server that does not know it sends numbers
                timeout=left_s,
            ) as response:
                return self._body(response, until)
        except openai.APITimeoutError:
            return Trouble("no answer in time", again=True, charged=True)
        except openai.APIStatusError as error:
            return self._status(error)
        except openai.APIConnectionError as error:
            return Trouble(self._shown(f"no connection ({error.__cause__ or error})"), again=True, charged=True)

    def _body(self, response: Any, until: float) -> Any:
        import httpx2

        pieces, n_bytes = [], 0
        try:
            for piece in response.iter_bytes():
                pieces.append(piece)
                n_bytes += len(piece)
                if n_bytes > _MAX_ANSWER_BYTES:
                    return Trouble(f"an answer of more than {_MAX_ANSWER_BYTES} bytes", again=False, charged=True)
                if self._clock() > until:
                    return Trouble("no whole answer in time", again=True, charged=True)
            return json.loads(b"".join(pieces))
        except httpx2.HTTPError as error:
            return Trouble(f"an answer that broke off ({type(error).__name__})", again=True, charged=True)
        except ValueError:
            return Trouble("an answer that is no JSON", again=True, charged=True)

    def _status(self, error: Any) -> Trouble:
        """An answer that says no; one that says that the server failed may have cost all the same."""
        again = error.status_code in _TRY_AGAIN or error.status_code >= 500
        if isinstance(error.body, Mapping) and error.body.get("code") == "insufficient_quota":
            again = False  # comes as 429, and stays until somebody pays
        found = self._shown(f"status {error.status_code}: {error.message}")
        charged = error.status_code >= 500
        return Trouble(found, again=again, charged=charged, wait_s=_retry_after_s(error.response.headers))

    def _shown(self, text: str) -> str:
        return self._key.masked(" ".join(text.split()))[:300]

    def _no_answer(self, trouble: Trouble, n_attempts: int) -> RemoteError:
        return RemoteError(
            f"model {self._endpoint.model!r} at {self._endpoint.base_url}",
            found=f"{trouble.found}, after {n_attempts} attempt{'s' * (n_attempts > 1)}",
            expected="embeddings",
            next_step="What was paid for is kept: check the key, the name and the server, and run it again.",
        )


def _client(base_url: str, key: Secret) -> Any:
    import openai

    return openai.OpenAI(api_key=key.reveal(), base_url=base_url, max_retries=0)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, per_s in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) / per_s
        except ValueError:
            continue  # absent, or a date: then the usual wait
        if isfinite(wait_s) and wait_s >= 0:
            return wait_s
    return None
