"""A training that cannot go on says what, at which step, and which saved state stands; none holds a bad number."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mediafm_core.errors import ArtifactError, TrainingError
from mediafm_core.model.container import unpack
from mediafm_core.pretraining.corpus import InMemory
from mediafm_core.pretraining.ends import Watch
from mediafm_core.pretraining.state import FORMAT
from mediafm_core.pretraining.state_files import StateFiles
from mediafm_core.pretraining.trainer import train
from tests.trainings import Kept, config, step_of, titles


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny matrices are slower on many threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def _bad(data: bytes) -> list[str]:
    """Names of the tensors of a state that hold a number which is not finite."""
    tensors = unpack(data, "a state", FORMAT).tensors
    return [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]


@pytest.mark.parametrize(
    ("decay", "message"),
    [(0.0, r"step 2: nan in the "), (1e15, r"step 1: numbers that are not finite in encoder\.")],
)
def test_a_number_that_is_not_finite_ends_the_training_and_never_reaches_a_state(decay: float, message: str) -> None:
    states = Kept()
    too_fast = config(adamw_rate=1e25, weight_decay=decay, warm_up_steps=0, steps=6, checkpoint_every=1)
    with pytest.raises(TrainingError, match=message):
        train(titles(), too_fast, seed=1, states=states)
    assert [_bad(state) for state in states] == [[] for _ in states]


def test_the_error_names_the_state_that_stands() -> None:
    states = Kept()
    with pytest.raises(TrainingError, match=r"step 2: .*The state of step 1 stands\. No state"):
        train(titles(), config(adamw_rate=1e18, warm_up_steps=0, checkpoint_every=1), seed=1, states=states)
    assert len(states) == 1
    with pytest.raises(TrainingError, match=r"step 2: .*States are not saved here\."):
        train(titles(), config(adamw_rate=1e18, warm_up_steps=0, checkpoint_every=1), seed=1)


class Full(Kept):
    """A disk that holds two states."""

    def save(self, state: bytes) -> None:
        if len(self) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().save(state)


def test_a_full_disk_ends_the_training_and_it_goes_on_from_the_last_state() -> None:
    states = Full()
    made = config(steps=8, checkpoint_every=2)
    with pytest.raises(TrainingError, match=r"step 6: .*No space left on device.*The state of step 4 stands\..*space"):
        train(titles(), made, seed=1, states=states)
    straight, resumed = train(titles(), made, seed=1), train(titles(), made, seed=1, resume=states[-1])
    assert straight.train_losses == resumed.train_losses


def test_a_loss_that_rises_for_good_is_divergence_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    learning = [0.6 + 0.4 * 0.98**step for step in range(300)]
    noise = rng.normal(0.0, 0.05, size=300)
    assert _steps_until_lost([*(learning + noise), *([0.6] * 100)]) is None
    assert _steps_until_lost([1.0 + n for n in noise]) is None  # one that never learns is judged elsewhere
    lost = _steps_until_lost([*learning, *([1.0] * 100)])
    assert lost is not None
    assert 325 <= lost <= 327  # half of the last 50 losses are back at 1
    assert _steps_until_lost([0.5] * 49 + [2.0] * 49) is not None


def _steps_until_lost(losses: list[float]) -> int | None:
    watch = Watch([])
    return next((step for step, loss in enumerate(losses, start=1) if watch.has_lost(watch.see(loss))), None)


def test_a_resumed_watch_knows_what_was_seen_before() -> None:
    losses = np.random.default_rng(0).uniform(size=120).tolist()
    straight, resumed = Watch(losses), Watch(losses[:70])
    for loss in losses[70:]:
        resumed.see(loss)
    assert straight.lowest == resumed.lowest
    assert straight.see(0.5) == resumed.see(0.5)


def scenes_alone() -> InMemory:
    """Every title is one scene, which is learnt at once."""
    rng = np.random.default_rng(0)
    scenes = rng.normal(size=(8, 18)).astype(np.float32)
    return InMemory([titles().read(0)._replace(title=f"t{i}", fused=scenes[i : i + 1].repeat(12, 0)) for i in range(8)])


SHAKEN_OFF = {"steps": 150, "shots_per_step": 96, "warm_up_steps": 149, "muon_rate": 300.0, "adamw_rate": 90.0}
"""A rate that only grows: what was learnt is lost again."""


@pytest.mark.parametrize("every", [1, 5, 20])
def test_after_a_divergence_the_state_that_stands_is_of_where_the_loss_was_near_its_lowest(every: int) -> None:
    states = Kept()
    losses: list[float] = []
    made = config(**SHAKEN_OFF, clip=1e9, checkpoint_every=every)
    with pytest.raises(TrainingError, match=r"a mean MSM loss of .* over the last 50 steps; it was ") as told:
        train(scenes_alone(), made, seed=0, states=states, report=lambda at: losses.append(at.msm))
    step = step_of(states[-1])
    assert f"The state of step {step} stands. Later ones were given up." in str(told.value)
    assert step_of(states[-2]) > step
    tens = [np.mean(losses[i : i + 10]) for i in range(len(losses) - 9)]
    assert losses[step] < min(tens) + 0.1  # what the weights of that state reach on the next step's pieces
    assert np.mean(losses[step - 9 : step + 1]) < min(tens) + 0.15  # every 20 steps may miss the lowest
    assert np.mean(losses[-10:]) > min(tens) + 0.3


def test_a_state_that_was_not_judged_yet_is_not_called_good() -> None:
    states = Kept()
    made = config(**SHAKEN_OFF, clip=1e9, checkpoint_every=75)
    with pytest.raises(TrainingError, match=r"The state of step \d+ stands\. No state before it is known to be good"):
        train(scenes_alone(), made, seed=0, states=states)


class Fixed(Kept):
    """A disk from which nothing can be removed."""

    def fall_back(self) -> None:
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_bad_state_that_cannot_be_given_up_does_not_hide_the_divergence() -> None:
    with pytest.raises(TrainingError, match=r"mean MSM loss .* could not be given up .* \(Read-only file system\)"):
        train(scenes_alone(), config(**SHAKEN_OFF, clip=1e9, checkpoint_every=20), seed=0, states=Fixed())


# Across kills


class KilledError(Exception):
    """What stands for a kill: nothing is saved any more."""


class Files:
    """States on a disk, with what stands there after each change; a kill comes after so many changes.

    Each change is one renaming or removal, so that a kill inside one leaves what stands before it or after it.
    """

    def __init__(self, folder: Path, *, killed_after: int | None = None) -> None:
        self.files = StateFiles(folder / "newest", folder / "good")
        self.stood: list[tuple[int | None, int | None]] = []  # (newest, good) after each change
        self._killed_after = killed_after

    @property
    def good_step(self) -> int | None:
        return self.files.good_step

    def save(self, state: bytes) -> None:
        self.files.save(state)
        self._changed()

    def set_aside(self) -> None:
        self.files.set_aside()
        self._changed()

    def fall_back(self) -> None:
        self.files.fall_back()
        self._changed()

    def stands(self) -> tuple[int | None, int | None]:
        paths = self.files.newest, self.files.good
        newest, good = (step_of(path.read_bytes()) if path.exists() else None for path in paths)
        return newest, good

    def _changed(self) -> None:
        self.stood.append(self.stands())
        if len(self.stood) == self._killed_after:
            raise KilledError


EVERY_10 = config(**SHAKEN_OFF, clip=1e9, checkpoint_every=10)


def diverge(states: Files) -> str:
    with pytest.raises(TrainingError, match="a mean MSM loss of") as told:
        train(scenes_alone(), EVERY_10, seed=0, resume=states.files.read(), states=states)
    return str(told.value)


def test_killed_after_a_change_and_resumed_a_divergence_leaves_the_good_state_of_an_undisturbed_one(
    tmp_path: Path,
) -> None:
    undisturbed = Files(tmp_path / "undisturbed")
    said = diverge(undisturbed)
    *before, end = undisturbed.stood
    newest, good = before[-1]
    assert (newest or 0) > (good or 0) > 0  # killed here, it is killed between a bad save and the notice
    assert end == (None, good)
    n_changes = len(undisturbed.stood)
    for killed_after in (1, n_changes // 2, n_changes - 1, n_changes):
        folder = tmp_path / str(killed_after)
        with pytest.raises(KilledError):
            train(scenes_alone(), EVERY_10, seed=0, states=Files(folder, killed_after=killed_after))
        resumed = Files(folder)
        assert resumed.stands() == undisturbed.stood[killed_after - 1]
        assert diverge(resumed) == said
        assert resumed.stands() == end
        assert sorted(path.name for path in folder.iterdir()) == ["good"]
        assert resumed.files.read() == undisturbed.files.read()


def test_a_training_whose_every_process_is_killed_after_one_save_ends_so_too(tmp_path: Path) -> None:
    """Each resumes from a state that may be bad, and never has the good one in its memory."""
    undisturbed = Files(tmp_path / "undisturbed")
    said = diverge(undisturbed)
    for _ in range(len(undisturbed.stood) - 1):
        states = Files(tmp_path / "killed", killed_after=1)
        with pytest.raises(KilledError):
            train(scenes_alone(), EVERY_10, seed=0, resume=states.files.read(), states=states)
    last = Files(tmp_path / "killed")
    assert last.stands() == undisturbed.stood[-2]
    assert diverge(last) == said
    assert last.stands() == undisturbed.stood[-1]


def test_a_good_state_that_is_damaged_is_refused_by_name_when_the_training_goes_on(tmp_path: Path) -> None:
    states = Files(tmp_path, killed_after=3)
    with pytest.raises(KilledError):
        train(scenes_alone(), EVERY_10, seed=0, states=states)
    newest, good = states.stands()
    assert newest
    assert good
    states.files.good.write_bytes(states.files.good.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=r"training state good: .*Start this training afresh"):
        train(scenes_alone(), EVERY_10, seed=0, resume=states.files.read(), states=Files(tmp_path))


def test_a_state_that_cannot_be_set_aside_ends_the_training(tmp_path: Path) -> None:
    states = Files(tmp_path)
    states.files.good.mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"step \d+: the state could not be saved \(Is a directory\)"):
        train(scenes_alone(), EVERY_10, seed=0, states=states)
