"""A name has one place: rooms hand on no names of other files; only the package's public face does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FACES = {ROOT / "mediafm_core" / "__init__.py"}
ROOMS = sorted({*ROOT.glob("mediafm_*/**/__init__.py")} - FACES)


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_room_hands_on_no_names(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom | ast.Import) for a in n.names}
    exported = {c.value for n in tree.body if isinstance(n, ast.Assign) for c in ast.walk(n.value) if _is_text(c)}
    assert imported & exported == set()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
