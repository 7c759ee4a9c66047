"""Every failure that a user can meet, in one tree.

    MediaFMError
    |-- IdentityError           a name or a span that cannot be one
    |   |-- TitleIdError
    |   `-- SpanError
    |-- DeliveryError           what arrived for a title cannot be taken
    |   |-- MediaError              ... its media
    |   |-- CaptionError            ... its captions
    |   |-- MetadataError           ... its title.json
    |   `-- LabelsError             labels of a task, delivered or given: a file, its rows, its titles
    |-- WeightsError            a pretrained file is missing or is not the pinned one
    |-- DimensionError          an array has not the shape that was declared
    |-- EncoderMismatchError    vectors of one encoder or suite used as another's
    |-- ConformanceError        an encoder breaks a law of the protocol
    |-- RemoteError             a model behind an API cannot be used, or answered wrongly
    |   `-- BudgetError             ... or its next request could cost more than the run may spend
    |-- DeviceError             the device that was asked for is not there
    |-- TrainingError           pre-training cannot start, or cannot go on
    |-- ReleaseError            an encoder may not go live, go back or be retired
    |   |-- IncompleteError         ... a candidate that lacks some of what a release holds
    |   `-- GateError               ... a candidate that the gate refuses
    |-- PlanError               a step that nobody asks for, or whose inputs are missing
    `-- StoreError              the home, its artifacts or its ledger
        |-- HomeError
        |-- ArtifactError
        `-- SnapshotError
            `-- NotYetAvailableError    a title that the home has, and that what is live has not read yet

A message is built from data: the culprit, what was found, what was expected, the next step.
"""


class MediaFMError(Exception):
    """The base of all errors that MediaFM raises on purpose.

    Args:
        culprit: what is at fault: a title, a file, a key.
        found: what is there.
        expected: what should have been there.
        next_step: what the reader can do about it.
    """

    def __init__(self, culprit: str, *, found: str, expected: str, next_step: str) -> None:
        self.culprit = culprit
        self.found = found
        self.expected = expected
        self.next_step = next_step
        super().__init__(f"{culprit}: {found}; expected {expected}. {next_step}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way through a process boundary with all four parts."""
        return _rebuild, (type(self), self.culprit, self.found, self.expected, self.next_step)


def _rebuild(kind: type[MediaFMError], culprit: str, found: str, expected: str, next_step: str) -> MediaFMError:
    return kind(culprit, found=found, expected=expected, next_step=next_step)


class IdentityError(MediaFMError):
    """A name or a span that cannot be one."""


class TitleIdError(IdentityError):
    """A string that cannot be a title id."""


class SpanError(IdentityError):
    """A span that is empty, reversed, or outside its title."""


class DeliveryError(MediaFMError):
    """What arrived for a title cannot be taken; the title stays as it was."""


class MediaError(DeliveryError):
    """A media file that cannot be opened or decoded, or that exceeds a limit."""


class CaptionError(DeliveryError):
    """A caption file that cannot be read."""


class MetadataError(DeliveryError):
    """A title.json that cannot be read or lacks what is needed."""


class LabelsError(DeliveryError):
    """Labels that cannot be read, that break a rule, or that are too few to fit a head on."""


class WeightsError(MediaFMError):
    """A pretrained file is missing, or its bytes are not the pinned ones."""


class DimensionError(MediaFMError):
    """An array has not the shape, dtype or values that were declared for it."""


class EncoderMismatchError(MediaFMError):
    """Vectors of one encoder or suite were about to be used as another's."""


class ConformanceError(MediaFMError):
    """An encoder breaks a law that every encoder keeps."""


class RemoteError(MediaFMError):
    """A model behind an API cannot be used: no key, no answer in time, a refusal, or an answer that is wrong."""


class BudgetError(RemoteError):
    """The next request could cost more than a run may still spend; it was not sent."""


class DeviceError(MediaFMError):
    """The device that was asked for is not on this machine, or there are fewer of it than processes."""


class TrainingError(MediaFMError):
    """Pre-training cannot start, or cannot go on: it diverged, cannot be saved, or lost one of its processes."""


class ReleaseError(MediaFMError):
    """An encoder may not go live, or a release not be gone back to, or an encoder not be retired."""


class IncompleteError(ReleaseError):
    """A candidate lacks some of what a release holds; nothing was judged."""


class GateError(ReleaseError):
    """The gate refuses a candidate: a task is worse than production's, or below its floor."""


class PlanError(MediaFMError):
    """A step that nobody asks for, or whose inputs do not exist yet."""


class StoreError(MediaFMError):
    """Something is wrong with a home, its artifacts or its ledger."""


class HomeError(StoreError):
    """There is no home at this place, or it was made by another layout version."""


class ArtifactError(StoreError):
    """An artifact is missing, or its bytes are not those that the ledger recorded."""


class SnapshotError(StoreError):
    """There is no snapshot to read, or it does not hold what was asked for."""


class NotYetAvailableError(SnapshotError):
    """A title of the home that the live encoder has not read, or its heads not scored, yet."""
