"""MiniLM, a BERT of six narrow layers, as an OpenVINO graph built from its checkpoint's tensors.

Written out because importing transformers takes seconds in each process; a test compares the two.
Devlin et al., BERT, arXiv 1810.04805: post-norm layers, learned positions.

Shape letters: N texts, T tokens, H = 384 hidden, A = 12 heads of H / A each.
"""

import numpy as np

from mediafm_core.encoders.engine import Arrays, Graph, Node

_N_LAYERS = 6
_N_HEADS = 12
_LAYER_NORM_EPSILON = 1e-12
_FAR_BELOW = np.float32(-1e9)  # added to the score of a padded token: its weight is exactly 0 after the softmax


def sentence_graph(arrays: Arrays) -> Graph:
    """The network: (N, T) int64 token ids and (N, T) float32 mask (1 a token, 0 padding) to (N, H) unit rows."""
    from openvino import opset13 as ops

    ids = ops.parameter([-1, -1], np.int64)
    mask = ops.parameter([-1, -1], np.float32)
    x = _embed(ids, arrays)  # (N, T, H)
    padding = ops.multiply(ops.subtract(np.float32(1), ops.unsqueeze(mask, np.array([1, 2]))), _FAR_BELOW)
    for i in range(_N_LAYERS):
        x = _layer(x, padding, arrays, f"encoder.layer.{i}.")
    weighted = ops.multiply(x, ops.unsqueeze(mask, np.array(2)))
    total = ops.reduce_sum(weighted, np.array(1))  # (N, H); a mean differs by a factor that the last step takes out
    unit = ops.normalize_l2(total, np.array([1]), 1e-24, "max")
    return Graph([ids, mask], unit)


def _embed(ids: Node, arrays: Arrays) -> Node:
    from openvino import opset13 as ops

    words = ops.gather(arrays["embeddings.word_embeddings.weight"], ids, np.array(0))  # (N, T, H)
    n_tokens = ops.gather(ops.shape_of(ids), np.array(1), np.array(0))
    positions = ops.range(np.array(0, np.int64), n_tokens, np.array(1, np.int64), "i64")
    places = ops.gather(arrays["embeddings.position_embeddings.weight"], positions, np.array(0))  # (T, H)
    segment = arrays["embeddings.token_type_embeddings.weight"][0]  # one text, so one segment
    return _normalise(ops.add(ops.add(words, places), segment), arrays, "embeddings.LayerNorm")


def _layer(x: Node, padding: Node, arrays: Arrays, prefix: str) -> Node:
    from openvino import opset13 as ops

    heard = _linear(_attend(x, padding, arrays, prefix), arrays, f"{prefix}attention.output.dense")
    x = _normalise(ops.add(x, heard), arrays, f"{prefix}attention.output.LayerNorm")
    wide = ops.gelu(_linear(x, arrays, f"{prefix}intermediate.dense"), "erf")  # (N, T, 4H)
    return _normalise(ops.add(x, _linear(wide, arrays, f"{prefix}output.dense")), arrays, f"{prefix}output.LayerNorm")


def _attend(x: Node, padding: Node, arrays: Arrays, prefix: str) -> Node:
    from openvino import opset13 as ops

    query, key, value = (
        _split_heads(_linear(x, arrays, f"{prefix}attention.self.{part}")) for part in ("query", "key", "value")
    )
    scale = np.float32(1 / np.sqrt(x.get_output_partial_shape(0)[2].get_length() / _N_HEADS))
    scores = ops.multiply(ops.matmul(query, key, False, True), scale)  # (N, A, T, T)
    heads = ops.matmul(ops.softmax(ops.add(scores, padding), -1), value, False, False)  # (N, A, T, H / A)
    together = ops.transpose(heads, np.array([0, 2, 1, 3]))
    return ops.reshape(together, np.array([0, 0, -1]), True)  # (N, T, H)


def _split_heads(x: Node) -> Node:
    from openvino import opset13 as ops

    parts = ops.reshape(x, np.array([0, 0, _N_HEADS, -1]), True)  # (N, T, A, H / A)
    return ops.transpose(parts, np.array([0, 2, 1, 3]))  # (N, A, T, H / A)


def _linear(x: Node, arrays: Arrays, name: str) -> Node:
    from openvino import opset13 as ops

    return ops.add(ops.matmul(x, arrays[f"{name}.weight"], False, True), arrays[f"{name}.bias"])


def _normalise(x: Node, arrays: Arrays, name: str) -> Node:
    """Layer normalisation over the hidden axis."""
    from openvino import opset13 as ops

    even = ops.mvn(x, np.array([-1]), True, _LAYER_NORM_EPSILON, "inside_sqrt")
    return ops.add(ops.multiply(even, arrays[f"{name}.weight"]), arrays[f"{name}.bias"])
