"""The canaries of the embedded suite, by its real encoders: unchanged they are steady, and changed they are not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mediafm_core.catalogue.suite import Modality, UnimodalSpec
from mediafm_core.drift.made import made_canaries
from mediafm_core.encoders.suites import embedded_suite, load
from mediafm_core.errors import EncoderMismatchError, WeightsError
from tests.canary_homes import Watched
from tests.fakes import make_home

SUITE = embedded_suite()
N_OF = {Modality.VIDEO: 10, Modality.AUDIO: 10, Modality.TEXT: 40}
ASIDE = np.random.default_rng(0).normal(0, 0.02, 2048).astype(np.float32)
Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Changed:
    """A real encoder, with what goes in or comes out changed."""

    spec: UnimodalSpec
    shot: Change = lambda shot: shot
    vectors: Change = lambda vectors: vectors

    def encode(self, shots: Sequence[Any]) -> np.ndarray:
        return self.vectors(load(self.spec).encode([self.shot(shot) for shot in shots]))


@dataclass
class Real(Watched):
    """A home watched by the embedded suite's own encoders."""

    changed: dict[Modality, Changed] | None = None

    def encoder_of(self, spec: UnimodalSpec) -> Changed:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (self.changed or {}).get(spec.modality, Changed(spec))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    home = make_home(tmp_path_factory.mktemp("real") / "home", (), suites=(SUITE,), encoders=(), production=None)
    found = Real(home, SUITE)
    made = made_canaries()
    found.declare(tuple(c for m in Modality for c in [c for c in made if c.modality is m][: N_OF[m]]))
    found.run()  # the reference
    yield found
    home.ledger.close()


def bfloat16(vectors: np.ndarray) -> np.ndarray:
    """Rounded to the nearest number of bfloat16."""
    return ((vectors.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)


CHANGES = [
    (Modality.TEXT, {"vectors": bfloat16}, "text embeddings moved (noisy): 40 of 40"),
    (Modality.VIDEO, {"vectors": bfloat16}, "video embeddings moved"),
    (Modality.VIDEO, {"shot": lambda stills: stills[..., ::-1].copy()}, "video embeddings moved (noisy): 10 of 10"),
    (Modality.VIDEO, {"shot": lambda stills: stills[:1]}, "video embeddings moved (part of the inputs): 3 of 10"),
    (
        Modality.VIDEO,
        {"vectors": lambda vectors: vectors + ASIDE[: vectors.shape[1]]},
        "video embeddings moved (offset)",
    ),
    (Modality.TEXT, {"vectors": lambda v: np.roll(v, 1, axis=1)}, "text embeddings moved (rotated)"),
    (Modality.TEXT, {"shot": lambda text: text[:120]}, "text embeddings moved (part of the inputs)"),
    (Modality.AUDIO, {"shot": lambda sound: sound[1:]}, "audio embeddings moved"),
]


def test_unchanged_encoders_are_steady_to_the_last_bit(real: Real) -> None:
    real.changed = None
    found = real.measured()
    assert found.verdict == "steady"
    assert {name: moved["largest"] for name, moved in found.movements.items()} == dict.fromkeys(Modality, 0.0)


@pytest.mark.parametrize(("modality", "change", "said"), CHANGES, ids=[said for *_, said in CHANGES])
def test_a_change_of_an_encoder_alarms_and_is_named(
    real: Real, modality: Modality, change: dict[str, Change], said: str
) -> None:
    real.changed = {modality: Changed(SUITE.spec(modality), **change)}
    (found,) = real.measured().found
    assert found.said.startswith(said)


@pytest.mark.parametrize("modality", Modality)
def test_other_weights_or_settings_are_another_suite_and_do_not_load_as_this_one(modality: Modality) -> None:
    spec = SUITE.spec(modality)
    settings = [{**spec.instrument.settings, name: "another"} for name in spec.instrument.settings]
    others = [replace(spec.instrument, settings=each) for each in settings]
    others.append(replace(spec.instrument, weights_sha256="0" * 64))
    for instrument in others:
        other = replace(spec, instrument=instrument)
        assert replace(SUITE, **{modality.value: other}).id != SUITE.id
        with pytest.raises((WeightsError, EncoderMismatchError), match=spec.instrument.name):
            load(other)
