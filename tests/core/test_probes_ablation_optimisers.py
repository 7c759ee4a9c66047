"""The finding on Muon: two encoders are held against each other where nothing but the optimiser differs."""

from dataclasses import replace

import numpy as np
import pytest

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.pretraining.changes import changed
from mediafm_core.pretraining.presets import preset_config
from mediafm_core.probes.ablation.findings import Verdict
from mediafm_core.probes.ablation.optimisers import Duels, Trained, duels_of, muon_finding
from mediafm_core.probes.ablation.rows import AblationRow
from mediafm_core.probes.labels import OutOfFold, label_set
from mediafm_core.probes.report import CONTEXTUAL, row_of
from mediafm_core.probes.tasks import TASKS

CONFIG = preset_config("mediafm", modality_dims=(4, 3, 3), metadata_dims=3)
OWN = EncoderSpec(name="v1", suite="tiny", corpus=(), config=CONFIG, seed=0)


def other(*changes: str, **fields: object) -> Trained:
    spec = replace(OWN, name="v2", config=changed(CONFIG, changes), **fields)
    return Trained("encoder v2", spec, 0.75)


def trained(spec: EncoderSpec = OWN) -> Trained:
    return Trained(CONTEXTUAL, spec, 0.7)


def rows(by_muon: float, by_adamw: float) -> list[AblationRow]:
    rng = np.random.default_rng(0)
    ids, positive = [f"title-{i // 8:03d}" for i in range(960)], rng.random(960) < 0.3
    named = [["positive"] if x else [] for x in positive]
    labels = label_set(TASKS["retrieval"], ids, np.arange(960), np.arange(960) + 1, labels=named)
    found = []
    for name, quality in ((CONTEXTUAL, by_muon), ("encoder v2", by_adamw)):
        noise = rng.normal(size=labels.targets.shape)
        out = OutOfFold(labels, (quality * labels.targets + noise).astype(np.float32))
        found.append(AblationRow(row_of(name, out, 1, n_draws=20), out, 1, 1))
    return found


def test_an_encoder_that_differs_in_optimiser_and_rates_alone_is_a_rival_whichever_of_the_two_is_asked_about() -> None:
    rival = other("trainer.optimiser=adamw", "trainer.adamw_rate=0.001")
    assert duels_of(trained(), [rival]).pairs == ((CONTEXTUAL, "encoder v2"),)
    swapped = duels_of(trained(rival.spec), [Trained("encoder v1", OWN, None)])
    assert swapped.pairs == (("encoder v1", CONTEXTUAL),)
    assert "unknown" in swapped.note


@pytest.mark.parametrize(
    "rival",
    [
        other(),
        other("trainer.muon_rate=0.02"),
        other("trainer.optimiser=adamw", "trainer.steps=7"),
        other("trainer.optimiser=adamw", seed=1),
        other("trainer.optimiser=adamw", suite="else"),
    ],
    ids=["nothing", "a rate", "steps too", "seed too", "suite too"],
)
def test_without_a_rival_the_finding_is_undecided_and_says_how_to_decide_it(rival) -> None:
    duels = duels_of(trained(), [rival])
    assert duels.pairs == ()
    found = muon_finding(rows(1, 1), duels, n_draws=20)
    assert (found.verdict, found.contrasts) == (Verdict.UNDECIDED, ())
    assert "mediafm encoder train v1-adamw --preset mediafm" in found.note
    assert "--set trainer.optimiser=adamw" in found.note
    assert "rates of its own" in found.note


@pytest.mark.parametrize(
    ("by_muon", "by_adamw", "verdict"), [(3, 0, Verdict.HOLDS), (0, 3, Verdict.REFUTED), (1, 1, Verdict.UNDECIDED)]
)
def test_with_a_rival_the_tasks_decide_by_paired_intervals_and_losses_are_told(by_muon, by_adamw, verdict) -> None:
    duels = duels_of(trained(), [other("trainer.optimiser=adamw")])
    found = muon_finding(rows(by_muon, by_adamw), duels, n_draws=50)
    assert found.verdict is verdict
    assert [c.says for c in found.contrasts] == [f"retrieval: {CONTEXTUAL} - encoder v2"]
    assert "contextual 0.7000 (Muon at 0.03 and AdamW at 0.009), encoder v2 0.7500 (AdamW at 0.009)" in found.note


def test_rows_outside_of_a_pair_decide_nothing() -> None:
    assert muon_finding(rows(3, 0), Duels((), "none"), n_draws=20).contrasts == ()
