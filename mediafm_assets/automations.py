"""Which automations run on a home, by a file that is read at each tick: no restart, and one place for all of them."""

import tomllib
from pathlib import Path
from typing import NamedTuple

from mediafm_core.errors import HomeError

FILE = "automations.toml"


class Daily(NamedTuple):
    """When a schedule acts, once a day."""

    hour: int  # UTC

    @property
    def every_s(self) -> float:
        """Seconds from one time to the next."""
        return 86_400.0

    @property
    def cron(self) -> str:
        """As Dagster takes it."""
        return f"0 {self.hour} * * *"

    @property
    def said(self) -> str:
        """In words."""
        return f"at {self.hour:02}:00 UTC"


NIGHTLY = Daily(hour=3)
CANARIES = Daily(hour=4)

AUTOMATIONS = {
    "new_titles": "takes what lies complete in the landing folder",
    "new_encoders": "embeds the catalogue with an encoder when its training has finished, and fits its heads",
    "reconcile": "makes what is missing, whatever the reason",
    "daily_canaries": f"measures {CANARIES.said} whether an encoder has drifted",
    "nightly": f"makes {NIGHTLY.said} what nothing caught during the day",
    "weekly_training": "trains a new encoder on Sundays at 01:00 UTC, if there is something new to learn from",
}
"""What each does, by the name of its sensor or schedule."""

OFF_AT_FIRST = frozenset({"weekly_training"})
"""Those that somebody has to ask for: they take hours."""


def write_automations(root: Path) -> None:
    """Say in a home which automations are on at first; what somebody set there before stays."""
    path = root / FILE
    if not path.exists():
        on = {name: str(name not in OFF_AT_FIRST).lower() for name in AUTOMATIONS}
        lines = [f"{name} = {on[name]}  # {does}\n" for name, does in AUTOMATIONS.items()]
        path.write_text("# true or false for this home; it is read at each tick.\n" + "".join(lines))


def why_off(root: Path, name: str) -> str | None:
    """Why an automation does nothing on this home; None where it is on.

    Where the file does not name it, it is as at first.

    Raises:
        HomeError: the file cannot be read, or says something else than true or false of the known automations.
    """
    said = _read(root / FILE)
    unknown = sorted(set(said).difference(AUTOMATIONS))
    if unknown or not all(isinstance(value, bool) for value in said.values()):
        raise HomeError(
            f"file {FILE}",
            found=f"unknown automations: {', '.join(unknown)}" if unknown else "a value that is no truth value",
            expected=f"true or false for {', '.join(AUTOMATIONS)}",
            next_step="Mend the file in the home's folder, or delete it: then all are as at first.",
        )
    if said.get(name, name not in OFF_AT_FIRST):
        return None
    return f"It is off: {FILE} of the home {'says so' if name in said else 'does not ask for it'}."


def _read(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HomeError(
            f"file {FILE}",
            found=f"no TOML: {error}",
            expected="lines such as `nightly = false`",
            next_step="Mend the file in the home's folder, or delete it: then all are as at first.",
        ) from error
