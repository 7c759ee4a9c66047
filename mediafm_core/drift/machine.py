"""The machine as far as an encoder's last digits may hang on it, beside the versions of libraries.

Integer arithmetic rounds otherwise with other instructions, and libraries choose them by what a CPU offers. So are told
the CPU's name and its instructions, and what whoever runs the process chose for the engines.
"""

import hashlib
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

SettingsOf = Callable[[], str]
"""Says what was chosen for the engines, e.g. by variables of the environment, in one line."""

_CPU_INFO: Final = Path("/proc/cpuinfo")


def untold() -> str:
    """Nothing is known to have been chosen."""
    return "none"


def machine(settings: SettingsOf = untold, cpu_info: Path = _CPU_INFO) -> dict[str, str]:
    """What a result may hang on here: system, processor, its instructions, and what was chosen for the engines.

    Args:
        settings: says the choices.
        cpu_info: what Linux tells of its processors; on other systems, where it is not, less is known.
    """
    found = {"machine": platform.platform(), "processor": platform.processor() or platform.machine()}
    return {**found, **_cpu(cpu_info), "engine_settings": settings()}


@cache
def _cpu(cpu_info: Path) -> dict[str, str]:
    """The first processor's name, and its flags as their number and the beginning of a hash."""
    if not cpu_info.is_file():
        return {}
    lines = cpu_info.read_text(errors="replace").split("\n\n", 1)[0].splitlines()
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = sorted((told.get("flags") or told.get("Features") or "").split())  # x86, ARM
    digest = hashlib.sha256(" ".join(flags).encode()).hexdigest()[:8]
    return {"cpu": told.get("model name") or "not told", "cpu_instructions": f"{len(flags)} flags, {digest}"}
