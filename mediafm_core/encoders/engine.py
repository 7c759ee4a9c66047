"""OpenVINO on the CPU, in float32 and with a stated number of threads."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

PRECISION = "f32"  # OpenVINO's own choice is bf16 on some CPUs, and then two machines disagree in the second decimal

Network = Callable[..., npt.NDArray[np.float32]]
"""Arrays in, the output out."""

Node = Any  # an output of an OpenVINO operator; the package's own annotations do not accept what its operators return
Arrays = dict[str, npt.NDArray[Any]]
"""A checkpoint's tensors by its own names."""


class Graph(NamedTuple):
    """A network that is described and not yet compiled."""

    inputs: list[Node]
    """In the order of the call."""
    output: Node


def compile_network(graph: Graph, *, n_threads: int) -> Network:
    """Compile for the CPU; the network that comes back may be called with any size of the graph's open axes.

    Not to be called from two threads at once.
    """
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": PRECISION, "INFERENCE_NUM_THREADS": n_threads, "NUM_STREAMS": 1}
    model: Any = ov.Model
    compiled = ov.Core().compile_model(model([graph.output], graph.inputs, "network"), "CPU", settings)

    def run(*inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return np.array(compiled(inputs)[0])  # a copy: the output's own memory is used again at the next call

    return run
