"""What every unimodal encoder of the table keeps to, and what a suite's record binds."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mediafm_core.catalogue import Modality, Suite, UnimodalSpec
from mediafm_core.encoders import suites
from mediafm_core.encoders.suites import ENCODERS, embedded_suite
from mediafm_core.errors import EncoderMismatchError, WeightsError

# Shots of each modality, all different, the second of which offers nothing.
RNG = np.random.default_rng(7)
SHOTS: dict[Modality, list[Any]] = {
    Modality.VIDEO: [
        RNG.integers(0, 256, (k, 224, w, 3), np.uint8) for k, w in ((3, 224), (0, 224), (9, 230), (1, 398))
    ],
    Modality.AUDIO: [RNG.integers(-9000, 9000, n, np.int16) for n in (16_000, 0, 1_600, 48_123)],
    Modality.TEXT: ["Somebody walks into a dark room.", "", "No!", "It rains, and " * 40],
}
NOTHING = 1


@pytest.fixture(params=sorted(ENCODERS))
def spec(request: pytest.FixtureRequest) -> UnimodalSpec:
    return ENCODERS[request.param].spec()


def test_vectors_are_finite_float32_of_the_declared_width(spec: UnimodalSpec) -> None:
    vectors = suites.load(spec).encode(SHOTS[spec.modality])
    assert vectors.shape == (4, spec.dims)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_the_same_shots_give_the_same_bits(spec: UnimodalSpec) -> None:
    encoder = suites.load(spec)
    np.testing.assert_array_equal(encoder.encode(SHOTS[spec.modality]), encoder.encode(SHOTS[spec.modality]))


def test_a_shot_alone_is_the_shot_among_others(spec: UnimodalSpec) -> None:
    encoder, shots = suites.load(spec), SHOTS[spec.modality]
    alone = np.concatenate([encoder.encode([shot]) for shot in shots])
    together = encoder.encode(shots * 3)[: len(shots)]
    backwards = encoder.encode(shots[::-1])[::-1]
    scale = np.abs(alone).max()
    np.testing.assert_allclose(together / scale, alone / scale, atol=1e-5)
    np.testing.assert_allclose(backwards / scale, alone / scale, atol=1e-5)


def test_only_a_shot_that_offers_nothing_is_zero(spec: UnimodalSpec) -> None:
    vectors = suites.load(spec).encode(SHOTS[spec.modality])
    assert [bool(row.any()) for row in vectors] == [i != NOTHING for i in range(4)]


def test_different_shots_give_different_vectors(spec: UnimodalSpec) -> None:
    vectors = suites.load(spec).encode(SHOTS[spec.modality])
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) + np.eye(4)
    assert distances.min() > 0.01


def test_no_shots_give_no_rows(spec: UnimodalSpec) -> None:
    vectors = suites.load(spec).encode([])
    assert vectors.shape == (0, spec.dims)
    assert vectors.dtype == np.float32


def test_an_encoder_loaded_anew_with_more_threads_gives_the_same_vectors(spec: UnimodalSpec) -> None:
    shots = SHOTS[spec.modality]
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
        "assert not {'torch', 'openvino', 'ctranslate2', 'faster_whisper', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
