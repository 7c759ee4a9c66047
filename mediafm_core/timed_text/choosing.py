"""Which of a delivery's caption files are read: one language, with its audio description."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mediafm_core.captions import is_audio_description

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_NO_LANGUAGES = frozenset({"ad", "cc", "sdh"})  # kinds of captions that look like one
_ENGLISH = frozenset({"en", "eng"})
_PREFIX = "captions"


def chosen_captions(names: Sequence[str], media: str) -> list[str]:
    """The caption files that make up a title's text.

    Of several languages one is taken: English if there is one, else the first by name; a file that names no language
    stands before those that do. Several files of that language are all taken. Audio description is merged with the
    captions: that of their language, else one that names none; where the captions name none, or there are none, it is
    chosen by the same rule.

    Args:
        names: the caption files, as delivered.
        media: the media file, as delivered; a sidecar's name starts with its stem.

    Returns:
        Some of `names`, in their order.
    """
    stem = Path(media).stem
    described = {name: language_of(name, stem) for name in names if is_audio_description(name)}
    captions = {name: language_of(name, stem) for name in names if name not in described}
    language = _preferred(captions.values())
    of_description = _preferred(_fitting(language, set(described.values())))
    chosen = {name for name, each in captions.items() if each == language}
    chosen |= {name for name, each in described.items() if each == of_description}
    return [name for name in names if name in chosen]


def language_of(name: str, stem: str) -> str:
    """The language that a caption file's name states, e.g. `fr-ca` of `captions.fr-ca.ad.vtt`; empty where none."""
    known = stem if name.startswith(f"{stem}.") else _PREFIX
    parts = re.split(r"[._]", Path(name).stem.removeprefix(known).lower().lstrip("._-"))
    return next((part for part in parts if _LANGUAGE.fullmatch(part) and part not in _NO_LANGUAGES), "")


def _preferred(languages: Iterable[str]) -> str | None:
    return min(languages, key=lambda language: (_primary(language) not in _ENGLISH, language), default=None)


def _fitting(captions: str | None, described: set[str]) -> set[str]:
    """The languages of audio description that go with captions of this language."""
    if not captions:
        return described
    return {each for each in described if _primary(each) == _primary(captions)} or described & {""}


def _primary(language: str) -> str:
    return language.partition("-")[0]
