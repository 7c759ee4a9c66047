"""What the post found, judged on titles that no encoder learnt: `python -m bench.quality_findings --world 7 8`.

The titles that the measurement of quality scores, its encoders by `mediafm` of the first seed, and for the optimisers
one by AdamW alone. Rows are out of fold, as in an ablation. Encoders that are not kept are trained first.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measuring import torch_threads
from bench.quality import ENCODERS
from bench.quality_encoders import Setting, encoder_of
from bench.quality_table import markdown
from bench.quality_titles import Catalogue
from mediafm_core.probes.ablation.findings import JUDGED, Finding, findings
from mediafm_core.probes.ablation.material import Material, TitleMaterial
from mediafm_core.probes.ablation.optimisers import Duels, muon_finding
from mediafm_core.probes.ablation.rows import ablation_rows
from mediafm_core.probes.ablation.variants import Family, families
from mediafm_core.probes.report import CONTEXTUAL

BY_MUON = Setting("mediafm", ["trainer.gru_steps=0"])
BY_ADAMW = Setting("mediafm", [*BY_MUON.changes, "trainer.optimiser=adamw", "trainer.adamw_rate=0.0017"])
RIVAL = "by AdamW alone"
SEED = 0


def judged(catalogue: Catalogue, encoders: Path) -> list[Finding]:
    """The findings in one world.

    Args:
        catalogue: its titles; those that are scored are judged on.
        encoders: the folder where encoders are kept.
    """
    own, rival = (encoder_of(catalogue, setting, SEED, encoders).model for setting in (BY_MUON, BY_ADAMW))
    made = families(_material(catalogue), own, CONTEXTUAL, others={RIVAL: rival})
    labels = [held_out for _, held_out in catalogue.labels.values()]
    rows = []
    for each in ablation_rows(labels, _only(made, JUDGED | {CONTEXTUAL, RIVAL})):
        sys.stderr.write(f"row {each.n_done}/{each.n_in_all}: {each.row.task}, {each.row.features}\n")
        rows.append(each)
    return [*findings(rows), muon_finding(rows, Duels(((CONTEXTUAL, RIVAL),), "one training each"))]


def _only(made: Sequence[Family], names: frozenset[str]) -> list[Family]:
    kept = (family._replace(variants=tuple(v for v in family.variants if v.name in names)) for family in made)
    return [family for family in kept if family.variants]


def _material(catalogue: Catalogue) -> Material:
    c = catalogue.world.config
    return Material(
        suite=catalogue.world.suite.id,
        modality_dims=(c.video_dims, c.audio_dims, c.text_dims),
        metadata_dims=c.text_dims,
        titles={
            made.given.id: TitleMaterial(
                made.given.story.starts_s, made.given.story.ends_s, made.arrays.fused, made.arrays.metadata
            )
            for made in catalogue.scored
        },
    )


def table(number: int, found: Sequence[Finding]) -> str:
    """Findings with their contrasts, as Markdown."""
    lines: list[list[object]] = []
    for finding in found:
        lines.append([f"**{finding.claim}**", f"**{finding.verdict}**", ""])
        lines += [
            [c.says, c.verdict, f"{c.interval.value:+.3f} [{c.interval.low:+.3f}, {c.interval.high:+.3f}]"]
            for c in finding.contrasts
        ]
    return markdown([f"world {number}", "verdict", "value"], lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings of each world that is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality_findings", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--world", type=int, nargs="+", default=[7, 8], help="seeds of narrative worlds")
    parser.add_argument("--titles", type=int, nargs=3, default=[1500, 220, 300], help="learnt, passed over, judged on")
    parser.add_argument("--encoders", type=Path, default=ENCODERS, help="where encoders are kept, and found again")
    asked = parser.parse_args(arguments)
    with torch_threads(1):
        for number in asked.world:
            print(table(number, judged(Catalogue(number, *asked.titles), asked.encoders)), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
