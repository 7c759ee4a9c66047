"""Suites: which unimodal encoders belong together, and how one is loaded from its record."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from mediafm_core import weights
from mediafm_core.catalogue.suite import JOINT, Modality, Suite, UnimodalSpec
from mediafm_core.encoders import (
    clip_vision,
    efficientnet_lite0,
    minilm_l6,
    openai_text,
    qwen_omni,
    speech_tower,
    whisper_tiny_en,
)
from mediafm_core.encoders.batches import PORTION_BYTES
from mediafm_core.encoders.joint import JointEncoder, JointEntry, OneModality
from mediafm_core.encoders.pacing import Limits, pace_of
from mediafm_core.encoders.paying import Payer, Purse
from mediafm_core.encoders.plugins import plugged_in, plugin, providers
from mediafm_core.encoders.protocol import Entry, UnimodalEncoder
from mediafm_core.encoders.towers import LIBRARIES
from mediafm_core.errors import EncoderMismatchError, RemoteError, WeightsError
from mediafm_core.identity import canonical_json
from mediafm_core.weights.folders import TOKENIZER, ModelFolder, check_folder, read_folder

ENCODERS: Mapping[str, Entry] = MappingProxyType(
    {
        efficientnet_lite0.NAME: Entry(
            efficientnet_lite0.spec, efficientnet_lite0.EfficientNetLite0, in_portions=True, libraries=("openvino",)
        ),
        whisper_tiny_en.NAME: Entry(
            whisper_tiny_en.spec, whisper_tiny_en.WhisperTinyEn, libraries=("ctranslate2", "faster-whisper")
        ),
        minilm_l6.NAME: Entry(
            minilm_l6.spec, minilm_l6.MiniLML6, in_portions=True, libraries=("openvino", "tokenizers")
        ),
    }
)
"""Every unimodal encoder whose weights come with a package of ours, by its instrument's name."""


class Tower(NamedTuple):
    """A unimodal encoder of one code and many weights: the record says which."""

    spec: Callable[[ModelFolder, UnimodalSpec], UnimodalSpec]
    """What this version of the code makes of a folder, with the choices of a record."""
    load: Callable[..., UnimodalEncoder[Any]]
    in_portions: bool = False
    """As in `Entry`."""


TOWERS: Mapping[str, Tower] = MappingProxyType(
    {
        clip_vision.NAME: Tower(
            lambda folder, asked: clip_vision.spec(
                folder, stills_per_shot=asked.instrument.settings["stills_per_shot"]
            ),
            clip_vision.ClipVision,
            in_portions=True,
        ),
        speech_tower.NAME: Tower(lambda folder, _: speech_tower.spec(folder), speech_tower.SpeechTower),
    }
)
"""Those whose weights are a folder that a home declares."""


class Joint(NamedTuple):
    """A joint encoder of one code and many weights."""

    specs: Callable[[ModelFolder], Mapping[Modality, UnimodalSpec]]
    """What this version of the code makes of a folder."""
    load: Callable[..., JointEncoder]
    also: tuple[str, ...]
    """Files of its folder that are read beside those of every model."""


JOINTS: Mapping[str, Joint] = MappingProxyType(
    {qwen_omni.NAME: Joint(qwen_omni.specs, qwen_omni.QwenOmni, (TOKENIZER,))}
)
"""Those that perceive several modalities in one pass; their weights are a folder that a home declares."""

_Kind = TypeVar("_Kind", Entry, JointEntry)

NOWHERE: Mapping[str, Any] = MappingProxyType({})


def embedded_suite() -> Suite:
    """The default suite, whose weights ship in packages: 1280 + 384 + 384 = 2048 wide."""
    return Suite(alias="embedded", video=efficientnet_lite0.spec(), audio=whisper_tiny_en.spec(), text=minilm_l6.spec())


def load(
    spec: UnimodalSpec,
    *,
    n_threads: int = 1,
    portion_bytes: int = PORTION_BYTES,
    place: Mapping[str, Any] = NOWHERE,
    payer: Payer | None = None,
    purse: Purse | None = None,
) -> UnimodalEncoder[Any]:
    """The encoder that a suite's record describes; networks are loaded once per process, threads and portions.

    Args:
        spec: the record.
        n_threads: threads of its network.
        portion_bytes: what it may hold at once for shots that go through its network together; those that take one at
            a time, and those behind an API, do not ask.
        place: what a home declares of where its model is; only for models that no package ships.
        payer: in whose name an API is asked; only for a model behind one.
        purse: what is known and may be spent; likewise.

    Raises:
        WeightsError: the record names other weights than those at hand, or these are missing or damaged.
        EncoderMismatchError: no such encoder, or it works with other settings than the record's.
        RemoteError: a model behind an API, and no purse or key.
    """
    name = spec.instrument.name
    if spec.instrument.settings.get(JOINT):
        return OneModality(load_joint(spec, n_threads=n_threads, place=place), spec.modality)
    if name in TOWERS:
        return _tower(canonical_json(asdict(spec)), str(place.get("folder", "")), n_threads, portion_bytes)
    if name == openai_text.NAME:
        return _remote(spec, place, payer, purse)
    _check_installed(spec, entry_of(name).spec())
    return _loaded(name, n_threads, portion_bytes)


def load_joint(spec: UnimodalSpec, *, n_threads: int = 1, place: Mapping[str, Any] = NOWHERE) -> JointEncoder:
    """The joint encoder that a record of one of its modalities describes; loaded once for all of them.

    Raises:
        WeightsError: the record names other weights than those at hand, or these are missing or damaged.
        EncoderMismatchError: no such encoder, or it works with other settings than the record's.
    """
    name, folder = spec.instrument.name, str(place.get("folder", ""))
    encoder = _joint(name, spec.instrument.weights_sha256, folder, n_threads)
    _check_installed(spec, encoder.specs.get(spec.modality) or next(iter(encoder.specs.values())))
    return encoder


@cache
def _joint(name: str, sha256: str, folder: str, n_threads: int) -> JointEncoder:
    if name not in JOINTS:
        return _of_kind(JointEntry, plugin(name), name).load(n_threads=n_threads)
    found = _declared_folder(name, sha256, folder, JOINTS[name].also)
    return JOINTS[name].load(found, n_threads=n_threads)


def entry_of(name: str) -> Entry:
    """A unimodal encoder whose weights come with a package, built in or plugged in.

    Raises:
        EncoderMismatchError: there is none of that name, or it is a joint one.
    """
    return ENCODERS[name] if name in ENCODERS else _of_kind(Entry, plugin(name), name)


def specs_of(name: str) -> Mapping[Modality, UnimodalSpec]:
    """The records of an encoder whose weights come with a package, by what it perceives.

    Raises:
        EncoderMismatchError: there is none of that name.
    """
    entry = ENCODERS[name] if name in ENCODERS else plugin(name)
    if isinstance(entry, JointEntry):
        return entry.specs()
    spec = entry.spec()
    return {spec.modality: spec}


def libraries_of(spec: UnimodalSpec) -> tuple[str, ...]:
    """The packages that an encoder's vectors hang on, as pip names them, its own among them where it is plugged in.

    None of an encoder that is not at hand: its vectors came with the deliveries.
    """
    return _libraries(spec.instrument.name)


@cache
def _libraries(name: str) -> tuple[str, ...]:
    if name in TOWERS or name in JOINTS:
        return LIBRARIES
    if name == openai_text.NAME:
        return ("openai",)
    if name in ENCODERS:
        return ENCODERS[name].libraries
    return (*providers(name), *plugin(name).libraries) if name in plugged_in() else ()


def _of_kind(kind: type[_Kind], entry: Any, name: str) -> _Kind:
    if not isinstance(entry, kind):
        raise EncoderMismatchError(
            f"encoder {name!r}",
            found=f"a {type(entry).__name__}",
            expected=f"a {kind.__name__}, as the suite was made with",
            next_step="Use the version of its package that the suite was made with, or move to a new suite.",
        )
    return entry


@cache
def _loaded(name: str, n_threads: int, portion_bytes: int) -> UnimodalEncoder[Any]:
    entry = entry_of(name)
    return entry.load(n_threads=n_threads, **_portions(entry, portion_bytes))


def _portions(encoder: Entry | Tower, n_bytes: int) -> dict[str, int]:
    return {"portion_bytes": n_bytes} if encoder.in_portions else {}


@cache
def _tower(record: str, folder: str, n_threads: int, portion_bytes: int) -> UnimodalEncoder[Any]:
    spec = UnimodalSpec.from_json(json.loads(record))
    name = spec.instrument.name
    found = _declared_folder(name, spec.instrument.weights_sha256, folder)
    tower = TOWERS[name]
    _check_installed(spec, tower.spec(found, spec))
    return tower.load(spec, found, n_threads=n_threads, **_portions(tower, portion_bytes))


def _declared_folder(name: str, sha256: str, folder: str, also: tuple[str, ...] = ()) -> ModelFolder:
    if not folder:
        raise WeightsError(
            f"weights of {name!r}",
            found="no folder that the home has declared",
            expected="the folder of a model in the format of transformers",
            next_step="Add the suite to this home: `mediafm suites add`.",
        )
    found = read_folder(Path(folder), weights.cache_folder() / "verified", also)
    check_folder(found, sha256, name)
    return found


def _remote(
    spec: UnimodalSpec, place: Mapping[str, Any], payer: Payer | None, purse: Purse | None
) -> UnimodalEncoder[Any]:
    if payer is None or purse is None:
        raise RemoteError(
            f"model {spec.instrument.settings['model']!r}",
            found="nobody who pays",
            expected="a key and a purse",
            next_step="Models behind an API run in the stages of a home.",
        )
    endpoint = openai_text.endpoint_of(spec)
    model, server = endpoint.model, endpoint.base_url
    count = openai_text.count_by_tiktoken(model) if place.get("exact_tokens") else openai_text.bytes_of
    pace = pace_of(payer.run, server, Limits(**place.get("limits", {})))
    again = openai_text.spec(model=model, dims=spec.dims, base_url=server, asks_width=endpoint.asks_width)
    _check_installed(spec, again)
    return openai_text.OpenAIText(spec, purse=purse, key=payer.key, pace=pace, count=count)


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
