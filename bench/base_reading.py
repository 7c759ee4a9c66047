"""Reading one title at base size on one thread: ours beside the peers, and beside the core's own matmul rate.

For all alike: one title of 512 shots per call, from float32 fused embeddings to float32 states. Ours is `embed_title`,
which also checks, centres, and reads [CLS] and [GLOBAL]; a peer is its bare module.
"""

from collections.abc import Callable
from functools import cache, partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.harness import Figure
from bench.measuring import cpu_s, in_turn, shown_s, torch_threads
from mediafm_core.model.config import ModelConfig, Precision, sized

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.peers import Peer

DIMS = (768, 768, 768)
N_SHOTS = 512
_ROUNDS = 7
_N_SPECIAL = 2  # tokens beside the shots
_N_MATMULS = 20  # in one measurement of the rate
_OURS, _MATMUL = "ours", "matmul"


class Measured(NamedTuple):
    """CPU seconds of one reading, round by round."""

    ours_s: list[float]
    peers_s: dict[str, list[float]]
    matmul_flops: float  # a second, of plain matrix products in the same rounds
    flops: int  # of one reading by ours

    @property
    def fastest(self) -> str:
        """The peer with the lowest median."""
        return min(self.peers_s, key=lambda name: median(self.peers_s[name]))


def reading_against(precision: Precision, peer: str | None = None) -> Figure:
    """A peer's CPU seconds over ours; without a name, the fastest peer's."""
    measured = _measured(precision)
    name = peer or measured.fastest
    ratios = [theirs / ours for theirs, ours in zip(measured.peers_s[name], measured.ours_s, strict=True)]
    times = ", ".join(f"{each} {shown_s(times_s)}" for each, times_s in measured.peers_s.items())
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} against {name} in {_ROUNDS} rounds"
    return Figure(median(ratios), f"ours {shown_s(measured.ours_s)}, {times}; {spread}")


def reading_share(precision: Precision) -> Figure:
    """The rate at which ours reads, as a share of what this core does in plain matrix products of the same dtype."""
    measured = _measured(precision)
    ours_s = median(measured.ours_s)
    rate = measured.flops / ours_s
    note = f"{rate / 1e9:.0f} of {measured.matmul_flops / 1e9:.0f} GFLOP/s, {N_SHOTS / ours_s:.0f} shots/CPU-s"
    return Figure(rate / measured.matmul_flops, note)


@cache
def _measured(precision: Precision) -> Measured:
    import torch

    from bench.peers import peers
    from bench.titles import noise_title

    config = sized("base", DIMS, DIMS[2], precision=precision)
    fused = torch.from_numpy(noise_title(N_SHOTS, DIMS, seed=0).fused)[None]  # (1, S, F)
    readers = {name: partial(_read, peer.to(_dtype(precision)).eval(), fused) for name, peer in peers(config).items()}
    works = {_OURS: _ours(config), _MATMUL: _matmuls(config), **readers}
    with torch_threads(1):
        times_s = in_turn(works, rounds=_ROUNDS, clock=cpu_s)
    products = 2 * N_SHOTS * config.hidden**2 * config.mlp_ratio * _N_MATMULS
    rate = products / median(times_s.pop(_MATMUL))
    return Measured(times_s.pop(_OURS), times_s, rate, reading_flops(config, N_SHOTS))


def _dtype(precision: Precision) -> "torch.dtype":
    import torch

    return {Precision.FLOAT32: torch.float32, Precision.BFLOAT16: torch.bfloat16}[precision]


def _ours(config: ModelConfig) -> Callable[[], object]:
    import torch

    from bench.titles import noise_title
    from mediafm_core.contextual.embedding import embed_title
    from mediafm_core.model.encoder import MediaFM

    encoder = MediaFM.new(config, torch.Generator().manual_seed(0)).eval()
    title = noise_title(N_SHOTS, DIMS, seed=0)
    return lambda: embed_title(encoder, title.fused, title.metadata)


def _read(peer: "Peer", fused: "Tensor") -> "Tensor":
    import torch

    with torch.inference_mode():
        return peer(fused.to(peer.mask.dtype)).float()


def _matmuls(config: ModelConfig) -> Callable[[], None]:
    """Products of the shapes of the feed-forward's first half."""
    import torch

    dtype = _dtype(config.precision)
    left = torch.randn(N_SHOTS, config.hidden, dtype=dtype)
    right = torch.randn(config.hidden, config.mlp_ratio * config.hidden, dtype=dtype)

    def multiply() -> None:
        for _ in range(_N_MATMULS):
            torch.mm(left, right)

    return multiply


def reading_flops(config: ModelConfig, n_shots: int) -> int:
    """Floating-point operations of the matrix products in one reading; a product and its addition are two."""
    n_tokens = n_shots + _N_SPECIAL
    linear = (4 + 2 * config.mlp_ratio) * config.hidden**2  # multiplications for each token and block
    attention = 2 * n_tokens * config.hidden  # likewise
    blocks = config.layers * n_tokens * (linear + attention)
    return 2 * (blocks + n_shots * config.fused_dims * config.hidden)
