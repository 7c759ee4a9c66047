"""Facts of an artifact as Dagster shows them: numbers with their units, tables, links."""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

import dagster as dg

from mediafm_core.workbench import Outcome, Status

SHOWN_ROWS = 50
"""At most so many rows of a table go into one event."""


def facts_metadata(facts: Mapping[str, Any]) -> dict[str, dg.MetadataValue]:
    """One entry for each fact; None, which Dagster cannot draw, is left out."""
    return {name: _value(fact) for name, fact in facts.items() if fact is not None}


def _value(fact: Any) -> dg.MetadataValue:
    match fact:
        case bool():
            return dg.MetadataValue.bool(fact)
        case int():
            return dg.MetadataValue.int(fact)
        case float():
            return dg.MetadataValue.float(fact)
        case str():
            return dg.MetadataValue.text(fact)
        case list() if fact and all(isinstance(row, Mapping) for row in fact):
            return table_metadata(fact)
        case _:
            return dg.MetadataValue.json(fact)


def table_metadata(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """Rows of plain values as a table; the first ones, where there are many; in words where there are none.

    A column that a row does not have is empty there.
    """
    if not rows:
        return dg.MetadataValue.text("none")
    columns = dict.fromkeys(name for row in rows for name in row)
    records = [dg.TableRecord({name: _cell(row.get(name)) for name in columns}) for row in rows[:SHOWN_ROWS]]
    return dg.MetadataValue.table(records)


def _cell(cell: Any) -> str | int | float | bool | None:
    return cell if isinstance(cell, str | int | float | bool | None) else str(cell)


def outcome_metadata(outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """What an event about one artifact carries."""
    return {
        **facts_metadata(outcome.facts),
        "fingerprint": dg.MetadataValue.text(outcome.key.fingerprint),
        "seconds": dg.MetadataValue.float(round(outcome.seconds, 3)),
        "outcome": dg.MetadataValue.text(outcome.status.value),
    }


def summary_metadata(outcomes: Sequence[Outcome]) -> dict[str, dg.MetadataValue]:
    """What the one event of a run over many partitions carries: the figures per partition are in the ledger."""
    rows = [{"partition": o.key.partition, "outcome": o.status.value, "seconds": round(o.seconds, 3)} for o in outcomes]
    counts = {status: sum(1 for o in outcomes if o.status is status) for status in Status}
    return {
        **{f"n_{status.value}": dg.MetadataValue.int(count) for status, count in counts.items() if count},
        "seconds": dg.MetadataValue.float(round(fsum(o.seconds for o in outcomes if o.status is Status.MADE), 3)),
        "partitions": table_metadata(rows),
    }
