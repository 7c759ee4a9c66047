"""A title read by an encoder: one vector per shot, and one for the title."""

import base64
from typing import TYPE_CHECKING

import numpy as np

from mediafm_core.devices import DeviceOf, name_of, on_cpu
from mediafm_core.errors import EncoderMismatchError
from mediafm_core.planning.state import Step
from mediafm_core.snapshots import TITLE_VECTOR
from mediafm_core.store.vectors import spans_of, vector_table, vectors_of, with_metadata
from mediafm_core.workbench import Bench, Draft

if TYPE_CHECKING:
    import torch

    from mediafm_core.model.checkpoint import Loaded


def make_contextual(bench: Bench, step: Step, device: DeviceOf = on_cpu) -> Draft:
    """The contextual embeddings of a title by one encoder, which is read on this device."""
    from mediafm_core.contextual.embedding import embed_title

    loaded = _loaded(bench, step, device())
    suite = bench.encoder(step).suite
    if loaded.manifest["suite"] != suite:
        raise EncoderMismatchError(
            f"encoder {step.axes['encoder']!r}",
            found=f"weights trained on suite {loaded.manifest['suite']!r}",
            expected=f"suite {suite!r}, whose embeddings it is to read",
            next_step="Train an encoder on this suite.",
        )
    fused = bench.read_table(step, "fused")
    metadata = vectors_of(bench.read_table(step, "metadata"))[0]
    embedded = embed_title(loaded.encoder, vectors_of(fused), metadata, title=step.axes["title"])
    table = vector_table(spans_of(fused), embedded.shots)
    title_vector = base64.b64encode(embedded.title.astype(np.float16).tobytes())
    facts = {"n_shots": len(embedded.shots), "dims": embedded.shots.shape[1], "device": name_of(loaded.encoder.device)}
    return Draft(with_metadata(table, {TITLE_VECTOR.decode(): title_vector}), facts)


_at_hand: dict[tuple[str, "torch.device"], "Loaded"] = {}  # by digest of the checkpoint; one alone


def _loaded(bench: Bench, step: Step, device: "torch.device") -> "Loaded":
    """The step's encoder, checked when it is read; the one that was used last stays in memory for the next title.

    It is known by the digest that the ledger has: to read it again for each title would cost more than the title, where
    it is large.
    """
    from mediafm_core.model.checkpoint import load

    row = bench.home.ledger.artifact(step.inputs["encoder"])
    wanted = row.digest if row else "", device
    if wanted not in _at_hand:
        _at_hand.clear()
        _at_hand[wanted] = load(bench.read(step, "encoder"), device)  # where there is none, the reading says so
    return _at_hand[wanted]
