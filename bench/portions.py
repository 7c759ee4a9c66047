"""What it brings to send more through a network at once: `python -m bench.portions [NAME...]`.

CPU seconds of one thread for one item, in portions of several sizes, measured in turn; and by how much each item of the
largest portion raises the process's peak of memory, which Linux counts.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.measuring import cpu_s, in_turn, torch_threads
from bench.suite_speed import paper_network

_DRAW = np.random.default_rng(0)
_Portions = Callable[[int], list[Any]]
"""All items, so many at a time."""


class Subject(NamedTuple):
    """A network, and what goes through it."""

    what: str
    network: Callable[[Any], object]  # takes a portion
    n_items: int
    portions: _Portions
    sizes: tuple[int, ...]
    rounds: int = 3

    def read(self, portions: list[Any]) -> None:
        """All of it goes through."""
        for portion in portions:
            self.network(portion)


def stills() -> Subject:
    """Of the embedded suite."""
    from mediafm_core.encoders.efficientnet_lite0 import EfficientNetLite0

    encoder: Any = EfficientNetLite0()
    pixels = _DRAW.integers(0, 256, (64, 224, 224, 3), np.uint8)
    return Subject("stills, EfficientNet-Lite0", encoder._network, 64, partial(_cut, pixels), (1, 4, 13, 32, 64))


def texts() -> Subject:
    """Of the embedded suite, all of 20 tokens."""
    return _texts("texts of 20 tokens, MiniLM", [20] * 128, (1, 4, 13, 32, 64))


def lines() -> Subject:
    """Texts whose lengths differ as those of lines do, neighbours by length together, padded to the longest."""
    lengths = np.clip(_DRAW.lognormal(3, 0.7, 240), 3, 150).astype(int)
    return _texts("texts of 3 to 150 tokens, MiniLM", sorted(lengths), (1, 4, 13, 32, 64))


def _texts(what: str, lengths: list[int], sizes: tuple[int, ...]) -> Subject:
    from mediafm_core.encoders.minilm_l6 import MiniLML6, _padded

    encoder: Any = MiniLML6()
    tokens = [list(_DRAW.integers(1000, 20_000, length)) for length in lengths]
    padded = lambda n: [_padded(portion) for portion in _cut(tokens, n)]  # noqa: E731
    return Subject(what, lambda portion: encoder._network(*portion), len(tokens), padded, sizes)


def sound() -> Subject:
    """Of the embedded suite: 3 s each. Those of a title differ in length, and would have to be padded."""
    import ctranslate2

    from mediafm_core.encoders.whisper_tiny_en import WhisperTinyEn

    encoder: Any = WhisperTinyEn()
    mel = _DRAW.standard_normal((32, 80, 300), np.float32)
    return Subject(
        "sound of 3 s, Whisper tiny.en",
        lambda portion: encoder._model.encode(ctranslate2.StorageView.from_array(portion), to_cpu=True),
        32,
        partial(_cut, mel),
        (1, 4, 13, 32),
    )


def paper(kind: str, what: str, shape: tuple[int, ...]) -> Subject:
    """Of the paper's suite, by its shape."""
    import torch

    network = torch.inference_mode()(paper_network(kind).eval().forward)
    given = torch.from_numpy(_DRAW.standard_normal((8, *shape), np.float32))
    return Subject(what, network, 8, partial(_cut, given), (1, 4, 8), rounds=1)  # a second an item


def _cut(items: Any, n: int) -> list[Any]:
    return [items[i : i + n] for i in range(0, len(items), n)]


SUBJECTS: Mapping[str, Callable[[], Subject]] = {
    "stills": stills,
    "texts": texts,
    "lines": lines,
    "sound": sound,
    "clip": partial(paper, "clip", "stills, CLIP ViT-L/14", (3, 224, 224)),
    "wav2vec2": partial(paper, "wav2vec2", "sound of 3 s, wav2vec2-base", (48_000,)),
}


def row(subject: Subject) -> str:
    """Milliseconds of CPU an item by portion, and MiB an item."""
    grown_mib = _mib_an_item(subject)  # first: a network keeps the memory that its largest portion took
    works = {str(n): partial(subject.read, subject.portions(n)) for n in subject.sizes}
    times_s = in_turn(works, rounds=subject.rounds, clock=cpu_s)
    costs = [f"{n}: {1000 * statistics.median(took_s) / subject.n_items:.3g}" for n, took_s in times_s.items()]
    return f"| {subject.what} | {', '.join(costs)} | {grown_mib:.2g} |"


def _mib_an_item(subject: Subject) -> float:
    subject.read(subject.portions(1)[:1])
    peaks = []
    for n in (1, max(subject.sizes)):
        last = subject.portions(n)[-1:]
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
        subject.read(last)
        said = Path("/proc/self/status").read_text().splitlines()
        peaks.append(int(next(line.split()[1] for line in said if line.startswith("VmHWM:"))) / 1024)
    return (peaks[1] - peaks[0]) / (max(subject.sizes) - 1)


def main() -> None:
    """Measure what is asked for, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SUBJECTS), choices=list(SUBJECTS))
    asked = parser.parse_args()
    sys.stdout.write("| what | CPU-ms an item, by items at once | MiB an item |\n|---|---|---|\n")
    with torch_threads(1):
        for name in asked.names:
            sys.stdout.write(row(SUBJECTS[name]()) + "\n")


if __name__ == "__main__":
    main()
