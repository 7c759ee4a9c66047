"""A package with an encoder, installed into a folder: an example of docs/encoders.md and its metadata, as written."""

import re
from pathlib import Path

_DOCUMENT = Path(__file__).parents[1] / "docs" / "encoders.md"


def install_example(site: Path, *, of: str = "mean-colour", name: str | None = None, target: str | None = None) -> Path:
    """Write an example's module and the metadata that pip would; give the folder that belongs on the path.

    Args:
        site: the folder.
        of: which example, by its entry point.
        name: another name of the entry point than the document's.
        target: another object than the document's.
    """
    file = of.replace("-", "_")
    target, text = target or f"{file}:ENTRY", _DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (module,) = (block for block in blocks if "ENTRY = " in block and f'= "{of}", ' in block)
    assert f'[project.entry-points."mediafm.encoders"]\n{of} = "{file}:ENTRY"' in text
    assert module.count("\n") <= 45
    metadata = site / f"{target.partition(':')[0]}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / f"{file}.py").write_text(module)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {metadata.name.partition('-')[0]}\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(f"[mediafm.encoders]\n{name or of} = {target}\n")
    return site
