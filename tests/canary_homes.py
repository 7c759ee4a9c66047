"""Homes whose suite is watched by a few canaries, with encoders that a test can disturb."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm_core.catalogue.declared import CanarySet
from mediafm_core.catalogue.suite import Modality, Suite, UnimodalSpec
from mediafm_core.drift.canaries import Canary, to_bytes
from mediafm_core.drift.history import Measurement, history
from mediafm_core.drift.measuring import make_reference, measure
from mediafm_core.execution import carry_out
from mediafm_core.planning.state import Step
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Bench, Draft, LogReporter, Outcome, Stage
from tests import catalogue
from tests.candidates import Candidates, probe
from tests.fakes import pairs, planned

N = 40
HIDDEN = 8
Array = NDArray[np.float32]
Disturb = Callable[[Array], Array]


def few_canaries(seed: int = 0, n: int = N) -> tuple[Canary, ...]:
    """`n` small inputs of each modality."""
    random = np.random.default_rng(seed)
    stills = [Canary(f"still {i}", Modality.VIDEO, random.integers(0, 256, (1, 4, 4, 3), np.uint8)) for i in range(n)]
    sounds = [Canary(f"sound {i}", Modality.AUDIO, random.integers(-99, 99, 50, np.int16)) for i in range(n)]
    texts = [Canary(f"text {i}", Modality.TEXT, f"{seed} {i} and {i * i}") for i in range(n)]
    return (*stills, *sounds, *texts)


@dataclass(frozen=True)
class FakeEncoder:
    """A vector that follows from the input's bytes, then disturbed."""

    spec: UnimodalSpec
    disturb: Disturb = lambda vectors: vectors
    n_encoded: list[int] = field(default_factory=list)

    def encode(self, shots: Sequence[Any]) -> Array:
        self.n_encoded.append(len(shots))
        seeds = [Canary("", self.spec.modality, shot).digest for shot in shots]
        rows = [np.random.default_rng(int(seed[:12], 16)).normal(1, 1, self.spec.dims) for seed in seeds]
        return self.disturb(np.stack(rows).astype(np.float32))


@dataclass
class Watched:
    """A home with a watched suite."""

    home: Home
    suite: Suite = catalogue.SUITE
    disturbed: dict[Modality, Disturb] = field(default_factory=dict)
    n_encoded: list[int] = field(default_factory=list)

    def encoder_of(self, spec: UnimodalSpec) -> FakeEncoder:
        """The encoder of a record, as it is disturbed now."""
        return FakeEncoder(spec, self.disturbed.get(spec.modality, lambda vectors: vectors), self.n_encoded)

    def declare(self, canaries: tuple[Canary, ...] | None = None) -> None:
        """Watch the suite by few canaries."""
        table = self.home.blobs.keep_bytes(to_bytes(canaries or few_canaries()))
        self.home.declare("canaries", self.suite.id, asdict(CanarySet(suite=self.suite.id, tables=(table,))))

    @property
    def stage(self) -> Stage:
        """That of the canaries."""
        settle = partial(measure, encoder_of=self.encoder_of)
        return Stage(partial(make_reference, encoder_of=self.encoder_of), settle)

    def run(self) -> list[Outcome]:
        """Measure."""
        return list(carry_out(self.home, [("canaries", self.suite.id)], {"canaries": self.stage}, LogReporter()))

    def measured(self) -> Measurement:
        """Measure, and what was found."""
        self.run()
        return self.history[-1]

    @property
    def history(self) -> list[Measurement]:
        """All measurements."""
        return history(self.home, self.suite.id)


class RealHeads(Candidates):
    """Candidates whose encoder is a real small one, and whose heads read what it gives."""

    def run(self, home: Home, *wanted: tuple[str, str]) -> list[Outcome]:
        """Carry out these steps, or the plan."""
        from mediafm_core.probes.stage import freeze_training
        from mediafm_core.release.promotion import make_release
        from tests.fakes import Fakes

        stages = {
            **Fakes().stages,
            "mediafm_encoder": Stage(_encoder),
            "probe_heads": Stage(_head, freeze_training),
            "release": Stage(make_release, lambda bench, step: self.promote(bench, step)),
        }
        return list(carry_out(home, wanted or pairs(planned(home).steps), stages, LogReporter()))


def _encoder(bench: Bench, step: Step) -> Draft:
    import torch

    from mediafm_core.model.checkpoint import save
    from mediafm_core.model.config import ModelConfig
    from mediafm_core.model.encoder import MediaFM

    suite = next(s for s in bench.state.suites if s.id == bench.encoder(step).suite)
    widths: dict[str, Any] = {f"{modality.value}_dims": suite.spec(modality).dims for modality in Modality}
    config = ModelConfig(**widths, metadata_dims=suite.text.dims, hidden=HIDDEN, layers=1, heads=2)
    return Draft(
        save(
            MediaFM.new(config, torch.Generator().manual_seed(0)), {"encoder": step.axes["encoder"], "suite": suite.id}
        ),
        {},
    )


def _head(bench: Bench, step: Step) -> Draft:
    fitted = probe(step.axes["encoder"], step.axes["task"], 1.0)
    random, width = np.random.default_rng(3), len(fitted.head.names)
    head = replace(
        fitted.head,
        origin=fitted.head.origin._replace(suite=bench.encoder(step).suite),
        mean=np.zeros(HIDDEN, np.float32),
        scale=np.ones(HIDDEN, np.float32),
        weights=random.normal(size=(HIDDEN, width)).astype(np.float32),
    )
    return Draft(fitted._replace(head=head).to_bytes(), {})


def go_live(home: Home, encoder: str) -> None:
    """Make everything and promote an encoder with real heads; the canaries are not asked."""
    heads = RealHeads()
    heads.run(home)
    failed = [outcome for outcome in heads.go_live(home, encoder) if outcome.error]
    assert not failed, failed
    assert read_state(home).release is not None
