"""MediaFM: from a film to its meaning, shot by shot.

The reading API, four lines of which are enough:

    import mediafm_core as mediafm

    catalogue = mediafm.open(".mediafm")
    clip = catalogue.clip("big-buck-bunny", 60.0, 90.0)
    print(clip.vectors.shape, mediafm.similar_titles(catalogue, "big-buck-bunny"))

Names are loaded when they are first used: importing this package imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediafm_core.consumption.catalogue import Catalogue, Shots, TitleEntry
    from mediafm_core.consumption.catalogue import open_catalogue as open
    from mediafm_core.consumption.similarity import SimilarShot, SimilarTitle, similar_shots, similar_titles
    from mediafm_core.errors import MediaFMError

__all__ = [
    "Catalogue",
    "MediaFMError",
    "Shots",
    "SimilarShot",
    "SimilarTitle",
    "TitleEntry",
    "open",
    "similar_shots",
    "similar_titles",
]

_PLACES = {
    "Catalogue": ("consumption.catalogue", "Catalogue"),
    "MediaFMError": ("errors", "MediaFMError"),
    "Shots": ("consumption.catalogue", "Shots"),
    "SimilarShot": ("consumption.similarity", "SimilarShot"),
    "SimilarTitle": ("consumption.similarity", "SimilarTitle"),
    "TitleEntry": ("consumption.catalogue", "TitleEntry"),
    "open": ("consumption.catalogue", "open_catalogue"),
    "similar_shots": ("consumption.similarity", "similar_shots"),
    "similar_titles": ("consumption.similarity", "similar_titles"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
