"""A package with an encoder, installed into a folder: the example of docs/encoders.md and its metadata, as written."""

import re
from pathlib import Path

_DOCUMENT = Path(__file__).parents[1] / "docs" / "encoders.md"


def install_example(site: Path, *, name: str = "mean-colour", target: str = "mean_colour:ENTRY") -> Path:
    """Write the example's module and the metadata that pip would; give the folder that belongs on the path."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    (module,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "ENTRY = " in block)
    assert '[project.entry-points."mediafm.encoders"]\nmean-colour = "mean_colour:ENTRY"' in text
    assert module.count("\n") <= 45
    metadata = site / f"{target.partition(':')[0]}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "mean_colour.py").write_text(module)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {metadata.name.partition('-')[0]}\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(f"[mediafm.encoders]\n{name} = {target}\n")
    return site
