"""Text read by a model behind an API: right or a typed error, paid for once, within the budget, the key never told."""

import base64
import hashlib
import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from mediafm_core.encoders import openai_text
from mediafm_core.encoders.openai_answers import OPENAI
from mediafm_core.encoders.openai_text import OpenAIText
from mediafm_core.encoders.pacing import Limits, Pace, pace_of
from mediafm_core.encoders.paying import Payer, Secret
from mediafm_core.errors import BudgetError, RemoteError
from mediafm_core.identity import canonical_json
from mediafm_core.store.paid import Purse
from tests.embedding_server import Act, EmbeddingServer, serve_embeddings, vector_of

KEY = "sk-test-0123456789abcdef"
DIMS = 16
LIMITS = Limits(first_wait_s=0.01, texts_per_request=2, requests_per_minute=1e6, tokens_per_minute=1e9)
TEXTS = ["one", "two", "three", "four", "five"]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serve_embeddings() as server:
        yield server


@pytest.fixture
def purse(tmp_path: Path) -> Iterator[Purse]:
    purse = purse_at(tmp_path)
    yield purse
    purse.close()


def purse_at(folder: Path, *, run: str = "run", budget_usd: float | None = None, usd: float = 1e6) -> Purse:
    """A purse for which a token costs a dollar."""
    return Purse(folder / "paid.db", run=run, step="s", usd_per_million=usd, budget_usd=budget_usd)


def reading(server: EmbeddingServer, purse: Purse, **limits: Any) -> OpenAIText:
    spec = openai_text.spec(dims=DIMS, base_url=server.url)
    return OpenAIText(spec, purse=purse, key=Secret(KEY), pace=Pace(replace(LIMITS, **limits)))


def expected(texts: list[str]) -> np.ndarray:
    return np.stack([vector_of(text, DIMS) if text.strip() else np.zeros(DIMS, np.float32) for text in texts])


# --- right


@pytest.mark.parametrize("numbers", [False, True])
def test_a_text_gets_its_own_vector_and_none_gets_zeros(server: EmbeddingServer, purse: Purse, numbers: bool) -> None:
    server.numbers = numbers
    texts = ["Hello.", "", "Hello.", " \n", "Naïve café", "\ud800 half a pair"]
    vectors = reading(server, purse).encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, expected([*texts[:5], "? half a pair"]))
    assert server.texts == ["Hello.", "Naïve café", "? half a pair"]
    assert {(r["path"], r["model"], r["dimensions"]) for r in server.requests} == {
        ("/v1/embeddings", "text-embedding-3-large", DIMS)
    }


def test_nothing_to_read_asks_nothing(server: EmbeddingServer, purse: Purse) -> None:
    assert reading(server, purse).encode([]).shape == (0, DIMS)
    assert not reading(server, purse).encode(["", "  "]).any()
    assert server.requests == []


def test_rows_are_put_into_the_order_of_their_index(server: EmbeddingServer, purse: Purse) -> None:
    server.acts = [Act(change=lambda a: {**a, "data": a["data"][::-1]})]
    np.testing.assert_array_equal(reading(server, purse, texts_per_request=9).encode(TEXTS), expected(TEXTS))


def test_a_long_text_is_cut_between_two_characters(server: EmbeddingServer, purse: Purse) -> None:
    reading(server, purse).encode(["é" * 5000])
    assert server.texts == ["é" * 4095]


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({"texts_per_request": 2}, [2, 2, 1]),
        ({"texts_per_request": 9}, [5]),
        ({"texts_per_request": 9, "tokens_per_request": 7}, [2, 1, 1, 1]),
        ({"texts_per_request": 9, "bytes_per_request": 13}, [2, 1, 1, 1]),
        ({"texts_per_request": 9, "tokens_per_request": 1}, [1, 1, 1, 1, 1]),
    ],
)
def test_batches_hold_at_most_so_many_texts_tokens_and_bytes(
    server: EmbeddingServer, purse: Purse, limits: dict[str, int], sizes: list[int]
) -> None:
    vectors = reading(server, purse, **limits).encode(TEXTS)
    assert [len(request["input"]) for request in server.requests] == sizes
    np.testing.assert_array_equal(vectors, expected(TEXTS))


@pytest.mark.parametrize("n", [1, 3])
def test_so_many_requests_are_under_way_and_no_more(server: EmbeddingServer, purse: Purse, n: int) -> None:
    server.acts = [Act(wait_s=0.3)] * 6
    texts = [f"text {i}" for i in range(6)]
    vectors = reading(server, purse, texts_per_request=1, requests_at_once=n).encode(texts)
    np.testing.assert_array_equal(vectors, expected(texts))
    assert min(n, 2) <= server.most_at_once <= n


def test_requests_are_spaced_by_their_number_and_by_their_tokens() -> None:
    now, slept = [0.0], []
    pace = Pace(
        Limits(requests_per_minute=60, tokens_per_minute=600),
        clock=lambda: now[0],
        sleep=lambda s: (slept.append(s), now.__setitem__(0, now[0] + s))[0],
    )
    for n_tokens in (5, 5, 100, 5):
        pace.wait(n_tokens)
    assert slept == [1.0, 1.0, 10.0]


def test_a_run_has_one_pace_whatever_titles_it_reads() -> None:
    assert pace_of("a", OPENAI, Limits()) is pace_of("a", OPENAI, Limits())
    assert pace_of("a", OPENAI, Limits()) is not pace_of("b", OPENAI, Limits())


# --- wrong, and tried again


@pytest.mark.parametrize(
    "act",
    [
        Act(status=429, headers={"Retry-After": "0.05"}),
        Act(status=429, headers={"retry-after-ms": "20"}),
        Act(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        Act(status=500),
        Act(status=503, raw=b"<html>"),
        Act(wait_s=0.6),
        Act(raw=b"half of {"),
        Act(headers={"Content-Length": "99999"}),
    ],
    ids=["429", "429 ms", "429 date", "500", "503", "time-out", "no JSON", "cut off"],
)
def test_what_passes_is_tried_again(server: EmbeddingServer, purse: Purse, act: Act) -> None:
    server.acts = [act, act]
    vectors = reading(server, purse, request_s=0.3).encode(["one"])
    np.testing.assert_array_equal(vectors, expected(["one"]))
    assert len(server.requests) == 3


def test_as_long_as_the_server_asks_is_waited(server: EmbeddingServer, purse: Purse) -> None:
    slept: list[float] = []
    server.acts = [Act(status=429, headers={"Retry-After": "7"}), Act(status=500), Act(status=500)]
    encoder = reading(server, purse)
    encoder._pace.sleep = slept.append  # type: ignore[method-assign]
    encoder.encode(["one"])
    assert slept == [7.0, 0.02, 0.04]


@pytest.mark.parametrize(
    ("act", "message", "n_requests"),
    [
        (Act(status=500), "status 500.*after 3 attempts", 3),
        (Act(wait_s=0.5), "no answer in time, after 3 attempts", 3),
        (Act(status=429, headers={"Retry-After": "9999"}), "status 429.*after 1 attempt", 1),
        (Act(status=401), "status 401", 1),
        (Act(status=404), "status 404", 1),
        (Act(status=429, change=lambda _: {"error": {"code": "insufficient_quota", "message": "pay"}}), "pay", 1),
    ],
    ids=["500", "time-out", "429 for hours", "401", "404", "no money"],
)
def test_what_does_not_pass_is_a_typed_error(
    server: EmbeddingServer, purse: Purse, act: Act, message: str, n_requests: int
) -> None:
    server.acts = [act] * 9
    with pytest.raises(RemoteError, match=message):
        reading(server, purse, attempts=3, request_s=0.2, deadline_s=60).encode(["one"])
    assert len(server.requests) == n_requests


def test_a_batch_has_a_deadline_whatever_its_attempts(server: EmbeddingServer, purse: Purse) -> None:
    server.acts = [Act(status=500)] * 50
    with pytest.raises(RemoteError, match="status 500"):
        reading(server, purse, attempts=50, deadline_s=0.3, first_wait_s=0.1).encode(["one"])
    assert len(server.requests) < 5


def test_no_server_is_a_typed_error(purse: Purse) -> None:
    nobody = EmbeddingServer(url="http://127.0.0.1:9/v1")
    with pytest.raises(RemoteError, match="no connection"):
        reading(nobody, purse, attempts=2).encode(["one"])


def shortened(answer: dict[str, Any]) -> dict[str, Any]:
    rows = [{**r, "embedding": base64.b64encode(bytes(4 * (DIMS - 1))).decode()} for r in answer["data"]]
    return {**answer, "data": rows}


def filled(value: float) -> Any:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "data": [{**r, "embedding": [value] * DIMS} for r in answer["data"]]}

    return change


WRONG: dict[str, tuple[Any, str]] = {
    "width": (shortened, rf"vectors of shape \({DIMS - 1},\)"),
    "missing rows": (lambda a: {**a, "data": a["data"][:1]}, "1 rows, 1 different"),
    "a row twice": (lambda a: {**a, "data": [a["data"][0]] * 2}, "2 rows, 1 different"),
    "a row too many": (lambda a: {**a, "data": [*a["data"], a["data"][0]]}, "3 rows"),
    "NaN": (filled(float("nan")), "NaN"),
    "infinity": (filled(1e39), "infinity"),
    "zeros": (filled(0.0), "zeros"),
    "another model": (lambda a: {**a, "model": "text-embedding-3-small"}, "text-embedding-3-small"),
    "no index": (lambda a: {**a, "data": [{"embedding": "AAAA"}] * 2}, "KeyError"),
    "no base64": (lambda a: {**a, "data": [{**r, "embedding": "?"} for r in a["data"]]}, "cannot be read"),
    "words": (lambda a: {**a, "data": [{**r, "embedding": ["x"]} for r in a["data"]]}, "ValueError"),
    "no list": (lambda _: {"error": "sorry"}, "no list of embeddings"),
    "no object": (lambda _: [1, 2], "no list of embeddings"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_refused_and_not_kept(server: EmbeddingServer, purse: Purse, case: str) -> None:
    change, message = WRONG[case]
    server.acts = [Act(change=change)]
    with pytest.raises(RemoteError, match=message):
        reading(server, purse).encode(["one", "two"])
    assert len(server.requests) == 1  # the same would come again
    np.testing.assert_array_equal(reading(server, purse).encode(["one", "two"]), expected(["one", "two"]))


# --- paid for once


def test_a_text_is_paid_for_once(server: EmbeddingServer, purse: Purse, tmp_path: Path) -> None:
    first = reading(server, purse).encode(TEXTS)
    other = purse_at(tmp_path, run="another")
    again = reading(server, other).encode([*TEXTS, "six"])
    np.testing.assert_array_equal(again[:5], first)
    assert server.texts == [*TEXTS, "six"]
    other.close()


def test_another_model_width_or_server_is_another_vector(server: EmbeddingServer, purse: Purse) -> None:
    reading(server, purse).encode(["one"])
    spec = openai_text.spec(dims=DIMS, base_url=server.url)
    for other in (
        openai_text.spec(dims=8, base_url=server.url),
        openai_text.spec(dims=DIMS, base_url=server.url, model="other"),
        openai_text.spec(dims=DIMS, base_url=server.url.replace("127.0.0.1", "localhost")),
    ):
        assert other.instrument.weights_sha256 != spec.instrument.weights_sha256
        OpenAIText(other, purse=purse, pace=Pace(LIMITS)).encode(["one"])
    assert len(server.requests) == 4


def test_a_model_that_refuses_a_width_is_asked_for_none_and_held_to_its_own(
    server: EmbeddingServer, purse: Purse
) -> None:
    server.only_width = DIMS
    with pytest.raises(RemoteError, match="matryoshka"):
        reading(server, purse).encode(TEXTS)
    server.requests.clear()
    spec = openai_text.spec(dims=DIMS, base_url=server.url, asks_width=False)
    found = OpenAIText(spec, purse=purse, pace=Pace(LIMITS)).encode(TEXTS)
    np.testing.assert_array_equal(found, expected(TEXTS))
    assert all("dimensions" not in request for request in server.requests)
    assert spec.instrument.weights_sha256 != reading(server, purse).spec.instrument.weights_sha256
    other = openai_text.spec(dims=DIMS + 1, base_url=server.url, asks_width=False)
    with pytest.raises(RemoteError, match=f"{DIMS + 1} numbers each"):
        OpenAIText(other, purse=purse, pace=Pace(LIMITS)).encode(TEXTS)


def test_what_asks_for_a_width_is_named_by_server_model_and_width_alone() -> None:
    named = hashlib.sha256(canonical_json([OPENAI, "text-embedding-3-large", 768]).encode()).hexdigest()
    spec = openai_text.spec()
    assert spec.instrument.weights_sha256 == named
    assert set(spec.instrument.settings) == {"server", "model", "input", "pooling"}


def test_what_was_answered_before_a_failure_is_not_paid_for_again(server: EmbeddingServer, purse: Purse) -> None:
    server.acts = [Act(), Act(), Act(status=400)]
    with pytest.raises(RemoteError):
        reading(server, purse).encode(TEXTS)
    reading(server, purse).encode(TEXTS)
    assert server.texts == [*TEXTS, "five"]


def test_a_kill_pays_at_most_one_batch_again(server: EmbeddingServer, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.core.test_encoders_openai import *;"
        "reading(EmbeddingServer(url=sys.argv[1]), purse_at(Path(sys.argv[2]))).encode(TEXTS)"
    )
    server.acts = [Act(), Act(wait_s=30)]
    with subprocess.Popen([sys.executable, "-c", script, server.url, str(tmp_path)]) as process:  # noqa: S603
        while len(server.requests) < 2:
            assert process.poll() is None
            sleep(0.02)
        process.kill()
    purse = purse_at(tmp_path)
    reading(server, purse).encode(TEXTS)
    assert server.texts == [*TEXTS[:4], *TEXTS[2:]]
    assert purse.spent().n_tokens == 2 + 9 + 2 + 1  # three and four twice: at first as much as they can come to
    purse.close()


# --- the budget


def test_a_request_that_could_exceed_the_budget_is_not_sent(server: EmbeddingServer, tmp_path: Path) -> None:
    purse = purse_at(tmp_path, budget_usd=10.0)
    with pytest.raises(BudgetError, match=r"\$2\.0000 spent, \$8\.0000 left, up to \$9\.0000"):
        reading(server, purse).encode(TEXTS)  # 6 reserved and 2 charged, then 9 asked for
    assert server.texts == ["one", "two"]
    assert purse.spent().usd == 2.0
    purse.close()


def test_what_is_known_costs_nothing_even_without_money(server: EmbeddingServer, purse: Purse, tmp_path: Path) -> None:
    reading(server, purse).encode(TEXTS)
    poor = purse_at(tmp_path, run="poor", budget_usd=1e-9)
    np.testing.assert_array_equal(reading(server, poor).encode(TEXTS), expected(TEXTS))
    poor.close()


def test_a_refusal_costs_nothing_and_a_time_out_counts(server: EmbeddingServer, purse: Purse) -> None:
    server.acts = [Act(status=429, headers={"Retry-After": "0"})]
    reading(server, purse).encode(["one"])
    assert purse.spent().usd == 1.0  # of the answer alone; the server counts a token for 3 letters
    server.acts = [Act(wait_s=0.5)]
    reading(server, purse, request_s=0.2).encode(["two"])
    assert purse.spent().usd == 1.0 + 3.0 + 1.0
    assert purse.spent().n_requests == 3


# --- the key


def test_the_key_is_in_no_repr_error_log_or_file(
    server: EmbeddingServer, purse: Purse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.acts = [Act(status=500), Act(status=401, change=lambda _: {"error": {"message": f"bad key {KEY}"}})]
    encoder = reading(server, purse)
    with pytest.raises(RemoteError) as caught:
        encoder.encode(["one"])
    assert f"Bearer {KEY}" in server.headers[0].values()
    shown = [repr(caught.value), str(caught.value), caplog.text, repr(encoder), repr(encoder.spec), repr(vars(encoder))]
    chain: BaseException | None = caught.value
    while chain := (chain.__cause__ or chain.__context__):
        shown.append(repr(chain))
    assert not [text for text in shown if KEY in text]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_secret_is_shown_by_nothing() -> None:
    secret = Secret(KEY)
    payer = Payer("run", secret)
    assert KEY not in f"{secret!r} {secret} {secret:>9} {payer} {[secret]}"
    assert KEY not in str(getattr(secret, "__dict__", ""))
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_openais_own_server_asks_for_a_key(purse: Purse) -> None:
    with pytest.raises(RemoteError, match="OPENAI_API_KEY"):
        OpenAIText(openai_text.spec(), purse=purse)


@pytest.mark.parametrize("url", ["ftp://h/v1", "h/v1", "http://me:hunter2@h/v1", "https://h/v1?key=1"])
def test_a_url_with_a_secret_in_it_is_not_kept(url: str) -> None:
    with pytest.raises(RemoteError, match="base URL") as caught:
        openai_text.spec(base_url=url)
    assert "hunter2" not in str(caught.value)


def test_the_default_is_the_posts_model_768_wide() -> None:
    spec = openai_text.spec()
    assert (spec.dims, spec.instrument.settings["model"]) == (768, "text-embedding-3-large")
    assert spec.instrument.settings["server"] == OPENAI


def test_tiktoken_counts_no_more_than_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken

    ranks = {bytes([i]): i for i in range(256)} | {b"he": 256, b"hel": 257}
    small = tiktoken.Encoding("small", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: small)
    count = openai_text.count_by_tiktoken("text-embedding-3-large")
    assert count("hello") == 3
    assert all(count(text) <= openai_text.bytes_of(text) for text in (*TEXTS, "Naïve café", "<|endoftext|>", ""))


@pytest.mark.parametrize("wrong", [KeyError("unknown model"), OSError("no network"), ImportError("no tiktoken")])
def test_tokens_that_cannot_be_counted_are_a_typed_error(wrong: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken

    def refuse(_: str) -> None:
        raise wrong

    monkeypatch.setattr(tiktoken, "encoding_for_model", refuse)
    with pytest.raises(RemoteError, match=r"my-embed.*without --exact-tokens"):
        openai_text.count_by_tiktoken("my-embed")


@pytest.mark.parametrize("limits", [{"attempts": 0}, {"tokens_per_minute": float("nan")}, {"deadline_s": -1.0}])
def test_a_limit_is_a_number_above_zero(limits: dict[str, float]) -> None:
    with pytest.raises(RemoteError, match=next(iter(limits))):
        replace(LIMITS, **limits)
