"""What an artifact looks like: small pictures and tables for the page of an asset, drawn when its event is made."""

import base64
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from mediafm_assets.metadata import SHOWN_ROWS, table_metadata
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome

_N_PICTURES = 12
_SHEET_COLUMNS = 4

Preview = Callable[[Home, Outcome], dict[str, dg.MetadataValue]]


def preview(home: Home, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """Pictures and tables of a finished artifact; nothing for kinds that have none."""
    draw = _PREVIEWS.get(outcome.key.kind)
    return draw(home, outcome) if draw else {}


def _rows(home: Home, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    table = pq.read_table(BytesIO(home.read(outcome.key)))
    return {"rows": table_metadata([_rounded(row) for row in table.slice(0, 50).to_pylist()])}


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(cell, 3) if isinstance(cell, float) else cell for name, cell in row.items()}


def _contact_sheet(home: Home, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """An even sample of a title's shots as one picture."""
    from PIL import Image

    pictures = pq.read_table(BytesIO(home.read(outcome.key)), columns=["picture"])["picture"].to_pylist()
    n_shown = min(_N_PICTURES, len(pictures))
    shown = [Image.open(BytesIO(pictures[i * len(pictures) // n_shown])) for i in range(n_shown)]
    width, height = (max(side) for side in zip(*(image.size for image in shown), strict=True))
    n_rows = -(-n_shown // _SHEET_COLUMNS)
    sheet = Image.new("RGB", (width * min(_SHEET_COLUMNS, n_shown), height * n_rows))
    for i, image in enumerate(shown):
        sheet.paste(image, (i % _SHEET_COLUMNS * width, i // _SHEET_COLUMNS * height))
    sheet_bytes = BytesIO()
    sheet.save(sheet_bytes, "JPEG", quality=75)
    return {"shots": _picture("an even sample of the shots", "image/jpeg", sheet_bytes.getvalue())}


def _training(_home: Home, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """The curve of an encoder's training, drawn beside the baselines, and its figures at some steps."""
    curve = outcome.facts.get("curve")
    if not curve:
        return {}  # trained by an earlier version, or the curve was lost
    return curve_metadata(
        curve, {row["name"]: row["loss"] for row in outcome.facts["baselines"] if row["name"] != "encoder"}
    )


def curve_metadata(
    curve: Sequence[Mapping[str, float]], levels: Mapping[str, float] = MappingProxyType({})
) -> dict[str, dg.MetadataValue]:
    """A training's curve, drawn with the baselines where they are known, and as a table.

    Args:
        curve: its rows, at least one.
        levels: the baselines' losses by name.
    """
    from mediafm_core.reports.training import training_picture

    drawn = _picture("losses over the steps", "image/svg+xml", training_picture(curve, levels))
    n_shown = min(SHOWN_ROWS, len(curve))
    shown = [curve[-(i * len(curve) // n_shown) - 1] for i in reversed(range(n_shown))]  # evenly, the last one always
    return {"training": drawn, "curve": table_metadata(shown)}


def _ablation(home: Home, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """For each task its rows as a table, best first, and the same drawn; and which rows there are not, and why."""
    from mediafm_core.reports.ablation_plot import dots_picture
    from mediafm_core.reports.gather_ablation import task_rows
    from mediafm_core.store.manifest import read_document

    document = read_document(home.read(outcome.key))
    absent = [{"row": row, "why": why} for row, why in document.get("absent", {}).items()]
    shown = {"rows that are not there": table_metadata(absent)} if absent else {}
    for task in document["tasks"]:
        found = task_rows(document, task)
        drawn = dots_picture(found.rows, metric=found.metric)
        shown[f"{task} drawn"] = _picture(f"the rows of {task}", "image/svg+xml", drawn)
        shown[task] = table_metadata([_rounded(row._asdict()) for row in found.rows])
    return shown


def _canaries(home: Home, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """The last measurement: the verdict, what moved, and the figures."""
    from mediafm_core.drift.history import history

    measured = history(home, outcome.key.partition)
    if not measured:
        return {}
    last = measured[-1]
    rows = [{"of": name, **moved, "held to": last.limits[name]["rule"]} for name, moved in last.movements.items()]
    scores = [{"task": task, **shift} for task, shift in last.scores.items()]
    around = [{"what": name, "at the reference": was, "now": now} for name, (was, now) in last.surroundings.items()]
    return {
        "verdict": dg.MetadataValue.text(last.said),
        **({"sees": dg.MetadataValue.text("; ".join(last.sees_said))} if last.sees_said else {}),
        "findings": table_metadata([*last.findings]),
        "movement": table_metadata(rows),
        "scores": table_metadata(scores),
        "surroundings": table_metadata(around),
        "measurements": dg.MetadataValue.int(len(measured)),
    }


def _picture(described: str, media_type: str, data: bytes) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"![{described}](data:{media_type};base64,{base64.b64encode(data).decode()})")


_PREVIEWS: Mapping[str, Preview] = MappingProxyType(
    {
        "shots": _rows,
        "timed_text": _rows,
        "thumbnails": _contact_sheet,
        "mediafm_encoder": _training,
        "ablation_report": _ablation,
        "canaries": _canaries,
    }
)
