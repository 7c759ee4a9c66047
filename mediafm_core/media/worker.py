"""The child process that decodes one title, or one picture or sound: `python -m mediafm_core.media.worker REQUEST`.

REQUEST is a JSON object. The process holds itself to the limits before it opens the media. On standard output it prints
the share that is done, one number per line, and where it fails one line with a JSON object that says why.
"""

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

from mediafm_core.errors import MediaError
from mediafm_core.media.limits import Limits

_REPORT_EVERY_S = 0.2


TITLE = "title"
SINGLE = "single"
"""What is decoded: a title in one pass, or a single picture or sound (`single`)."""


def request(path: Path, folder: Path, limits: Limits, cpu_s: int, what: str = TITLE) -> str:
    """The argument that makes the worker decode `path` into the empty `folder`."""
    places = {"path": str(path.absolute()), "folder": str(folder.absolute())}
    return json.dumps({**places, "limits": asdict(limits), "cpu_s": cpu_s, "what": what})


def main(argument: str) -> int:
    """Do what the request says; the exit status is 0, or 1 after a reason was printed."""
    asked = json.loads(argument)
    limits = Limits(**asked["limits"])
    _hold_to(limits, asked["cpu_s"])
    path, folder = Path(asked["path"]), Path(asked["folder"])
    try:
        if asked["what"] == SINGLE:
            from mediafm_core.media.single import decode_single_into

            decode_single_into(path, folder, limits)
        else:
            from mediafm_core.media.one_pass import decode_into

            decode_into(path, folder, limits, _Progress())
    except MediaError as error:
        return _say(culprit=error.culprit, found=error.found, expected=error.expected, next_step=error.next_step)
    except MemoryError:
        return _say(memory=limits.address_space_bytes)
    except OSError as error:
        return _say(errno=error.errno, message=str(error))
    return 0


def _say(**reason: object) -> int:
    print(json.dumps(reason), flush=True)
    return 1


def _hold_to(limits: Limits, cpu_s: int) -> None:
    _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + 5)
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_FSIZE, limits.max_file_bytes, limits.max_file_bytes)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, limits.address_space_bytes, limits.address_space_bytes)


def _lower(limit: int, soft: int, hard: int) -> None:
    """Set a limit, and leave it lower where the process is held to less already."""
    most = resource.getrlimit(limit)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(limit, (soft, hard))


class _Progress:
    """Prints the share that is done, a few times a second. Where nobody listens any more, that ends the process."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, share: float) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s or share >= 1.0:
            self._next_s = now_s + _REPORT_EVERY_S
            print(f"{share:.4f}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
