"""The two states of one training as files, of which each is whole whatever ends the process that writes them."""

from dataclasses import dataclass
from pathlib import Path

from mediafm_core.pretraining.state import step_of
from mediafm_core.store.objects import move_file, replace_file


@dataclass(frozen=True, slots=True)
class StateFiles:
    """See `States`. What is set aside is renamed, so a state is written once and two are the most that stand."""

    newest: Path  # absent where nothing was saved after the good one
    good: Path  # absent where no state is known to be good

    def read(self) -> bytes | None:
        """The state to go on from; None where nothing was saved."""
        path = self.newest if self.newest.exists() else self.good
        return path.read_bytes() if path.exists() else None

    @property
    def good_step(self) -> int | None:
        """See `States`.

        Raises:
            ArtifactError: the file is damaged, or of another version of MediaFM.
        """
        return step_of(self.good) if self.good.exists() else None

    def save(self, state: bytes) -> None:
        """See `States`."""
        replace_file(self.newest, state)

    def set_aside(self) -> None:
        """See `States`."""
        move_file(self.newest, self.good)

    def fall_back(self) -> None:
        """See `States`."""
        self.newest.unlink()
