"""Benchmarks of the model: peers have our shapes and their fast ways, counts are right, curves say what was learnt."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base_reading import reading_flops
from bench.curves import draw
from bench.growth import Line
from bench.measuring import in_turn
from bench.optimisers import Run, Setting, best, chosen, compared, setting, table
from bench.titles import noise_title
from mediafm_core.model.config import ModelConfig, sized
from mediafm_core.model.encoder import MediaFM

SMALL = ModelConfig(
    video_dims=12, audio_dims=8, text_dims=4, metadata_dims=4, hidden=32, layers=2, heads=4, dropout=0.0, window=16
)

# x-transformers scripts one of its functions when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def small_peers() -> dict[str, torch.nn.Module]:
    from bench.peers import peers

    return dict(peers(SMALL))


def test_every_peer_reads_and_predicts_in_our_shapes(small_peers: dict[str, torch.nn.Module]) -> None:
    fused, masked = torch.randn(1, 16, 24), torch.arange(16)[None] < 3
    for name, peer in small_peers.items():
        assert peer(fused).shape == (1, 16, 32), name
        assert peer.predict(fused, masked).shape == (1, 16, 24), name  # pyright: ignore[reportCallIssue]


def test_a_peer_does_not_see_what_is_masked(small_peers: dict[str, torch.nn.Module]) -> None:
    fused, masked = torch.randn(1, 16, 24), torch.arange(16)[None] < 3
    other = fused.masked_fill(masked[..., None], 7.0)
    for name, peer in small_peers.items():
        assert torch.equal(peer(fused, masked), peer(other, masked)), name


def test_peers_are_as_large_as_ours() -> None:
    from bench.peers import peers

    config = sized("base", (768, 768, 768), 768)
    with torch.device("meta"):
        ours = sum(p.numel() for p in MediaFM(config).blocks.parameters())
        theirs = {name: sum(p.numel() for p in peer.trunk.parameters()) for name, peer in peers(config).items()}
    for name, n_parameters in theirs.items():
        assert n_parameters == pytest.approx(ours, rel=0.01), name


def operations(run) -> set[str]:
    """The names of all that torch does in a call."""
    with torch.profiler.profile() as profile, torch.inference_mode():
        run()
    return {event.key for event in profile.key_averages()}


def test_peers_take_their_fast_ways(small_peers: dict[str, torch.nn.Module]) -> None:
    fused = torch.randn(1, 16, 24)
    ran = {name: operations(lambda peer=peer: peer.eval()(fused)) for name, peer in small_peers.items()}
    assert "aten::_transformer_encoder_layer_fwd" in ran["nn.TransformerEncoder"]
    assert "aten::scaled_dot_product_attention" in ran["BertModel"] & ran["x-transformers"]


def test_the_counted_operations_are_those_that_torch_counts() -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from mediafm_core.contextual.embedding import embed_title

    config = sized("tiny", (96, 48, 64), 64)
    encoder = MediaFM.new(config, torch.Generator().manual_seed(0)).eval()
    title = noise_title(40, config.modality_dims, seed=0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # of products that it can see
        embed_title(encoder, title.fused, title.metadata)
    assert reading_flops(config, 40) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_each_work_runs_once_in_each_round_after_a_warm_up() -> None:
    ran: list[str] = []
    works = {name: lambda name=name: ran.append(name) for name in "abc"}
    times_s = in_turn(works, rounds=2, clock=lambda: float(len(ran)))
    assert "".join(ran) == "abc" * 3
    assert times_s == {"a": [1, 1], "b": [1, 1], "c": [1, 1]}


def test_a_line_is_found_again_and_explains_itself() -> None:
    line = Line.through([20, 40, 80], [3.0, 5.0, 9.0])
    assert line == pytest.approx((1.0, 0.1, 1.0))
    assert Line.through([20, 40, 80], [1.0, 3.0, 1.0]).r2 < 0.2


def run_of(name: str = "Muon", seed: int = 1, loss: float = 0.5, rate: float = 1.0) -> Run:
    return Run(name, seed, 4, None, rate, 0.5, [(2, 0.9), (4, loss)])


def test_rates_are_tried_on_beyond_an_end_that_is_the_best() -> None:
    tried: list[float] = []

    def attempt(rate: float) -> Run:
        tried.append(rate)
        return run_of(rate=rate, loss=abs(np.log(rate / 27)))

    runs = best((1.0, 3.0), attempt)
    assert tried == [1.0, 3.0, 9.0, 27.0, 81.0]
    assert runs[0].adamw_rate == 27.0


def test_a_best_rate_between_two_others_is_taken() -> None:
    losses = {1.0: 0.6, 3.0: 0.5, 9.0: 0.7}
    runs = best(tuple(losses), lambda rate: run_of(rate=rate, loss=losses[rate]))
    assert [run.adamw_rate for run in runs] == [3.0, 1.0, 9.0]


def test_the_table_has_a_row_for_each_curve_with_its_mean() -> None:
    runs = [run_of(seed=1, loss=0.4), run_of(seed=2, loss=0.6), run_of("AdamW", loss=0.7)]
    first, second = table(runs).splitlines()[2:]
    assert first == "| Muon | 4 | 0.500 | 0.4000, 0.6000 | 0.5000 |"
    assert second.startswith("| AdamW |")


def test_the_same_runs_give_the_same_picture(tmp_path: Path) -> None:
    runs = [run_of(), run_of("AdamW")]
    for name in ("a.svg", "b.svg"):
        draw(runs, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def short() -> Setting:
    """A few titles and the smallest encoder."""
    shared = setting(4)
    model = replace(shared.config.model, hidden=16, layers=1, heads=1)
    trainer = replace(shared.config.trainer, shots_per_step=100)
    return Setting(shared.titles, replace(shared.config, model=model, trainer=trainer))


def test_a_run_names_its_rates_and_has_a_loss_at_its_end() -> None:
    shared = short()
    muon = shared.run("Muon", 1, 4, muon=0.02, adamw=1e-3)
    adamw = shared.run("AdamW", 1, 4, muon=None, adamw=1e-3)
    assert (muon.muon_rate, adamw.muon_rate) == (0.02, None)
    assert [step for step, _ in muon.curve] == [1, 2, 3, 4]
    assert muon.loss != adamw.loss


def test_each_seed_learns_by_all_three_ways_and_a_step_costs_what_was_measured_in_turn() -> None:
    shared = short()
    muon, adamw = (shared.run("grid", 0, 2, muon=rate, adamw=1e-3) for rate in (0.02, None))
    runs = compared(shared, adamw, muon, 4, [1, 2])
    assert [(run.name, run.seed) for run in runs[:3]] == [
        ("Muon", 1), ("AdamW, equal steps", 1), ("AdamW, equal CPU time", 1)
    ]  # fmt: skip
    assert len({run.step_s for run in runs if run.muon_rate is None}) == 1
    assert len({(run.name, run.steps) for run in runs}) == 3


class Known(Setting):
    """Its loss is least at the rates 0.001 and 0.01."""

    def run(self, name: str, seed: int, steps: int, *, muon: float | None, adamw: float) -> Run:
        far = abs(np.log(adamw / 1e-3)) + (0.0 if muon is None else abs(np.log(muon / 1e-2)))
        return Run(name, seed, steps, muon, adamw, 1.0, [(steps, far)])


def test_rates_are_refined_twice_for_either_optimiser() -> None:
    alone, muon = chosen(Known(*short()), 2)
    assert sorted(run.adamw_rate for run in alone) == [3e-4, 5.8e-4, 1e-3, 1.7e-3, 3e-3, 1e-2]
    assert sorted({run.adamw_rate for run in muon}) == pytest.approx([1e-3 / 3, 1e-3, 3e-3])
    assert (alone[0].adamw_rate, muon[0].muon_rate) == (1e-3, 1e-2)
