"""What a ledger holds, for comparison."""

import json
from typing import Any

from mediafm_core.store.ledger import Ledger


def dump(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """What can be made again from the home's objects: artifacts and declarations."""
    artifacts = sorted(ledger.artifacts(), key=lambda row: row.key)
    return {
        "artifacts": [{**row._asdict(), "manifest": json.loads(row.manifest.to_json())} for row in artifacts],
        "declarations": [declaration._asdict() for declaration in ledger.declarations()],
    }
