"""Choosing a suite's encoders and declaring it in a home, with where each model is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mediafm_core import weights
from mediafm_core.catalogue.suite import Modality, Suite, UnimodalSpec
from mediafm_core.encoders import clip_vision, openai_text, qwen_omni, speech_tower
from mediafm_core.encoders.openai_answers import OPENAI
from mediafm_core.encoders.pacing import Limits
from mediafm_core.encoders.suites import specs_of
from mediafm_core.encoders.towers import told_source
from mediafm_core.errors import EncoderMismatchError, RemoteError
from mediafm_core.stock import ask_for_suite
from mediafm_core.store.home import Home
from mediafm_core.weights.folders import TOKENIZER, read_folder

_PLACE = "place"
"""The subject of what a home declares of where a model is: a folder, or the price and limits of an API."""


class Chosen(NamedTuple):
    """An encoder for one modality of a suite."""

    spec: UnimodalSpec
    place: Mapping[str, Any]
    """Where its model is, as JSON values; empty where a package brings it. It is no part of what a suite is."""


def choose(modality: Modality, choice: str, *, stills_per_shot: int = clip_vision.STILLS_PER_SHOT) -> Chosen:
    """The encoder that a choice names: a folder of a model, or the name of one that a package brings.

    Raises:
        WeightsError: the folder holds no model that can serve.
        EncoderMismatchError: no encoder of that name, or it perceives something else.
    """
    if Path(choice).is_dir() or "/" in choice:
        folder = read_folder(Path(choice).absolute(), weights.cache_folder() / "verified")
        if folder.model_type in qwen_omni.PARTS:
            whole = read_folder(folder.path, weights.cache_folder() / "verified", (TOKENIZER,))
            return Chosen(qwen_omni.specs(whole)[modality], told_source(whole))
        if modality is Modality.VIDEO:
            return Chosen(clip_vision.spec(folder, stills_per_shot=stills_per_shot), told_source(folder))
        if modality is Modality.AUDIO:
            return Chosen(speech_tower.spec(folder), told_source(folder))
    specs = specs_of(choice)
    if modality not in specs:
        raise EncoderMismatchError(
            f"encoder {choice!r}",
            found=f"an encoder of {' and '.join(specs)}",
            expected=f"one of {modality}",
            next_step="Name it for the modality that it perceives.",
        )
    return Chosen(specs[modality], {})


def choose_api(
    *,
    model: str = openai_text.MODEL,
    dims: int = openai_text.DIMS,
    base_url: str = OPENAI,
    asks_width: bool = True,
    usd_per_million: float | None = None,
    exact_tokens: bool = False,
    **limits: float,
) -> Chosen:
    """A model behind OpenAI's API, or behind a server that speaks it.

    Args:
        model: its name.
        dims: how wide its vectors shall be.
        base_url: of the server.
        asks_width: as in `openai_text.spec`.
        usd_per_million: price of a million tokens; known for OpenAI's own models.
        exact_tokens: count by tiktoken instead of by bytes.
        limits: fields of `Limits` that differ from its defaults.

    Raises:
        RemoteError: the URL or a limit is wrong, or the price is not known.
    """
    spec = openai_text.spec(model=model, dims=dims, base_url=base_url, asks_width=asks_width)
    server = spec.instrument.settings["server"]
    price = openai_text.USD_PER_MILLION.get(model) if usd_per_million is None and server == OPENAI else usd_per_million
    if price is None or not 0 <= price < float("inf"):
        raise RemoteError(
            f"model {model!r} at {server}",
            found="no price of a million tokens" if price is None else f"a price of {price}",
            expected="a price in US dollars, 0 for a server of your own",
            next_step="Give it with --usd-per-million.",
        )
    Limits(**limits)  # pyright: ignore[reportArgumentType]  (checks them)
    return Chosen(spec, {"usd_per_million": price, "exact_tokens": exact_tokens, "limits": limits})


def declare_suite(home: Home, alias: str, *, video: Chosen, audio: Chosen, text: Chosen) -> Suite:
    """Declare a suite in a home, and where its models are; harmless where both are so already."""
    suite = Suite(alias=alias, video=video.spec, audio=audio.spec, text=text.spec)
    for chosen in (video, audio, text):
        if chosen.place:
            home.declare(_PLACE, chosen.spec.instrument.weights_sha256, chosen.place)
    ask_for_suite(home, suite)
    return suite


def place_of(home: Home, spec: UnimodalSpec) -> Mapping[str, Any]:
    """What a home declares of where an encoder's model is; empty where it declares nothing."""
    return home.ledger.declared_one(_PLACE, spec.instrument.weights_sha256) or {}
