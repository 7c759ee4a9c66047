"""Where the models of a suite come from, and under which licence: as pinned here, or as their own folder says."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mediafm_core.catalogue.suite import DELIVERED, SERVER, Instrument
from mediafm_core.weights.folders import SOURCE
from mediafm_core.weights.hub import HubModel, hub_models
from mediafm_core.weights.manifest import manifest


class Origin(NamedTuple):
    """What may be told of where a model comes from."""

    licence: str
    source: str


def origin_of(instrument: Instrument, place: Mapping[str, Any]) -> Origin:
    """Where a model comes from.

    Args:
        instrument: the model as it is used.
        place: what the home declares of where it is, see `encoders.declaring.place_of`; empty for nothing.

    Returns:
        The licence that this version pins for these files, or for this revision of a repository. Else what the folder
        itself told when the suite was added, marked as that. Licences of what runs elsewhere are not known.
    """
    if ours := next((m for m in manifest().values() if m.sha256 == instrument.weights_sha256), None):
        return Origin(ours.licence, ours.source)
    if fetched := _pinned_on_hub(instrument, place):
        return Origin(fetched.licence, f"{fetched.repository}@{fetched.revision}")
    told = "@".join(str(place[name]) for name in ("repository", "revision") if place.get(name))
    if told or place.get("licence"):
        return Origin(str(place.get("licence") or "not stated"), f"{told or 'a folder'}, by its {SOURCE}")
    if instrument.settings.get(DELIVERED):
        return Origin("not known here", "made elsewhere, and delivered")
    if server := instrument.settings.get(SERVER):
        return Origin("not known here", f"{instrument.settings.get('model', 'a model')} behind {server}")
    return Origin("not known here", "not pinned by this version")


def _pinned_on_hub(instrument: Instrument, place: Mapping[str, Any]) -> HubModel | None:
    """The pinned model whose files these are.

    Where a checkpoint was converted, the weights themselves are no pinned file any more: then the folder's word for
    repository and revision counts, unless another file is not the pinned one.
    """
    read: Mapping[str, str] = instrument.settings.get("files", {})
    for model in hub_models().values():
        pinned = {file.path: file.sha256 for file in model.files}
        told = (place.get("repository"), place.get("revision")) == (model.repository, model.revision)
        agree = all(pinned.get(name, sha256) == sha256 for name, sha256 in read.items())
        if read and agree and (told or pinned.keys() <= read.keys()):
            return model
    return None
