"""What every unimodal encoder of the table keeps to, and what a suite's record binds."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mediafm_core.catalogue.suite import Modality, Suite, UnimodalSpec
from mediafm_core.encoders import suites
from mediafm_core.encoders.conformance import check_encoder, sample_shots
from mediafm_core.encoders.suites import ENCODERS, embedded_suite
from mediafm_core.errors import EncoderMismatchError, WeightsError


@pytest.fixture(params=sorted(ENCODERS))
def spec(request: pytest.FixtureRequest) -> UnimodalSpec:
    return ENCODERS[request.param].spec()


def test_an_encoder_of_ours_keeps_the_laws_that_others_are_held_to(spec: UnimodalSpec) -> None:
    check_encoder(ENCODERS[spec.instrument.name])


def test_an_encoder_loaded_anew_with_more_threads_gives_the_same_vectors(spec: UnimodalSpec) -> None:
    shots = sample_shots(spec.modality)
    one, two = suites.load(spec).encode(shots), ENCODERS[spec.instrument.name].load(n_threads=2).encode(shots)
    np.testing.assert_allclose(two / np.abs(one).max(), one / np.abs(one).max(), atol=1e-5)


def test_an_encoder_is_loaded_once_per_process(spec: UnimodalSpec) -> None:
    assert suites.load(spec) is suites.load(UnimodalSpec.from_json(spec_json(spec)))


def spec_json(spec: UnimodalSpec) -> dict[str, Any]:
    instrument = spec.instrument
    return {
        "modality": spec.modality.value,
        "dims": spec.dims,
        "instrument": {
            "name": instrument.name,
            "weights_sha256": instrument.weights_sha256,
            "settings": dict(instrument.settings),
        },
    }


def test_a_record_of_other_weights_is_refused(spec: UnimodalSpec) -> None:
    with pytest.raises(WeightsError, match="0000"):
        suites.load(replace(spec, instrument=replace(spec.instrument, weights_sha256="0" * 64)))


def test_a_record_of_other_settings_is_refused(spec: UnimodalSpec) -> None:
    settings = {**spec.instrument.settings, "precision": "bf16"}
    with pytest.raises(EncoderMismatchError, match="bf16"):
        suites.load(replace(spec, instrument=replace(spec.instrument, settings=settings)))


def test_a_record_of_an_unknown_encoder_is_refused(spec: UnimodalSpec) -> None:
    with pytest.raises(EncoderMismatchError, match="no such encoder"):
        suites.load(replace(spec, instrument=replace(spec.instrument, name="clip")))


# Inputs that anyone can make again; six numbers of each vector (columns 0, 1, 2, 100, 200, 300) and its length.
Y, X = np.mgrid[:224, :224]
GOLDEN: dict[str, tuple[Any, list[float], float]] = {
    "efficientnet-lite0": (
        np.stack([X, Y, X * Y % 256], axis=2).astype(np.uint8)[None],
        [0.0911, 0.0, 1.0862, 0.0, 0.0007, 0.0],
        18.6935,
    ),
    "whisper-tiny-en": (
        (np.sin(np.arange(32_000) ** 1.5 / 900) * 8000).astype(np.int16),
        [0.0339, 0.1148, -0.5858, -0.7766, 0.8227, 0.5626],
        18.5515,
    ),
    "all-minilm-l6-v2": ("The door opens; she runs.", [0.0649, -0.0208, -0.0143, -0.0103, -0.024, 0.0046], 1.0),
}


def test_the_vectors_of_an_encoder_stay(spec: UnimodalSpec) -> None:
    """Golden: what changes them also changes the settings in the encoder's record, and so the suite's name.

    The tolerance is that of int8 arithmetic on another CPU.
    """
    shot, columns, length = GOLDEN[spec.instrument.name]
    (vector,) = suites.load(spec).encode([shot])
    np.testing.assert_allclose(vector[[0, 1, 2, 100, 200, 300]] / length, np.array(columns) / length, atol=0.005)
    assert np.linalg.norm(vector) == pytest.approx(length, rel=0.01)


def test_the_embedded_suite_is_2048_wide_and_survives_json() -> None:
    suite = embedded_suite()
    assert suite.dims == 1280 + 384 + 384
    record = {"alias": suite.alias} | {m.value: spec_json(suite.spec(m)) for m in Modality}
    assert Suite.from_json(record).id == suite.id


def test_the_name_of_the_embedded_suite_stays() -> None:
    """Golden: a new name re-embeds every catalogue. Change it only together with what the vectors are."""
    assert embedded_suite().id == "embedded-4d522c03"


def test_asking_for_a_suite_loads_no_network() -> None:
    code = (
        "import sys; from mediafm_core.encoders.suites import embedded_suite; embedded_suite();"
        "assert not {'torch', 'openvino', 'ctranslate2', 'faster_whisper', 'transformers', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
