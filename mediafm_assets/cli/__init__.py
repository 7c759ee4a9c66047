"""The `mediafm` command."""

import os
import sys

from mediafm_core.errors import MediaFMError

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Threads of torch and of numpy. Their waiting threads spin: on a shared machine a second one makes small matrices many
times slower (docs/experiments.md), so one is the default; who has cores to spare sets these variables."""


def main() -> None:
    """Run the command; a failure is one message on standard error and exit code 1, wrong usage is exit code 2."""
    for pool in _POOLS:  # before numpy and torch are loaded, which read them once; runs of `mediafm dev` inherit them
        os.environ.setdefault(pool, "1")
    from mediafm_assets.cli.app import app

    try:
        app()
    except MediaFMError as error:
        sys.exit(f"{type(error).__name__}: {error}")  # a string goes to standard error, with exit code 1
