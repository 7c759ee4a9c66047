"""The loss on held-out titles: always the same pieces, with the same masks, and nothing else hidden or asked.

So it compares between objectives, and with baselines that know nothing of an objective.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch

from mediafm_core.model.encoder import MediaFM
from mediafm_core.pretraining.config import PretrainingConfig
from mediafm_core.pretraining.corpus import Reader
from mediafm_core.pretraining.objective.heads import ObjectiveHeads
from mediafm_core.pretraining.objective.losses import losses
from mediafm_core.pretraining.objective.questions import Question, ask, count
from mediafm_core.pretraining.peers import Peers
from mediafm_core.pretraining.pieces import whole_pieces
from mediafm_core.pretraining.stepping import own_share, passes


def held_out_questions(
    reader: Reader, indices: Sequence[int], config: PretrainingConfig, seed: int
) -> Iterator[list[Question]]:
    """What is asked about held-out titles: every window of each, some titles at a time.

    Args:
        reader: of the corpus.
        indices: of the titles.
        config: of the training. A list holds about as many shots as a step.
        seed: of the training: decides the masks, so they are the same at every step.
    """
    generator = torch.Generator().manual_seed(seed)
    for pieces in whole_pieces(reader, indices, config.model, config.trainer.shots_per_step):
        yield ask(pieces, _msm_alone(config), generator)


def held_out_loss(
    encoder: MediaFM, heads: ObjectiveHeads, asked: Iterable[list[Question]], config: PretrainingConfig, peers: Peers
) -> float:
    """The mean MSM loss over all masked shots; every process takes a share of the questions and all get the sum.

    Args:
        encoder: read in evaluation mode, and left in the mode in which it came.
        heads: of the objective.
        asked: from `held_out_questions`, at least one question.
        config: of the training.
        peers: who shares the work.
    """
    was_training = encoder.training
    encoder.eval()
    total, n_masked = 0.0, 0.0
    with torch.no_grad(), passes(config.trainer.precision, encoder.device):
        for questions in asked:
            counts = count(questions)
            shares = [
                float(losses(encoder, heads, questions[i], counts, _msm_alone(config)).msm)
                for i in own_share(questions, peers)
            ]
            total += sum(shares) * counts.masked
            n_masked += counts.masked
    encoder.train(was_training)
    return sum(peers.gather(total)) / n_masked


def _msm_alone(config: PretrainingConfig) -> PretrainingConfig:
    return replace(config, objective=config.objective.msm_alone)
