"""Metadata as the post has it, beside all that titles say: what [GLOBAL] would be from synopsis and tags alone."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from mediafm_core.catalogue.suite import Suite, UnimodalSpec
from mediafm_core.encoders.declaring import place_of
from mediafm_core.encoders.offered import n_threads
from mediafm_core.encoders.suites import load
from mediafm_core.probes.ablation.stored import StoredTitle
from mediafm_core.probes.features import Vectors
from mediafm_core.store.home import Home


class PostMetadata:
    """Metadata embeddings from the texts that the post would read, made when the first one is asked for.

    Args:
        home: where the text encoder is.
        suite: of the titles.
        titles: the labelled ones. What they say is what their metadata embeddings were made from, not what they say
            today.
    """

    def __init__(self, home: Home, suite: Suite, titles: Mapping[str, StoredTitle]) -> None:
        self._home, self._suite = home, suite
        rows = home.ledger.rows([given.metadata for given in titles.values()])
        facts = {title: rows[given.metadata].manifest.facts for title, given in titles.items()}
        self._read = {title: told.get("text", "") for title, told in facts.items()}
        self._texts = {title: told.get("text_as_the_post", self._read[title]) for title, told in facts.items()}

    @property
    def absent(self) -> str | None:
        """Why there is no row of it; None where there is one."""
        if self._suite.is_delivered:
            return "the embeddings of this suite were made elsewhere, so no text can be embedded here"
        if self._spec.is_remote:
            return "the suite's text encoder stands behind an API, and an ablation pays for nothing"
        if self._texts == self._read:
            return "no labelled title says more than the post reads"
        return None

    def __call__(self, title: str) -> Vectors:
        """(M,) float32 of one title, rounded as the store would."""
        return self._vectors[title]

    @property
    def _spec(self) -> UnimodalSpec:
        return self._suite.text

    @cached_property
    def _vectors(self) -> dict[str, Vectors]:
        encoder = load(self._spec, n_threads=n_threads(), place=place_of(self._home, self._spec))
        vectors = encoder.encode(list(self._texts.values()))
        return dict(zip(self._texts, vectors.astype(np.float16).astype(np.float32), strict=True))
