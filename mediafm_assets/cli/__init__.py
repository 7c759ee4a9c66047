"""The `mediafm` command."""

import os
import sys

from mediafm_core.errors import GateError, IncompleteError, MediaFMError

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Threads of torch and of numpy. Their waiting threads spin: on a shared machine a second one makes small matrices many
times slower (docs/experiments.md), so one is the default; who has cores to spare sets these variables."""


_EXIT_CODES = {GateError: 3, IncompleteError: 4}


def main() -> None:
    """Run the command; a failure is one message on standard error, wrong usage is exit code 2.

    The exit code of a failure is 1, but 3 where the gate refused a candidate, and 4 where one is incomplete.
    """
    for pool in _POOLS:  # before numpy and torch are loaded, which read them once; runs of `mediafm dev` inherit them
        os.environ.setdefault(pool, "1")
    from mediafm_assets.cli.app import app

    try:
        app()
    except MediaFMError as error:
        message = f"{type(error).__name__}: {error}"
        if code := _EXIT_CODES.get(type(error)):
            print(message, file=sys.stderr)
        sys.exit(code or message)  # a string goes to standard error, with exit code 1
