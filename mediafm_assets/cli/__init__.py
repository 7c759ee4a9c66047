"""The `mediafm` command."""

import sys

from mediafm_core.errors import MediaFMError


def main() -> None:
    """Run the command; a failure is one message on standard error and exit code 1, wrong usage is exit code 2."""
    from mediafm_assets.cli.app import app

    try:
        app()
    except MediaFMError as error:
        sys.exit(f"{type(error).__name__}: {error}")  # a string goes to standard error, with exit code 1
