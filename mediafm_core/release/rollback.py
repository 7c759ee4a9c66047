"""Back to any release that was ever live: one declaration and one swap of the pointer, however large the catalogue.

Readers get the very snapshot that they had when that release was last live. A plan then adds what came since.
"""

from dataclasses import replace

from mediafm_core.catalogue.declared import RETIRED, WITHDRAWN, Release
from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.errors import PlanError, ReleaseError
from mediafm_core.planning.desired import desired, encoder_steps
from mediafm_core.planning.plan import snapshot_step, visible
from mediafm_core.release.history import Actor, Event, How, go_live, history, retired_error
from mediafm_core.snapshots import open_at, publish
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import Pointer, swap_pointer
from mediafm_core.workbench import Bench, LogReporter


def roll_back(home: Home, *, to: str | None = None, by: Actor = Actor()) -> Release:  # noqa: B008 it never changes
    """Let a release be production again, and readers see what they saw when it was last live.

    What came since is not served until `publish_standing` or a plan has published it: neither a title that this release
    has not read, nor what another release read of it.

    Args:
        home: an open home.
        to: the release's name; by default the one that was live before the present one.
        by: who asks.

    Raises:
        PlanError: that release was never live, or no other one was.
        ReleaseError: what it needs is gone: its encoder was retired, its heads or all its predictions are missing.
    """
    events = history(home)
    release = _wanted(events, to)
    left = _left(home, events, release)
    _check_kept(home, release, left)
    go_live(home, release, How.ROLLBACK, by)
    if left:
        _show(home, release, left)
    return release


def _left(home: Home, events: list[Event], release: Release) -> Pointer | None:
    """What readers saw when this release was last live; None where it is live, or not all of that may be shown again.

    What was deleted cannot, and a title that was withdrawn must not.
    """
    left = next((e.left for e in reversed(events) if e.left and e.left.release == release.name), None)
    if events[-1].after == release.name or left is None or left.path not in (kept := home.ledger.paths()):
        return None
    table = open_at(home.objects, left).table
    named = {path for role in table.column_names if role.endswith("_path") for path in table[role].to_pylist() if path}
    withdrawn = {title for title, body in home.ledger.declared(WITHDRAWN).items() if body}
    return left if named <= kept and withdrawn.isdisjoint(table["title"].to_pylist()) else None


def _show(home: Home, release: Release, pointer: Pointer) -> None:
    with home.ledger.writing():  # publishers wait for one another
        live = history(home)[-1]
        if live.after == release.name:
            swap_pointer(home.objects, pointer)


def _wanted(events: list[Event], name: str | None) -> Release:
    ever = [event.release for event in events if event.release]
    chosen = [r for r in ever if (r.name == name if name else r.name != ever[-1].name)]
    if chosen:
        return chosen[-1]
    names = ", ".join(dict.fromkeys(release.name for release in ever))
    raise PlanError(
        "rollback" if name is None else f"rollback to {name!r}",
        found="no release that was live before" if name is None else "no release of this name that was ever live",
        expected="at least two promotions" if name is None else f"one of {names or 'none yet'}",
        next_step="Look at `mediafm release history`.",
    )


def _check_kept(home: Home, release: Release, left: Pointer | None) -> None:
    of = {task: join_partition(encoder=release.encoder, task=task) for task in release.heads}
    heads = [ArtifactKey("probe_heads", of[task], fingerprint) for task, fingerprint in release.heads.items()]
    lost = [key.partition for key in heads if home.ledger.artifact(key) is None]
    if home.ledger.declared_one(RETIRED, release.encoder) is not None:
        raise retired_error(release)
    if lost or not (left or _has_titles(home, release)):
        raise ReleaseError(
            f"release {release.name!r}",
            found=f"its heads {', '.join(lost)} are missing" if lost else "no title has its predictions",
            expected="a release whose artifacts are kept",
            next_step="They were lost or deleted. Readers keep what they see; `mediafm rebuild` says what is gone.",
        )


def _has_titles(home: Home, release: Release) -> bool:
    back = replace(read_state(home), production=release.encoder, release=release)
    return bool(visible(back, desired(back)))


def publish_standing(home: Home) -> bool:
    """Let readers see the snapshot that is due, if it was made before; whether they see it now."""
    state = read_state(home)
    due = snapshot_step(state, desired(state))
    if due is None or due.key not in state.committed:
        return False
    publish(Bench(home, state, LogReporter()), due)
    return True


def hidden_titles(home: Home) -> int:
    """How many active titles readers do not see, since what is live has not read or scored them yet."""
    state = read_state(home)
    if state.production is None:
        return 0
    wanted = desired(state)
    return len(encoder_steps(wanted, state.production).contextual) - len(visible(state, wanted))
