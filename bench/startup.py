"""How long somebody waits before anything begins, and that nothing heavy is loaded meanwhile."""

import subprocess
import sys
from statistics import median

from bench.harness import Figure
from bench.measuring import children_cpu_s, repeated, seconds, shown_s

HEAVY = ("torch", "transformers", "sklearn", "openvino", "ctranslate2", "matplotlib")
"""Libraries that no start may load."""

HELP = "from mediafm_assets.cli import main; main()"
IMPORT_CORE = "import mediafm_core"
DEFINITIONS = "import mediafm_assets.definitions"

_COUNTED = """
import sys
try:
    exec(sys.argv.pop(1))
finally:
    print("\\nloaded:", *sorted(set(sys.modules) & {heavy!r}))
"""


def start_s(code: str, *arguments: str) -> Figure:
    """CPU seconds of a fresh Python that runs `code` and ends, the median of three; the wall's in the note."""
    command = [sys.executable, "-c", code, *arguments]
    wall: list[float] = []
    cpu = repeated(lambda: wall.append(seconds(lambda: _run(command))), rounds=3, clock=children_cpu_s)
    return Figure(median(cpu), f"{shown_s(wall)} on the wall")


def heavy_modules(code: str, *arguments: str) -> Figure:
    """How many of the heavy libraries a fresh Python has loaded after `code`."""
    command = [sys.executable, "-c", _COUNTED.format(heavy=set(HEAVY)), code, *arguments]
    found = _run(command).rsplit("loaded:", 1)[1].split()
    return Figure(len(found), ", ".join(found) or f"none of {', '.join(HEAVY)}")


def _run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
