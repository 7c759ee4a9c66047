"""What training costs beside its arithmetic: titles read from a home, pieces drawn, masks, clipping, progress."""

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.harness import Figure
from bench.measuring import cpu_s, fresh_folder, seconds, shown_s, torch_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from mediafm_core.pretraining.config import PretrainingConfig
    from mediafm_core.pretraining.corpus import Corpus
    from mediafm_core.sequence.titles import TitleArrays

_DIMS = (1280, 384, 384)  # of the embedded suite
_N_TITLES, _N_SHOTS = 64, 400
_N_STEPS = 9  # of 2,400 shots each: every title is read from the disk in its step, none a second time
_N_FIRST = 2  # steps that are not counted: they allocate


def loading_share() -> Figure:
    """The bare step's CPU seconds over those of a step of `train` that reads its titles from a home.

    The bare step has the same shapes and tensors at hand: losses, gradients, optimisers, nothing else. After each step
    of the training comes one of those.
    """
    from bench.titles import noise_title
    from mediafm_core.pretraining.config import PretrainingConfig
    from mediafm_core.pretraining.presets import preset_config
    from mediafm_core.pretraining.trainer import train

    config = _short(PretrainingConfig.from_json(preset_config("mediafm", modality_dims=_DIMS, metadata_dims=_DIMS[2])))
    titles = [noise_title(_N_SHOTS, _DIMS, seed) for seed in range(_N_TITLES)]
    bare = _bare_step(titles, config)
    whole_s, bare_s = [], []
    began_s = [0.0]

    def report(*_: object) -> None:
        whole_s.append(cpu_s() - began_s[0])
        bare_s.append(seconds(bare, cpu_s))
        began_s[0] = cpu_s()

    with torch_threads(1):
        train(_stored(titles), config, seed=0, report=report)
    whole_s, bare_s = whole_s[_N_FIRST:], bare_s[_N_FIRST:]
    ratio = median(mine / all_of_it for mine, all_of_it in zip(bare_s, whole_s, strict=True))
    return Figure(ratio, f"bare {shown_s(bare_s)}, whole {shown_s(whole_s)} a step of 2,400 shots")


def _short(config: "PretrainingConfig") -> "PretrainingConfig":
    from dataclasses import replace

    return replace(config, trainer=replace(config.trainer, steps=_N_STEPS, held_out_share=0.0))


def _bare_step(titles: "list[TitleArrays]", config: "PretrainingConfig") -> "Callable[[], None]":
    """Losses, gradients, optimisers: the same piece of work each time."""
    import torch

    from mediafm_core.model.encoder import MediaFM
    from mediafm_core.pretraining.objective.heads import ObjectiveHeads
    from mediafm_core.pretraining.objective.losses import losses
    from mediafm_core.pretraining.objective.questions import ask, count
    from mediafm_core.pretraining.optimisers import optimisers
    from mediafm_core.sequence.batches import piece
    from mediafm_core.sequence.titles import as_tensors
    from mediafm_core.sequence.windows import Window

    generator = torch.Generator().manual_seed(0)
    encoder, heads = MediaFM.new(config.model, generator).train(), ObjectiveHeads.new(config, generator)
    moved = optimisers(encoder, heads, config.trainer)
    n_pieces = -(-config.trainer.shots_per_step // _N_SHOTS)
    tensors = [as_tensors(title, config.model.fused_dims, config.model.metadata_dims) for title in titles[:n_pieces]]
    questions = ask([piece(*title, Window(0, _N_SHOTS)) for title in tensors], config, generator)
    counts = count(questions)

    def step() -> None:
        for question in questions:
            losses(encoder, heads, question, counts, config).total.backward()
        moved.step()

    return step


def _stored(titles: "list[TitleArrays]") -> "Corpus":
    """The same titles as a home keeps them, committed."""
    from mediafm_core.pretraining.going import StoredCorpus
    from mediafm_core.store.home import Home

    home = Home.create(fresh_folder())
    return StoredCorpus(home, "s", [_commit(home, title) for title in titles])


def _commit(home: Any, title: "TitleArrays") -> dict[str, Any]:
    """The row of a corpus for one title."""
    import pyarrow as pa

    from bench.synthetic import manifest_of
    from mediafm_core.catalogue.kinds import join_partition
    from mediafm_core.store.vectors import vector_column

    assert title.metadata is not None
    row: dict[str, Any] = {"title": title.title, "n_shots": len(title.fused)}
    partition = join_partition(suite="s", title=title.title)
    for role, kind, vectors in (
        ("fused", "fused_embeddings", title.fused),
        ("metadata", "metadata_embedding", title.metadata[None]),
    ):
        manifest = manifest_of(kind, partition, title.title)
        home.commit(manifest, pa.table({"vector": vector_column(vectors)}))
        row[role] = manifest.key.fingerprint
    return row
