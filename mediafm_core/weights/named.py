"""Which repository and revision of a hub a person means: by a short name, or as REPOSITORY@COMMIT."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from mediafm_core.errors import WeightsError
from mediafm_core.weights.hub import NO_LICENCE, HubModel, hub_models
from mediafm_core.weights.manifest import PinnedFile

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[\w-][\w.-]*")


class Named(NamedTuple):
    """A repository that has a short name."""

    modality: str
    """What it perceives."""
    repository: str
    licence: str = NO_LICENCE


@cache
def named() -> Mapping[str, Named]:
    """The repositories that have a short name, by it; pinned models also by the names of their pins."""
    text = files("mediafm_core.weights").joinpath("named.toml").read_text(encoding="utf-8")
    pinned = {model.name: Named(model.modality, model.repository, model.licence) for model in hub_models().values()}
    return {**pinned, **{name: Named(**record) for name, record in tomllib.loads(text).items()}}


def is_pinned(name: str) -> bool:
    """Whether this version knows a commit of the repository of a short name, with its files' hashes."""
    return any(model.repository == named()[name].repository for model in hub_models().values())


def model_named(choice: str, modality: str) -> HubModel:
    """The model that a choice means.

    Args:
        choice: a short name, NAME@COMMIT or REPOSITORY@COMMIT. Of a short name alone the pinned commit is meant.
        modality: what it shall perceive.

    Raises:
        WeightsError: no commit is given and none is pinned, or what is given is none; or the short name is one of a
            model that perceives something else.
    """
    name, _, revision = choice.partition("@")
    known = named().get(name, Named(modality, name))
    if known.modality != modality:
        raise WeightsError(
            f"model {name!r}",
            found=f"a model of {known.modality}",
            expected=f"one of {modality}",
            next_step=f"Give it as --{known.modality}.",
        )
    for pinned in hub_models().values():
        if pinned.repository == known.repository and revision in ("", pinned.revision):
            return pinned
    if not revision:
        raise WeightsError(
            f"model {name!r}, which is {known.repository}",
            found="no revision, and this version pins none",
            expected="a commit, 40 hex digits",
            next_step=f"Give --revision COMMIT, or write {name}@COMMIT; and with --sha256 FILE=HEX what you know.",
        )
    return HubModel(name=name, modality=modality, repository=known.repository, revision=revision, licence=known.licence)


def given_hashes(given: Iterable[str]) -> tuple[PinnedFile, ...]:
    """Files with their sha256, from FILE=HEX each.

    Raises:
        WeightsError: one is no name of a file beside the others, or no sha256; or a file is named twice.
    """
    found = tuple(PinnedFile(*each.rpartition("=")[::2]) for each in given)
    names = [file.path for file in found]
    for file in found:
        if not (_FILE.fullmatch(file.path) and _SHA256.fullmatch(file.sha256)) or names.count(file.path) > 1:
            raise WeightsError(
                f"--sha256 {file.path}={file.sha256}",
                found="a file that is named twice" if names.count(file.path) > 1 else "no such pair",
                expected="FILE=HEX, a file's name and 64 hex digits",
                next_step="Take the digits that `sha256sum FILE` prints, or those that the hub shows of the file.",
            )
    return found
