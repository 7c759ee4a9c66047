"""The state of the machine that figures were measured on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.measuring import n_processors

LIBRARIES = (
    "mediafm", "av", "ctranslate2", "dagster", "deltalake", "numpy", "openvino", "polars", "pyarrow", "safetensors",
    "SQLAlchemy", "torch", "transformers", "x-transformers",
)  # fmt: skip
"""Whose versions may move a figure."""

_ROOT = Path(__file__).parents[1]


def machine_state() -> dict[str, Any]:
    """What a reader needs to know before comparing figures: processor, load, memory, versions, date, commit."""
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu_model": _first_value("/proc/cpuinfo", "model name") or platform.processor(),
        "cpu_count": n_processors(),
        "load": load(),
        "memory_total": _first_value("/proc/meminfo", "MemTotal"),
        "memory_available": _first_value("/proc/meminfo", "MemAvailable"),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def load() -> list[float]:
    """The mean numbers of processes that wanted a processor over 1, 5 and 15 minutes."""
    return [round(mean, 2) for mean in os.getloadavg()]


def _git(*arguments: str) -> str:
    """What git says of this tree; empty where this is no checkout or git is not installed."""
    try:
        said = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def _first_value(file: str, name: str) -> str:
    """The first `name: value` of a file of the kernel's; empty on systems without it."""
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
