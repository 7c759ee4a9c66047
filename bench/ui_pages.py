"""How long the pages of Dagster's UI take over a home: `python -m bench.ui_pages --home HOME --browser chromium`.

Starts `mediafm dev` there, opens each page in a new window of a headless browser, and waits until what a person came
for stands there. Needs the extra `browser`, and a browser that it can drive.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser  # pyright: ignore[reportMissingImports] the extra `browser`

_PORT = 3900
_ROUNDS = 3
_PATIENCE_MS = 120_000.0
_COMMAND = "from mediafm_assets.cli import main; main()"


class Page(NamedTuple):
    """A page, and the text that stands on it as soon as it can be read."""

    path: str
    shows: str


_FIRST = "narrative-w0-000000"
PAGES: Mapping[str, Page] = {
    "graph of assets": Page("/asset-groups", "probes"),
    "asset by title": Page("/assets/deliveries", "fingerprint"),
    "partitions by title": Page("/assets/deliveries?view=partitions", _FIRST),
    "asset by suite and title": Page("/assets/fused_embeddings", "fingerprint"),
    "partitions by suite and title": Page("/assets/fused_embeddings?view=partitions", _FIRST),
    "partitions by encoder and title": Page("/assets/contextual_embeddings?view=partitions", _FIRST),
    "one partition": Page(f"/assets/contextual_embeddings?view=partitions&partition=v1%7C{_FIRST}", "fingerprint"),
    "runs": Page("/runs", "refresh"),
}
"""The titles are those of `python -m bench.scale`."""


@contextmanager
def served(home: Path) -> Iterator[str]:
    """`mediafm dev` over a home: the address of its page."""
    command = [sys.executable, "-c", _COMMAND, "dev", "--home", str(home), "--port", str(_PORT)]
    with (home / "ui_pages.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    address = f"http://127.0.0.1:{_PORT}"
    try:
        _wait(address)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()


def _wait(address: str) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5):  # noqa: S310 our own address
                return
        except OSError:
            time.sleep(1)
    raise TimeoutError(f"no page at {address} within two minutes")


def seconds(browser: "Browser", address: str, page: Page, picture: Path) -> float:
    """From the request until the page shows its text; a picture of it is taken then."""
    with browser.new_context(viewport={"width": 1500, "height": 900}) as window:
        opened = window.new_page()
        began_s = time.perf_counter()
        opened.goto(address + page.path, timeout=_PATIENCE_MS)
        opened.get_by_text(page.shows).first.wait_for(timeout=_PATIENCE_MS)
        took_s = time.perf_counter() - began_s
        opened.wait_for_timeout(1500)
        opened.screenshot(path=picture)
    return took_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every page and print a table."""
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    parser = argparse.ArgumentParser(prog="python -m bench.ui_pages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--browser", default="chromium", help="the browser's executable")
    parser.add_argument("--pictures", type=Path, default=Path("ui_pages"), help="where pictures of the pages go")
    asked = parser.parse_args(arguments)
    asked.pictures.mkdir(parents=True, exist_ok=True)
    with served(asked.home) as address, sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which(asked.browser), args=flags)
        for name, page in PAGES.items():
            picture = asked.pictures / f"{name.replace(' ', '-')}.png"
            took = [seconds(browser, address, page, picture) for _ in range(_ROUNDS)]
            print(json.dumps({"page": name, "first_s": round(took[0], 2), "median_s": round(median(took), 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
