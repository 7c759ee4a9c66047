"""Commands as a person runs them: what they write, what they say as they fail, and with which exit code."""

import sys
from contextlib import redirect_stderr
from io import StringIO

import pytest
from typer.testing import CliRunner

from mediafm_assets.cli import main
from mediafm_assets.cli.app import app
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import POINTER


def told(home: Home, *arguments: object) -> str:
    """What a command that succeeds writes."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(home: Home, *arguments: object) -> str:
    """What the whole command says on standard error as it exits with 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mediafm", *map(str, arguments), "--home", str(home.root)])
        with pytest.raises(SystemExit) as exit_:
            main()
    assert isinstance(exit_.value.code, str)  # Python writes it to standard error and exits with 1
    return exit_.value.code


def exits_with(home: Home, code: int, *arguments: object) -> str:
    """What the whole command says on standard error as it exits with another code than 1."""
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as said:
        patch.setattr(sys, "argv", ["mediafm", *map(str, arguments), "--home", str(home.root)])
        with pytest.raises(SystemExit) as exit_:
            main()
    assert exit_.value.code == code
    return said.getvalue()


def stated(home: Home) -> tuple[object, bytes]:
    """All declarations, and the pointer."""
    return home.ledger.declarations(), (home.root / POINTER).read_bytes()
