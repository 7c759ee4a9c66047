"""EfficientNet-Lite0 as an OpenVINO graph, built from its checkpoint's tensors; nobody else's code runs.

Batch normalisation is folded into the convolutions. The graph agrees with the torch module that the checkpoint was
made for (a test compares them), is several times faster on one thread, and gives a still the same bits in any batch.

Shape letters: N stills, C channels, H and W pixels, D = 1280 features.
"""

import numpy as np

from mediafm_core.encoders.engine import Arrays, Graph, Node

PIXELS = 224

# The depthwise convolution of each of the 16 blocks moves by this many pixels; all else is told by the tensors' shapes.
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_BATCH_NORM_EPSILON = 1e-3


def features_graph(arrays: Arrays) -> Graph:
    """The network up to its pooled features: (N, 224, 224, 3) uint8 RGB to (N, 1280) float32.

    Args:
        arrays: the checkpoint's tensors; its classifier is left out.
    """
    from openvino import opset13 as ops

    stills = ops.parameter([-1, PIXELS, PIXELS, 3], np.uint8)  # (N, H, W, C)
    pixels = ops.convert(stills, "f32")
    pixels = ops.divide(ops.subtract(pixels, np.float32(127)), np.float32(128))
    x: Node = ops.transpose(pixels, np.array([0, 3, 1, 2]))  # (N, C, H, W)
    x = _relu6(_convolve(x, arrays, "_conv_stem", "_bn0", stride=2))
    for i, stride in enumerate(_STRIDES):
        x = _block(x, arrays, f"_blocks.{i}.", stride)
    x = _relu6(_convolve(x, arrays, "_conv_head", "_bn1"))  # (N, D, 7, 7)
    return Graph([stills], ops.reduce_mean(x, np.array([2, 3])))  # (N, D)


def _block(x: Node, arrays: Arrays, prefix: str, stride: int) -> Node:
    """An inverted bottleneck: widen (but for the first block), filter each channel, narrow, add where shapes agree."""
    from openvino import opset13 as ops

    y = x
    if f"{prefix}_expand_conv.weight" in arrays:
        y = _relu6(_convolve(y, arrays, f"{prefix}_expand_conv", f"{prefix}_bn0"))
    y = _relu6(_convolve(y, arrays, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, depthwise=True))
    y = _convolve(y, arrays, f"{prefix}_project_conv", f"{prefix}_bn2")
    same = stride == 1 and x.get_output_partial_shape(0) == y.get_output_partial_shape(0)
    return ops.add(x, y) if same else y


def _convolve(x: Node, arrays: Arrays, conv: str, norm: str, *, stride: int = 1, depthwise: bool = False) -> Node:
    """A convolution with TensorFlow's SAME padding and its batch normalisation folded in."""
    from openvino import opset13 as ops

    scale = arrays[f"{norm}.weight"] / np.sqrt(arrays[f"{norm}.running_var"] + np.float32(_BATCH_NORM_EPSILON))
    bias = arrays[f"{norm}.bias"] - arrays[f"{norm}.running_mean"] * scale
    kernel = arrays[f"{conv}.weight"] * scale[:, None, None, None]  # (C out, C in, h, w)
    if depthwise:
        kernel = kernel[:, None]  # (groups, 1, 1, h, w)
    operator = ops.group_convolution if depthwise else ops.convolution
    y = operator(x, kernel, [stride, stride], [0, 0], [0, 0], [1, 1], "same_upper")
    return ops.add(y, bias[None, :, None, None])


def _relu6(x: Node) -> Node:
    from openvino import opset13 as ops

    return ops.clamp(x, 0.0, 6.0)
