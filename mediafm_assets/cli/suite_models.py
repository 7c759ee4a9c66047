"""Which models the options of `mediafm suites` mean: a folder, an installed encoder, or one of a hub."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.errors import WeightsError

if TYPE_CHECKING:
    from mediafm_core.encoders.declaring import Chosen
    from mediafm_core.weights.hub import HubModel

PAPER = "paper"
"""The suite that has defaults."""

_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")

Choices = Mapping[str, str | None]
"""By modality what was chosen; None where nothing was."""


def with_revision(choices: Choices, revision: str | None) -> dict[str, str | None]:
    """The choices, with a revision that was given beside them written into the one that lacks it: NAME@COMMIT.

    Raises:
        WeightsError: none lacks one, or several do.
    """
    if revision is None:
        return dict(choices)
    lacking = {modality: choice for modality, choice in choices.items() if choice and _lacks_revision(choice)}
    _check_one("--revision", revision, lacking.values())
    return {**choices, **{modality: f"{choice}@{revision}" for modality, choice in lacking.items()}}


def _lacks_revision(choice: str) -> bool:
    from mediafm_core.weights.named import is_pinned, named

    if Path(choice).is_dir():
        return False
    return (_is_short(choice) and not is_pinned(choice)) if choice in named() else bool(_REPOSITORY.fullmatch(choice))


def _is_short(choice: str) -> bool:
    """Whether a choice is the short name of a hub's model; an installed encoder of that name goes before it."""
    from mediafm_core.encoders.plugins import plugged_in
    from mediafm_core.weights.named import named

    return choice in named() and choice not in plugged_in()


def _check_one(option: str, value: str, models: Iterable[str]) -> None:
    """Refuse what is given of a model where there are several, or none; one may stand for several modalities."""
    found = sorted(set(models))
    if len(found) != 1:
        raise WeightsError(
            f"{option} {value}",
            found=f"{' and '.join(found) or 'no model'} that it could be of",
            expected="one model of a hub that this version does not pin",
            next_step="Name each model as NAME@COMMIT, and fetch one at a time where you give hashes.",
        )


def is_at_hand(choice: str) -> bool:
    """Whether a choice is a folder, or an encoder that a package brings.

    Raises:
        EncoderMismatchError: it could be an encoder's name, and there is none of that name.
    """
    from mediafm_core.encoders.suites import specs_of

    if Path(choice).is_dir():
        return True
    return "@" not in choice and "/" not in choice and not _is_short(choice) and bool(specs_of(choice))


def options(choices: Choices) -> str:
    """The choices as they are written behind a command."""
    return "".join(f" --{modality} {choice}" for modality, choice in choices.items() if choice)


def hub_models_of(suite: str, choices: Choices, sha256: Sequence[str]) -> "dict[str, HubModel]":
    """By modality the models of a hub; one that is not pinned has the hashes that were given.

    Args:
        suite: its name.
        choices: none of them at hand.
        sha256: FILE=HEX each.

    Raises:
        WeightsError: a choice means no model, or it is not clear whose the hashes are.
    """
    from mediafm_core.weights.named import given_hashes

    found = {modality: hub_model(suite, modality, choice) for modality, choice in choices.items()}
    if hashes := given_hashes(sha256):
        unpinned = {modality: model for modality, model in found.items() if not model.files}
        _check_one("--sha256", sha256[0], [f"{model.repository}@{model.revision}" for model in unpinned.values()])
        found |= {modality: replace(model, hashes=hashes) for modality, model in unpinned.items()}
    return found


def hub_model(suite: str, modality: str, choice: str | None) -> "HubModel":
    """The model that stands for a modality: what was chosen, or the pinned one of the paper's suite."""
    from mediafm_core.weights.hub import hub_models
    from mediafm_core.weights.named import model_named

    if choice is not None:
        return model_named(choice, modality)
    if suite != PAPER:
        raise WeightsError(
            f"suite {suite!r}",
            found=f"no model for {modality}",
            expected=f"--{modality}, or the suite 'paper', which has one",
            next_step="Name a folder, REPOSITORY@COMMIT or an installed encoder.",
        )
    return next(model for model in hub_models().values() if model.modality == modality)


def tower(suite: str, modality: Any, choice: str | None, stills: int, again: str) -> "Chosen":
    """The encoder that was chosen for a modality.

    Args:
        suite: its name.
        modality: which.
        choice: as it was written; None for the paper's own.
        stills: that a tower of video looks at.
        again: the command that fetches what is lacking.

    Raises:
        WeightsError: what is chosen is not there, or was changed since it was fetched.
        EncoderMismatchError: no encoder of that name, or it perceives something else.
    """
    from mediafm_core import weights
    from mediafm_core.encoders.declaring import choose
    from mediafm_core.weights.hub import check_known
    from mediafm_core.weights.locked import check_locked

    if choice is None or ((_is_short(choice) or "@" in choice) and not Path(choice).is_dir()):
        model, cache = hub_model(suite, modality.value, choice), weights.cache_folder()
        folder = model.folder(cache)
        if not folder.is_dir():
            raise _not_fetched(suite, folder, again)
        check_known(model, folder, cache / "verified")
        check_locked(folder, folder, cache / "verified")
        choice = str(folder)
    return choose(modality, choice, stills_per_shot=stills)


def _not_fetched(suite: str, folder: Path, again: str) -> WeightsError:
    return WeightsError(
        f"suite {suite!r}",
        found=f"no folder {folder}",
        expected="a model that was fetched",
        next_step=f"Run `{again}` where there is a network, or name a folder.",
    )
