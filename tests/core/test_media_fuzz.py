"""Damaged media are decoded whole or refused with a typed error, in any container, and leave nothing behind."""

from pathlib import Path
from random import Random

import pytest

from mediafm_core.errors import MediaError
from mediafm_core.media.limits import Limits
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import WorkingSet
from tests.media_files import clicks, write_film

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

N_FILES = 40
CODECS = {
    "mp4": ("libx264", "aac"),
    "mkv": ("libx264", "aac"),
    "webm": ("libvpx-vp9", "libopus"),
    "ts": ("mpeg2video", "mp2"),
}


def damaged(data: bytes, random: Random) -> bytes:
    """The same file after one accident: bytes flipped, its end lost, a stretch lost, doubled, or filled with noise."""
    changed = bytearray(data)
    at, length = random.randrange(len(data)), random.randrange(1, max(2, len(data) // 4))
    match random.choice(("flip", "flip the head", "cut", "lose", "double", "noise")):
        case "flip":
            for place in random.sample(range(len(data)), k=min(len(data), 1 + length // 64)):
                changed[place] ^= 1 << random.randrange(8)
        case "flip the head":
            for place in random.choices(range(min(512, len(data))), k=random.randrange(1, 6)):
                changed[place] = random.randrange(256)
        case "cut":
            del changed[at:]
        case "lose":
            del changed[at : at + length]
        case "double":
            changed[at:at] = changed[at : at + length]
        case "noise":
            changed[at : at + length] = random.randbytes(len(changed[at : at + length]))
    return bytes(changed)


def outcome(path: Path, into: Path) -> str:
    """What became of a file: `decoded`, with all that a title needs, or `refused`, with nothing."""
    try:
        decode(path, into, limits=Limits(floor_s=30.0))
    except MediaError:
        assert not into.exists()
        return "refused"
    assert len(WorkingSet.open(into).frames) > 0
    return "decoded"


@pytest.mark.parametrize("container", CODECS)
def test_a_damaged_file_is_decoded_whole_or_refused_and_leaves_nothing(container: str, tmp_path: Path) -> None:
    whole = write_film(tmp_path / f"film.{container}", (10, 15), sound=clicks(1.0), codecs=CODECS[container]).path
    path, sets, data = tmp_path / f"damaged.{container}", tmp_path / "sets", whole.read_bytes()
    outcomes = []
    for seed in range(N_FILES):
        path.write_bytes(damaged(data, Random(f"{container} {seed}")))
        outcomes.append(outcome(path, sets / f"{seed:064d}"))
    assert {"refused", "decoded"} == set(outcomes), "accidents too mild, or too rough"
    assert not [left for left in sets.iterdir() if left.name.startswith(".")]
