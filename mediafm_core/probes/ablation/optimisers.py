"""The post's finding on Muon, judged where two encoders differ in nothing but what moved their weights."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.pretraining.changes import changed
from mediafm_core.pretraining.config import Optimiser
from mediafm_core.pretraining.recipes import command_of
from mediafm_core.probes.ablation.findings import Finding, Rule, contrast, verdict_by
from mediafm_core.probes.ablation.rows import AblationRow
from mediafm_core.probes.comparing import resampled

CLAIM: Final = "Muon for the blocks' matrices trains noticeably better than AdamW alone."

_MOVED_BY: Final = ("optimiser", "muon_rate", "adamw_rate")
"""Fields of the trainer in which the two may differ: each optimiser has rates of its own."""


class Trained(NamedTuple):
    """An encoder that has rows in the ablation."""

    features: str  # the name of its rows
    spec: EncoderSpec
    held_out_loss: float | None  # of Masked Shot Modeling, on titles held out of its training


class Duels(NamedTuple):
    """Encoders that differ by the optimiser alone."""

    pairs: tuple[tuple[str, str], ...]  # the rows of one by Muon and one by AdamW
    note: str  # their losses; where there is no pair, the command that makes one

    @property
    def features(self) -> frozenset[str]:
        """The rows that are in a pair."""
        return frozenset(name for pair in self.pairs for name in pair)


def duels_of(own: Trained, others: Iterable[Trained]) -> Duels:
    """Which of the others differ from an encoder in the optimiser and its rates, and in nothing else.

    Suite, corpus, seed and all else of the configuration are equal.
    """
    rivals = [other for other in others if _all_else(other.spec) == _all_else(own.spec)]
    rivals = [other for other in rivals if _optimiser(other.spec) is not _optimiser(own.spec)]
    if not rivals:
        return Duels((), f"No other encoder here differs in the optimiser alone. {_how(own.spec)}")
    by_muon = _optimiser(own.spec) is Optimiser.MUON
    pairs = ((own.features, r.features) if by_muon else (r.features, own.features) for r in rivals)
    losses = ", ".join(f"{each.features} {_said(each.held_out_loss)} ({_rates(each.spec)})" for each in (own, *rivals))
    return Duels(tuple(pairs), f"One training each. Losses on titles held out, which have no interval: {losses}.")


def muon_finding(rows: Iterable[AblationRow], duels: Duels, *, n_draws: int = 200, seed: int = 0) -> Finding:
    """Judge it by the tasks, as the other findings are; undecided where there is no pair."""
    draws = {
        (r.row.task, r.row.features): resampled(r.held_out, n_draws=n_draws, seed=seed)
        for r in rows
        if r.row.features in duels.features
    }
    found = tuple(
        contrast(f"{task}: {muon} - {adamw}", draws[task, muon].less(draws[task, adamw]))
        for muon, adamw in duels.pairs
        for task in dict.fromkeys(task for task, _ in draws)
    )
    return Finding(CLAIM, Rule.MOST, verdict_by(Rule.MOST, [c.verdict for c in found]), found, duels.note)


def _config(spec: EncoderSpec) -> dict[str, Any]:
    return changed(spec.config, ())  # fields that were added since, spelled out


def _optimiser(spec: EncoderSpec) -> Optimiser:
    return Optimiser(_config(spec)["trainer"]["optimiser"])


def _all_else(spec: EncoderSpec) -> tuple[object, ...]:
    config: Mapping[str, Any] = _config(spec)
    trainer = {name: value for name, value in config["trainer"].items() if name not in _MOVED_BY}
    return spec.suite, spec.corpus, spec.seed, {**config, "trainer": trainer}


def _rates(spec: EncoderSpec) -> str:
    trainer = _config(spec)["trainer"]
    adamw = f"AdamW at {trainer['adamw_rate']:g}"
    return f"Muon at {trainer['muon_rate']:g} and {adamw}" if _optimiser(spec) is Optimiser.MUON else adamw


def _how(spec: EncoderSpec) -> str:
    other = Optimiser.ADAMW if _optimiser(spec) is Optimiser.MUON else Optimiser.MUON
    rival = replace(spec, name=f"{spec.name}-{other}", config=changed(spec.config, [f"trainer.optimiser={other}"]))
    return (
        f"To decide it, run `{command_of(rival)}` while the home has just the titles that {spec.name} was trained on, "
        f"then `mediafm apply` and `mediafm encoder ablate {spec.name}`. Give it rates of its own by --set: those that "
        "suit one optimiser put the other at a disadvantage."
    )


def _said(loss: float | None) -> str:
    return "unknown" if loss is None else f"{loss:.4f}"
