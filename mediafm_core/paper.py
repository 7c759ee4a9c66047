"""The numbers of the MediaFM post, each beside its words; nothing of ours.

Source: "MediaFM: The Multimodal AI Foundation for Media Understanding at Netflix", Netflix Technology Blog,
February 2026. What the post leaves open is not here: the model's depth and width, how 2304 is split over the
modalities, the learning rates. Where this project does otherwise, the room that does so says why.
"""

from types import MappingProxyType
from typing import Final

MAX_SHOTS: Final = 512
"""A sequence is the shots of one title, "up to 512" of them."""

FUSED_DIMS: Final = 2304
"""The three embeddings of a shot are concatenated and scaled to unit length: "2304" wide."""

MASK_SHARE: Final = 0.20
"""Masked Shot Modeling hides "20%" of a sequence's shots behind a learnable [MASK] vector."""

LOSS: Final = "cosine distance"
"""Between the predicted and the original fused embedding, at the masked shots."""

SPECIAL_TOKENS: Final = ("[CLS]", "[GLOBAL]")
"""In front of the shots: a learnable vector, and the title's metadata (synopsis, tags) as a text embedding."""

ABSENT_TEXT: Final = 0.0
"""A shot without timed text gets zeros in the text's place (footnote 2)."""

HIDDEN_OPTIMISER: Final = "Muon"
"""For the hidden parameters; the post saw "noticeable improvements" by it."""

OTHER_OPTIMISER: Final = "AdamW"
"""For all parameters that are not hidden."""

UNIMODAL_ENCODERS: Final = MappingProxyType(
    {"video": "SeqCLIP", "audio": "wav2vec2", "text": "text-embedding-3-large", "metadata": "text-embedding-3-large"}
)
"""What embeds each modality, and the title's metadata."""

TASK_METRICS: Final = MappingProxyType(
    {
        "ad relevancy": "average precision",
        "clip popularity ranking": "Kendall's tau",
        "clip tone": "micro average precision",
        "clip genre": "macro average precision",
        "clip retrieval": "average precision",
    }
)
"""The five tasks, each read by a linear probe on frozen embeddings, and what each is measured by."""

N_TASKS: Final = len(TASK_METRICS)

STEP_ON_RETRIEVAL: Final = 0.15
"""Clip retrieval improves by "around 15%" at each step: first by further modalities, then by context."""

NARRATIVE_TASKS: Final = ("ad relevancy",)
"""The gains are larger where "detailed narrative understanding" is asked for; the post names this task."""
