"""Measurements: what the canaries of a suite were found to do, each a dated declaration that nobody changes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from mediafm_core.catalogue.suite import Modality
from mediafm_core.drift.limits import EXACTLY, STATED, Limits
from mediafm_core.drift.statistics import Movement
from mediafm_core.drift.verdicts import Finding, is_too_noisy
from mediafm_core.store.home import Home

_SUBJECT: Final = "canary_measurement"

STEADY: Final = "steady"
MOVED: Final = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The canaries of one suite, embedded again at one time."""

    suite: str
    accepted: int  # the acceptance that the reference belongs to; limits are taken from measurements since
    at: float  # seconds since the epoch
    n: Mapping[str, int]  # inputs by modality
    provenance: Mapping[str, str]  # versions of libraries, and the machine
    changed: Mapping[str, Sequence[str | None]] = field(default_factory=dict)  # of these, since the reference: old, new
    movements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by modality: `Movement`
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by modality: `Limits`
    release: str | None = None  # whose heads scored the canary clips; None where none is live on this suite
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by task: `Shift`
    findings: Sequence[Mapping[str, str]] = ()  # `Finding`; none where all is steady

    @property
    def verdict(self) -> str:
        """`steady` or `moved`."""
        return MOVED if self.findings else STEADY

    @property
    def surroundings(self) -> dict[str, tuple[str | None, str | None]]:
        """Versions of libraries, and the machine: when the reference was made, and when this was measured."""
        unchanged = {name: (found, found) for name, found in self.provenance.items()}
        return {**unchanged, **{name: (was, found) for name, (was, found) in self.changed.items()}}

    @property
    def changed_said(self) -> str:
        """In words: of what is around the encoders, what is otherwise than when the reference was made."""
        if not self.changed:
            return "libraries and machine are those of the reference"
        return "since the reference " + ", ".join(
            f"{name} {was} became {now}" for name, (was, now) in self.changed.items()
        )

    @property
    def found(self) -> list[Finding]:
        """What moved."""
        return [Finding(**finding) for finding in self.findings]

    @property
    def said(self) -> str:
        """The verdict with what moved, in one line."""
        return f"{self.verdict}: {self.moved_said}" if self.findings else self.verdict

    @property
    def moved_said(self) -> str:
        """What moved, and what else is otherwise than when the reference was made, in one line."""
        return "; ".join([*(each.said for each in self.found), self.changed_said])

    def movement(self, modality: Modality) -> Movement | None:
        """The statistics of a modality; None where it has no canaries."""
        found = self.movements.get(modality.value)
        return Movement(**found) if found else None

    @property
    def sees_said(self) -> list[str]:
        """Of each modality whose limits are not exact: from which distance on drifts are seen."""
        limits = {name: Limits.from_json(record) for name, record in self.limits.items()}
        return [_sees(name, each) for name, each in limits.items() if each != EXACTLY]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**record)


def _sees(modality: str, limits: Limits) -> str:
    said = f"a drift of all inputs is seen from {limits.sees_all:.1e} on, of a tenth from {limits.sees_tenth:.1e} on"
    drowned = f"; noise hides a tenth at {STATED:.0e}, which is asked" if limits.sees_tenth > STATED else ""
    return f"{modality}, {limits.rule} limits: {said}{drowned}"


def record(home: Home, measurement: Measurement) -> None:
    """Append a measurement to the history of its suite."""
    home.declare(_SUBJECT, measurement.suite, asdict(measurement))


def history(home: Home, suite: str, *, accepted: int | None = None) -> list[Measurement]:
    """The measurements of a suite, oldest first; with `accepted` only those that belong to this acceptance."""
    declared = home.ledger.declarations(_SUBJECT)
    found = [Measurement.from_json(each.body) for each in declared if each.name == suite]
    return [each for each in found if accepted is None or each.accepted == accepted]


def accepted_noise(measured: Sequence[Measurement], modality: Modality, accepted: int) -> Movement | None:
    """The last measurement of a suite that a person accepted although it was found too noisy in a modality.

    Args:
        measured: all of the suite, oldest first.
        modality: which.
        accepted: the acceptance that holds now.
    """
    last = {each.accepted: each for each in measured}  # of each acceptance: the one that the next one accepted
    before = [each for of, each in sorted(last.items()) if of < accepted]
    noisy = [each for each in before if any(is_too_noisy(found, modality.value) for found in each.found)]
    return noisy[-1].movement(modality) if noisy else None
