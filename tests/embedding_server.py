"""A server of embeddings on this machine, that can be told to misbehave."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import sleep
from typing import Any

import numpy as np

MODEL = "text-embedding-3-large"
OWN_WIDTH = 3072


@dataclass
class Act:
    """What the server does with one request instead of answering it well."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    change: Callable[[dict[str, Any]], Any] | None = None  # of the right answer
    raw: bytes | None = None  # in place of any answer


@dataclass
class EmbeddingServer:
    """What it was asked, and what it is told to do; acts are used up in their order, one for each request."""

    url: str = ""
    acts: list[Act] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    numbers: bool = False  # a server that does not know base64
    only_width: int | None = None  # of a model that has but one: a request that names a width is refused
    n_at_once: int = 0
    most_at_once: int = 0
    lock: Any = field(default_factory=Lock)

    @property
    def texts(self) -> list[str]:
        """Every text that it was sent, in the order of arrival."""
        return [text for request in self.requests for text in request["input"]]


def vector_of(text: str, dims: int) -> np.ndarray:
    """The embedding of a text, of unit length: random, and the same each time."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=dims)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@contextmanager
def serve_embeddings() -> Iterator[EmbeddingServer]:
    """Serve, and give what it was asked."""
    state = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.requests.append({"path": self.path, **request})
                state.headers.append(dict(self.headers))
                act = state.acts.pop(0) if state.acts else Act()
                state.n_at_once += 1
                state.most_at_once = max(state.most_at_once, state.n_at_once)
            sleep(act.wait_s)
            with state.lock:
                state.n_at_once -= 1
            if state.only_width is not None and "dimensions" in request:
                message = f"Model {request['model']!r} does not support matryoshka representation"
                act = Act(status=400, raw=json.dumps({"object": "error", "message": message, "code": 400}).encode())
            dims = request.get("dimensions", state.only_width or OWN_WIDTH)
            answer = _answer(request, dims, numbers=state.numbers)
            if act.change:
                answer = act.change(answer)
            data = json.dumps(answer).encode() if act.raw is None else act.raw
            self._send(act, data)

        def _send(self, act: Act, data: bytes) -> None:
            try:
                self.send_response(act.status)
                for name, value in {"Content-Length": str(len(data)), **act.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                return  # whoever asked has gone

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _answer(request: dict[str, Any], dims: int, *, numbers: bool) -> dict[str, Any]:
    rows = [vector_of(text, dims) for text in request["input"]]
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": row.tolist() if numbers else base64.b64encode(row.astype("<f4").tobytes()).decode(),
        }
        for i, row in enumerate(rows)
    ]
    n_tokens = sum(max(1, len(text) // 4) for text in request["input"])
    usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
    return {"object": "list", "model": request["model"], "data": data, "usage": usage}
