"""What the packages import is declared, what is declared is used, and the record of dependencies names both."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from mediafm_core.catalogue.suite import Instrument, Modality, UnimodalSpec
from mediafm_core.encoders import openai_text
from mediafm_core.encoders.suites import ENCODERS, JOINTS, TOWERS, libraries_of
from mediafm_core.store.home import provenance

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"mediafm_core", "mediafm_assets"}
NEVER_IMPORTED = {"dagster-webserver"}
"""`dagster dev` starts it."""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    """The distributions that a list of requirements names."""
    return {_plain(re.match(r"[\w.-]+", text).group()) for text in requirements}  # pyright: ignore[reportOptionalMemberAccess]


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, wherever in it."""
    return _names(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported_at_the_top(path: Path) -> set[str]:
    """The top-level names that are imported as soon as the file is."""
    return _names(ast.parse(path.read_text(encoding="utf-8")).body)


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


SOURCES = [path for room in sorted(OURS) for path in (ROOT / room).rglob("*.py")]
PAPER = declared(PROJECT["optional-dependencies"]["paper"])


def distributions_of(names: set[str]) -> set[str]:
    """The distributions that ship these top-level names."""
    shipped_by = packages_distributions()
    return {_plain(shipped_by[name][0]) for name in names}


def test_dependencies_are_what_the_packages_import() -> None:
    names = set().union(*map(imported, SOURCES))
    assert distributions_of(names) | NEVER_IMPORTED == declared(PROJECT["dependencies"]) | PAPER


def test_what_only_the_papers_suite_needs_is_imported_inside_functions() -> None:
    tops = {name for path in SOURCES for name in imported_at_the_top(path)}
    assert distributions_of(tops) & PAPER == set()


def imported_by_way_of(module: str) -> set[str]:
    """The top-level names that a module imports, and those of its own room that it imports."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    froms = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    beside = {name for name in froms if name and name.startswith("mediafm_core.encoders.")}
    return imported(path).union(*map(imported_by_way_of, beside))


CARRYING = {"httpx2", "safetensors", "tiktoken"}
"""They bring bytes, or count them, and move no number."""


@pytest.mark.parametrize("name", sorted({*ENCODERS, *TOWERS, *JOINTS, openai_text.NAME}))
def test_what_an_encoder_imports_is_told_beside_its_vectors(name: str) -> None:
    table = {**ENCODERS, **TOWERS, **JOINTS}
    module = table[name].load.__module__ if name in table else openai_text.__name__
    instrument = Instrument(name=name, weights_sha256="0" * 64)
    told = provenance(libraries_of(UnimodalSpec(modality=Modality.VIDEO, dims=1, instrument=instrument)))
    assert distributions_of(imported_by_way_of(module)) - CARRYING <= told.keys()


def test_the_record_names_every_dependency() -> None:
    (record,) = (ROOT / "docs" / "adr").glob("0004-*.md")
    table = record.read_text(encoding="utf-8").partition("## Consequences")[0]
    named = {_plain(name) for row in re.findall(r"^\| ([^|]+) \|", table, re.M) for name in re.findall(r"[\w.-]+", row)}
    assert declared(PROJECT["dependencies"]) - named == set()
