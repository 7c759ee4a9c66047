"""A hub on this machine: the few answers that downloading a repository at a commit needs."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from mediafm_core.weights.hub import HubModel


@contextmanager
def serve_hub(model: HubModel, folder: Path) -> Iterator[str]:
    """Serve a folder as the model's repository at its revision; gives the hub's address."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            data = _answer_to(model, folder, self.path.partition("?")[0])
            self.send_response(404 if data is None else 200)
            if data is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            else:
                self.send_header("ETag", f'"{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"')
                self.send_header("X-Repo-Commit", model.revision)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if with_body and data:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _answer_to(model: HubModel, folder: Path, path: str) -> bytes | None:
    if path == f"/api/models/{model.repository}/tree/{model.revision}":
        found = [(p.name, p.read_bytes()) for p in sorted(folder.iterdir())]
        rows = [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in found]
        return json.dumps(rows).encode()
    prefix = f"/{model.repository}/resolve/{model.revision}/"
    file = folder / path.removeprefix(prefix)
    return file.read_bytes() if path.startswith(prefix) and file.is_file() else None
