"""Asking for the ablation of an encoder: nobody has one without."""

from dataclasses import asdict
from typing import NamedTuple

from mediafm_core.catalogue.declared import AblationWish
from mediafm_core.errors import PlanError
from mediafm_core.planning.desired import EncoderSteps, desired, encoder_steps
from mediafm_core.planning.state import State
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home


class Asked(NamedTuple):
    """What was declared, and what does not stand beside the encoder."""

    wish: AblationWish
    not_trained: tuple[str, ...]  # encoders of the same suite that make no row
    other_suites: tuple[str, ...]  # encoders of other suites, which no row can compare


def ask_ablation(home: Home, encoder: str) -> Asked:
    """Want an encoder taken apart, beside the trained encoders of its suite and all outside models of today.

    Asked again when these have changed, the ablation is made anew; else nothing changes.

    Raises:
        PlanError: there is no such encoder, or it has no heads yet.
    """
    state = read_state(home)
    steps = desired(state).encoders
    _check_heads(state, encoder_steps(desired(state), encoder), encoder)
    suites = {spec.name: spec.suite for spec in state.encoders}
    beside = [name for name, suite in suites.items() if suite == suites[encoder] and name != encoder]
    trained = tuple(name for name in beside if steps[name].trained.key in state.committed)
    outside = {name: body["table"] for name, body in home.ledger.declared("outside").items()}
    wish = AblationWish(encoder=encoder, others=trained, outside=outside)
    home.declare("ablation", encoder, asdict(wish))
    return Asked(
        wish,
        tuple(name for name in beside if name not in trained),
        tuple(name for name, suite in suites.items() if suite != suites[encoder]),
    )


def stop_asking(home: Home, encoder: str) -> bool:
    """Want no ablation of this encoder from now on; one that was made stays. False where nobody wanted it."""
    return encoder in read_state(home).ablations and home.declare("ablation", encoder, {})


def _check_heads(state: State, steps: EncoderSteps, encoder: str) -> None:
    missing = [task for task, step in steps.heads.items() if step.key not in state.committed]
    if missing or not steps.heads:
        raise PlanError(
            f"ablation of encoder {encoder!r}",
            found=f"no head yet for {', '.join(missing)}" if missing else "no labels for any task",
            expected="an encoder with its heads: their labels and titles are what every row is judged on",
            next_step="Run `mediafm apply`." if missing else "Set labels with `mediafm labels set TASK FILE`.",
        )
