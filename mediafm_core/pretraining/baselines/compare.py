"""An encoder and the baselines, asked the same: held-out titles, masks, centred space and distance are one for all.

All are measured in float32, whatever precision the encoder was trained in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from mediafm_core.model.centring import Centring
from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.baselines.gru_training import Watched, train_gru
from mediafm_core.pretraining.baselines.guesses import FIXED, WIDTHS, Guesser, gaussian
from mediafm_core.pretraining.baselines.verdict import GRU, TitleLosses, Verdict, judge, unjudged
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Reader, Split
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import ask, count
from mediafm_core.pretraining.pieces import whole_pieces

_N_TO_CHOOSE_ON = 32  # titles, evenly spread over those trained on, that the Gaussian's width is chosen by


class Row(NamedTuple):
    """One line of the table."""

    name: str
    loss: float  # of Masked Shot Modeling on the held-out titles
    n_parameters: int  # that were fitted


class Comparison(NamedTuple):
    """An encoder beside the baselines."""

    rows: list[Row]  # the encoder last; none where no title is held out
    verdict: Verdict


def compare(
    encoder: MediaFM,
    reader: Reader,
    split: Split,
    config: PretrainingConfig,
    seed: int,
    watched: Watched = Watched(),  # noqa: B008 - a constant
) -> Comparison:
    """Measure an encoder and the baselines on the held-out titles.

    Args:
        encoder: trained, in evaluation mode; the baselines guess in its centred space.
        reader: of its corpus.
        split: of its training.
        config: of its training.
        seed: of its training; the masks are those of its held-out loss.
        watched: who follows and keeps the training of the GRU.

    Raises:
        DimensionError: a title does not fit the model.
        TrainingError: the GRU's loss is no longer a number, or its state is of another training.
        ArtifactError: its state is damaged, or of another version.
    """
    if not split.held_out:
        return Comparison([], unjudged(config.trainer.held_out_share))
    asked = _baselines(encoder.centring, reader, split, config, seed, watched)
    with torch.no_grad():
        found = measure({**asked, "encoder": encoder}, reader, split.held_out, config, seed)
    rows = [Row(name, found[name].overall, _n_fitted(each)) for name, each in {**asked, "encoder": encoder}.items()]
    return Comparison(rows, judge(found.pop("encoder"), found))


def measure(
    asked: Mapping[str, MediaFM], reader: Reader, indices: Sequence[int], config: PretrainingConfig, seed: int
) -> dict[str, TitleLosses]:
    """The loss of each on each title, on the masks with which training measures its held-out loss.

    Args:
        asked: encoders, or what can stand in their place, by name.
        reader: of the corpus.
        indices: of the titles, at least one.
        config: which shots are masked, and the distance.
        seed: of the masks.
    """
    generator = torch.Generator().manual_seed(seed)
    config = replace(config, objective=config.objective.msm_alone)
    heads = ObjectiveHeads.new(config, generator)  # none: the generator rests
    sums: dict[str, list[float]] = {name: [] for name in asked}
    n_masked: list[float] = []
    for index in indices:
        (pieces,) = whole_pieces(reader, [index], config.model, 1)
        questions = ask(pieces, config, generator)
        counts = count(questions)
        n_masked.append(counts.masked)
        for name, encoder in asked.items():
            parts = [float(losses(encoder, heads, question, counts, config).msm) for question in questions]
            sums[name].append(sum(parts))
    return {name: TitleLosses(np.array(means), np.array(n_masked)) for name, means in sums.items()}


def _baselines(
    centring: Centring, reader: Reader, split: Split, config: PretrainingConfig, seed: int, watched: Watched
) -> dict[str, MediaFM]:
    with torch.no_grad():
        found = {name: Guesser(centring, guess).as_encoder() for name, guess in FIXED.items()}
        width = best_width(centring, reader, split.train, config, seed)
        found[f"Gaussian, {width:g} shots"] = Guesser(centring, gaussian(width)).as_encoder()
    if config.trainer.gru_steps > 0:
        found[GRU] = train_gru(reader, split.train, centring, config, seed, watched).as_encoder()
    return found


def best_width(
    centring: Centring, reader: Reader, indices: Sequence[int], config: PretrainingConfig, seed: int
) -> float:
    """The width of the Gaussian that guesses best on titles that are trained on; no held-out title has a say."""
    step = max(1, len(indices) // _N_TO_CHOOSE_ON)
    asked = {str(width): Guesser(centring, gaussian(width)).as_encoder() for width in WIDTHS}
    found = measure(asked, reader, indices[::step][:_N_TO_CHOOSE_ON], config, seed)
    return min(WIDTHS, key=lambda width: found[str(width)].overall)


def _n_fitted(each: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in each.parameters())
