"""What the documents name is there: files, commands, rooms, assets, weights."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import click
import pytest
import typer.main

from mediafm_assets.cli.app import app
from mediafm_core.catalogue.kinds import KINDS

ROOT = Path(__file__).parents[1]
DOCS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "samples" / "README.md"], key=lambda path: path.as_posix()
)
RECORDS = sorted(ROOT.glob("docs/adr/*.md"))

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"\bmediafm (?=[a-z])([^`|\n]*)")
_ABSOLUTE_PATH = re.compile(r"(?<![\w.:/)>\]}$~-])/[a-z][\w.-]*/")
_ISSUE = re.compile(r"\bissue #?\d|(?<![\w&])#\d")

every_document = pytest.mark.parametrize("path", DOCS, ids=lambda path: path.relative_to(ROOT).as_posix())


def prose(path: Path) -> str:
    """A document without its fenced code."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as forges make them."""
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(path)))
    return set(slugs)


@every_document
def test_relative_links_resolve(path: Path) -> None:
    for link in _LINK.findall(prose(path)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@every_document
def test_documents_name_no_place_on_one_machine_and_no_issue(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert _ABSOLUTE_PATH.findall(text) == []
    assert _ISSUE.findall(text) == []


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link in _LINK.findall(prose(ROOT / "README.md"))}
    pages = {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "docs" / "adr"} - {ROOT / "README.md"}
    assert pages <= linked


@every_document
def test_commands_and_their_options_exist(path: Path) -> None:
    tree = typer.main.get_command(app)
    for call in _COMMAND.findall(path.read_text(encoding="utf-8")):
        words = call.split()
        command, depth = tree, 0
        while isinstance(command, click.Group) or hasattr(command, "commands"):
            assert depth < len(words), f"mediafm {call}"
            assert words[depth] in command.commands, f"mediafm {call}"  # pyright: ignore[reportAttributeAccessIssue]
            command, depth = command.commands[words[depth]], depth + 1  # pyright: ignore[reportAttributeAccessIssue]
        named = ((*option.opts, *option.secondary_opts) for option in command.params)  # --x, and --no-x beside it
        options = set(chain.from_iterable(named)) | {"--help"}
        assert {word for word in words[depth:] if word.startswith("--")} <= options, f"mediafm {call}"


def test_the_readme_has_every_command_of_every_group() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = typer.main.get_command(app)
    groups = {name: getattr(command, "commands", {"": command}) for name, command in tree.commands.items()}  # pyright: ignore[reportAttributeAccessIssue]
    named = [f"`mediafm {group} {name}".rstrip() for group, commands in groups.items() for name in commands]
    assert [command for command in named if f"{command}`" not in readme and f"{command} " not in readme] == []


def test_decision_records_are_numbered_once_and_titled_so() -> None:
    numbers = [path.name[:4] for path in RECORDS]
    assert len(set(numbers)) == len(numbers)
    for path in RECORDS:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]}: "), path.name


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_decision_record_has_its_four_parts_in_order(path: Path) -> None:
    wanted = ["Context", "Decision", "Consequences", "Alternatives rejected"]
    assert [heading for heading in _HEADING.findall(prose(path)) if heading in wanted] == wanted


def test_the_rooms_are_those_of_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = chain.from_iterable(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8")
    assert [room for layer in layers for room in layer.split(" | ") if f"`{room}`" not in rooms] == []


def test_the_table_of_assets_is_the_table_of_kinds() -> None:
    table = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", (ROOT / "docs" / "concepts.md").read_text(), re.MULTILINE)
    assert table == [(kind.name, ", ".join(kind.axes) or "none") for kind in KINDS.values()]


def test_the_table_of_weights_is_the_manifest() -> None:
    manifest = tomllib.loads((ROOT / "mediafm_core" / "weights" / "manifest.toml").read_text())
    rows = re.findall(
        r"^\| ([\w-]+) \| [^|]+ \| ([\w.-]+ [\d.]+) \| ([\w.-]+) \|$", (ROOT / "README.md").read_text(), re.M
    )
    assert rows == [(name, f"{m['package']} {m['version']}", m["licence"]) for name, m in manifest.items()]


def test_the_deployment_template_is_one_that_dagster_reads() -> None:
    import yaml
    from dagster._config import validate_config
    from dagster._core.instance.config import dagster_instance_config_schema

    template = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert validate_config(dagster_instance_config_schema(), template).success
    assert template["telemetry"] == {"enabled": False}


@pytest.mark.parametrize("name", ["workspace.yaml", "docs/operations.md"])
def test_dagsters_own_commands_are_shown_with_both_variables(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "dagster dev -w workspace.yaml" in text
    assert 'MEDIAFM_HOME="$PWD/.mediafm" DAGSTER_HOME="$PWD/.mediafm/dagster"' in text
