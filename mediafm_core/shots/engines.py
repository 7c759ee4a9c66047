"""The two engines that run TransNet V2: OpenVINO where it is installed, torch elsewhere.

In 32-bit floats they agree to a few parts in a million, so the engine is provenance and no part of a fingerprint.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediafm_core import weights

if TYPE_CHECKING:
    import openvino
    import torch

WEIGHTS = "transnetv2"
N_WINDOW = 100
"""Frames that the network sees at once."""

_GRAPH_VERSION = 1  # to be raised when `transnet` changes: converted models of another version are not read
_SHAPE = (1, N_WINDOW, 27, 48, 3)  # static: a graph with a free batch converts, and then returns nothing

Engine = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(100, 27, 48, 3) uint8 frames to (100,) float32 probabilities."""


def default_engine() -> str:
    """The name of the engine that runs here unless another one is asked for."""
    return "openvino" if importlib.util.find_spec("openvino") else "torch"


@cache
def _torch_engine() -> Engine:
    import torch

    network = _network()

    def run(window: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(torch.from_numpy(window)[None])[0].numpy()

    return run


@cache
def _openvino_engine() -> Engine:
    import openvino

    path = _converted_path(openvino.get_version())
    if not path.exists():
        _convert(path)
    # By default some processors compute in bfloat16, which moves probabilities by a hundredth.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    output = compiled.output(0)

    def run(window: NDArray[np.uint8]) -> NDArray[np.float32]:
        return compiled([window[None]])[output][0]

    return run


ENGINES = MappingProxyType({"openvino": _openvino_engine, "torch": _torch_engine})
"""Engines by name; each call returns the one of this process."""


def _network() -> "torch.nn.Module":
    from mediafm_core.shots.transnet import TransNet

    network = TransNet()
    network.load_state_dict(weights.state(WEIGHTS))
    return network.eval()


def _converted_path(version: str) -> Path:
    short = "".join(c for c in version.split("-")[0] if c.isalnum() or c in ".-")
    name = f"{WEIGHTS}-{weights.sha256(WEIGHTS)[:16]}-graph{_GRAPH_VERSION}-openvino{short}"
    return weights.cache_folder() / name / "model.xml"


def _convert(path: Path) -> None:
    """Convert the network, once per user and version; the folder appears whole or not at all."""
    import openvino
    import torch

    example = torch.zeros(_SHAPE, dtype=torch.uint8)
    with torch.inference_mode():
        model = openvino.convert_model(
            _network(), example_input=example, input=[(list(_SHAPE), openvino.Type.u8)], verbose=False
        )
    _save(model, path)


def _save(model: "openvino.Model", path: Path) -> None:
    import openvino

    path.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent.parent, prefix=f".{path.parent.name}.") as temporary:
        folder = Path(temporary) / "whole"
        folder.mkdir()
        openvino.save_model(model, folder / path.name, compress_to_fp16=False)
        try:
            folder.rename(path.parent)
        except OSError:
            if not path.exists():  # else another process was first, with the same model
                raise
