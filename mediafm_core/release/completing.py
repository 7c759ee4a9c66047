"""Whether an encoder has what a release needs of each title, said as an error where it has not."""

from collections.abc import Sequence

from mediafm_core.errors import IncompleteError
from mediafm_core.identity import TitleId
from mediafm_core.planning.completeness import completeness
from mediafm_core.planning.desired import desired, encoder_steps
from mediafm_core.planning.state import State


def check_complete(encoder: str, state: State) -> tuple[TitleId, ...]:
    """The titles that the encoder goes without: parked ones that readers do not see now either.

    Raises:
        IncompleteError: it lacks others.
    """
    wanted = desired(state)
    steps, found = encoder_steps(wanted, encoder), completeness(state, wanted, encoder)
    if found.whole:
        return found.without
    culprit = f"encoder {encoder!r}"
    if found.lost:
        raise IncompleteError(
            culprit,
            found=f"readers would see {len(found.lost)} titles no more, whose steps are parked: {_some(found.lost)}",
            expected="every title that readers see now",
            next_step="Deliver them so that they can be read (their earlier delivery will do), or run `mediafm retry`.",
        )
    n_needed, first = len(steps.contextual) + len(steps.scored), found.missing[0].key
    raise IncompleteError(
        culprit,
        found=f"{len(found.missing)} of {n_needed} titles' embeddings or predictions missing, first {first.kind} of "
        f"{first.partition}",
        expected="those of every active title, but for parked ones that nobody sees",
        next_step="Run `mediafm apply`, and look at `mediafm status` for what fails.",
    )


def _some(titles: Sequence[str], n_shown: int = 5) -> str:
    return ", ".join(titles[:n_shown]) + (", …" if len(titles) > n_shown else "")
