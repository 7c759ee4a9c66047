"""Decode a title in a child process that can be stopped, and keep what it left only if it is whole."""

import errno
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mediafm_core.errors import MediaError
from mediafm_core.media.declared import probe
from mediafm_core.media.limits import Limits
from mediafm_core.media.single import DECODED, check_is_single
from mediafm_core.media.worker import SINGLE, TITLE, request
from mediafm_core.media.working_set import WorkingSet

_ROOT = Path(__file__).parents[2]
_N_LAST_LINES = 3
_STOPPED_BY = {
    signal.SIGXCPU: "decoding used up its CPU seconds",
    signal.SIGKILL: "decoding used up its wall seconds, or was killed",
    signal.SIGSEGV: "the decoder crashed",
    signal.SIGABRT: "the decoder gave up",
}

Report = Callable[[float], None]


def decode(path: Path, into: Path, report: Report | None = None, limits: Limits | None = None) -> WorkingSet:
    """Decode a title once, into a folder that appears whole or not at all.

    The child works under a temporary name beside `into` (`.NAME.*`), with none of this process's environment. A folder
    that stands at `into` already, or that another process put there meanwhile, is kept and opened: name it by the
    media's content hash.

    Args:
        path: the media file.
        into: the folder to make; its parents are made where they are missing.
        report: takes the share that is done, rising to 1.
        limits: what the file may cost.

    Raises:
        MediaError: the file is refused: not opened, over a limit, or not decoded to what it declares.
        OSError: the disk is full or cannot be written.
    """
    if into.is_dir():
        return WorkingSet.open(into)
    limits = limits or Limits()
    info = probe(path, limits)
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as temporary:
        folder = Path(temporary) / "whole"
        folder.mkdir()
        _run(path, folder, limits, info.duration_s, report or (lambda _: None))
        _rename_unless_there(folder, into)
    return WorkingSet.open(into)


def decode_single(path: Path, limits: Limits | None = None) -> NDArray[np.uint8] | NDArray[np.int16]:
    """Decode one picture or one sound, in a child process under the same limits.

    Returns:
        Of a picture (1, h, w, 3) uint8 RGB, upright, the short side 224 pixels; of a sound (n,) int16, 16 kHz mono.

    Raises:
        MediaError: the file is no picture or sound of a known format, is damaged, or is over a limit.
    """
    check_is_single(path)
    with tempfile.TemporaryDirectory(prefix="mediafm-single-") as temporary:
        folder = Path(temporary)
        _run(path, folder, limits or Limits(), 0.0, lambda _: None, what=SINGLE)
        return np.load(folder / DECODED, allow_pickle=False)


def _rename_unless_there(folder: Path, into: Path) -> None:
    try:
        folder.rename(into)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _run(
    path: Path, folder: Path, limits: Limits, declared_s: float | None, report: Report, *, what: str = TITLE
) -> None:
    """Run the worker to its end, forward its progress, and raise what it says."""
    argument = request(path, folder, limits, limits.cpu_s(declared_s), what)
    last: deque[str] = deque(maxlen=_N_LAST_LINES)
    with _child(argument, limits.wall_s(declared_s)) as child:
        assert child.stdout is not None
        for line in child.stdout:
            share = _share(line)
            if share is None:
                last.append(line.strip())
            else:
                report(share)
    if child.returncode != 0:
        _raise(path, child.returncode, list(last))


@contextmanager
def _child(argument: str, wall_s: float) -> Iterator[subprocess.Popen[str]]:
    """The running worker; killed after `wall_s` seconds, and when the body is left early."""
    command = [sys.executable, "-X", "utf8", "-m", "mediafm_core.media.worker", argument]
    child = subprocess.Popen(  # noqa: S603 - our own worker; the file's name stands inside a JSON argument
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PYTHONPATH": str(_ROOT)},
        text=True,
        errors="replace",
    )
    clock = threading.Timer(wall_s, child.kill)
    clock.daemon = True
    clock.start()
    with child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise
        finally:
            child.wait()
            clock.cancel()


def _share(line: str) -> float | None:
    try:
        return float(line)
    except ValueError:
        return None


def _raise(path: Path, status: int, last: list[str]) -> NoReturn:
    reason = _reason(last[-1]) if last else {}
    if "errno" in reason:
        raise OSError(reason["errno"], reason["message"])
    if "culprit" in reason:
        raise MediaError(**reason)
    if "memory" in reason:
        found = f"decoding needs more than {reason['memory']:,} bytes of memory"
    elif status < 0:
        found = _STOPPED_BY.get(signal.Signals(-status), f"decoding was stopped by {signal.Signals(-status).name}")
    else:
        found = f"decoding failed: {' | '.join(last)}"
    raise MediaError(
        f"media {path.name!r}",
        found=found,
        expected="a file that decodes within its limits",
        next_step="Check that it plays, deliver a smaller copy, or raise the limit on purpose.",
    )


def _reason(line: str) -> dict[str, Any]:
    """The JSON object of the worker's last line; empty where the line is none."""
    try:
        reason = json.loads(line)
    except ValueError:
        return {}
    return reason if isinstance(reason, dict) else {}
