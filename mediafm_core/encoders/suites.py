"""Suites: which unimodal encoders belong together, and how one is loaded from its record."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from mediafm_core.catalogue import Suite, UnimodalSpec
from mediafm_core.encoders import efficientnet_lite0, minilm_l6, whisper_tiny_en
from mediafm_core.encoders.protocol import UnimodalEncoder
from mediafm_core.errors import EncoderMismatchError, WeightsError


class Entry(NamedTuple):
    """A unimodal encoder that can be loaded."""

    spec: Callable[[], UnimodalSpec]
    """Its record, as this version of the code and its manifest of weights have it."""
    load: Callable[..., UnimodalEncoder[Any]]
    """Called with `n_threads`."""


ENCODERS: Mapping[str, Entry] = MappingProxyType(
    {
        efficientnet_lite0.NAME: Entry(efficientnet_lite0.spec, efficientnet_lite0.EfficientNetLite0),
        whisper_tiny_en.NAME: Entry(whisper_tiny_en.spec, whisper_tiny_en.WhisperTinyEn),
        minilm_l6.NAME: Entry(minilm_l6.spec, minilm_l6.MiniLML6),
    }
)
"""Every unimodal encoder by its instrument's name."""


def embedded_suite() -> Suite:
    """The default suite, whose weights ship in packages: 1280 + 384 + 384 = 2048 wide."""
    return Suite(alias="embedded", video=efficientnet_lite0.spec(), audio=whisper_tiny_en.spec(), text=minilm_l6.spec())


def load(spec: UnimodalSpec, *, n_threads: int = 1) -> UnimodalEncoder[Any]:
    """The encoder that a suite's record describes, loaded once per process and number of threads.

    Raises:
        WeightsError: the record names other weights than the installed ones, or these are missing or damaged.
        EncoderMismatchError: no such encoder, or it works with other settings than the record's.
    """
    name = spec.instrument.name
    if name not in ENCODERS:
        raise EncoderMismatchError(
            f"unimodal encoder {name!r}",
            found="no such encoder",
            expected=f"one of {', '.join(ENCODERS)}",
            next_step="Install what provides it, or use a suite that is at hand.",
        )
    _check_installed(spec, ENCODERS[name].spec())
    return _loaded(name, n_threads)


@cache
def _loaded(name: str, n_threads: int) -> UnimodalEncoder[Any]:
    return ENCODERS[name].load(n_threads=n_threads)


def _check_installed(asked: UnimodalSpec, installed: UnimodalSpec) -> None:
    name = asked.instrument.name
    if asked.instrument.weights_sha256 != installed.instrument.weights_sha256:
        raise WeightsError(
            f"weights of unimodal encoder {name!r}",
            found=f"installed: {installed.instrument.weights_sha256}",
            expected=asked.instrument.weights_sha256,
            next_step="Use the version of mediafm that the suite was made with, or move to a new suite.",
        )
    if asked != installed:
        raise EncoderMismatchError(
            f"unimodal encoder {name!r}",
            found=f"{installed.modality}, {installed.dims} wide, {dict(installed.instrument.settings)}",
            expected=f"{asked.modality}, {asked.dims} wide, {dict(asked.instrument.settings)}",
            next_step="Use the version of mediafm that the suite was made with, or move to a new suite.",
        )
