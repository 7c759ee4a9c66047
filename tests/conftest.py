"""What all tests share: tiny films, and homes that have seen the whole chain, built once and copied for each test."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm_core.store.home import Home
from tests.media_files import Film, clicks, write_film

pytest.register_assert_rewrite("tests.e2e.scenario")


def pytest_configure(config: pytest.Config) -> None:
    """Let the definitions be loaded.

    Dagster marks the policy by which it batches a backfill as beta (tests/upstream pins it), and warns of its own
    use of `owners` when it binds resources to a sensor.
    """
    for parameter in ("backfill_policy", "owners"):
        config.addinivalue_line("filterwarnings", f"ignore:Parameter `{parameter}` of:dagster.BetaWarning")


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Three scenes of 25, 30 and 20 frames at 25 a second, 3 s, with a click at 1 s and at 2 s."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", sound=clicks(3.0))


@pytest.fixture(scope="session")
def make_film() -> Callable[..., Film]:
    """`write_film`, for tests that need an odd one."""
    return write_film


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], Path]) -> Path:
    """What `build` makes at a path, made once for all workers of a session. Read it, never change it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    root = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            build(base / f"building-{name}").rename(root)
    return root


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for which nothing is missing: see `tests.homes`. Read it, never change it: take `home` for that."""
    from tests.homes import build_finished_home

    return built_once(tmp_path_factory, "finished-home", build_finished_home)


@pytest.fixture(scope="session")
def finished_live_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with five tasks and a release: see `tests.narrative_homes`. Take `live_home` to change it."""
    from tests.narrative_homes import build_live_home

    return built_once(tmp_path_factory, "live-home", build_live_home)


@pytest.fixture(scope="session")
def finished_ingested_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose titles are fused, and no encoder: see `tests.narrative_homes`. Take `ingested_home` to change it."""
    from tests.narrative_homes import build_ingested_home

    return built_once(tmp_path_factory, "ingested-home", build_ingested_home)


@pytest.fixture
def ingested_home(finished_ingested_home: Path, tmp_path: Path) -> Home:
    """A home of one's own with twelve narrative titles, fused, their labels frozen, and no encoder."""
    return Home.open(shutil.copytree(finished_ingested_home, tmp_path / "home"))


@pytest.fixture
def live_home(finished_live_home: Path, tmp_path: Path) -> Home:
    """A home of one's own with twelve narrative titles, five tasks, and `v1-r1` live; nothing is missing."""
    return Home.open(shutil.copytree(finished_live_home, tmp_path / "home"))


@pytest.fixture
def home(finished_home: Path, tmp_path: Path) -> Home:
    """A home of one's own for which nothing is missing: titles `alpha` and `beta`, encoder `v1` in production."""
    return Home.open(shutil.copytree(finished_home, tmp_path / "home"))


@pytest.fixture
def empty_home(tmp_path: Path) -> Home:
    """A home with its suite and instruments, and no title."""
    from mediafm_assets.cli.running import initialise

    return initialise(tmp_path / "empty-home")
