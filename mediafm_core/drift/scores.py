"""Canary clips: fixed sequences of canary shots that go on through fusion and the encoder to the heads' scores.

The scores of before are frozen for each release when it is first measured, computed from the reference's vectors. So a
change of any part of the way shows: the unimodal encoders, fusion, the MediaFM encoder, the heads' own arithmetic.

Shape letters: n shots in all, S shots of a title, F width of fused, m clips, L labels of a head.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediafm_core.catalogue.declared import Release
from mediafm_core.catalogue.kinds import ArtifactKey, join_partition
from mediafm_core.catalogue.suite import Modality, Suite
from mediafm_core.drift.reference import Vectors
from mediafm_core.fusion import fuse
from mediafm_core.store.home import Home

if TYPE_CHECKING:
    import torch

    from mediafm_core.probes.features import Origin, TitleShots
    from mediafm_core.probes.heads import Probe

SHOTS_PER_TITLE: Final = 20
SHOT_S: Final = 2.0
_CLIP_SHOTS = 3
_FROZEN = "canary_scores"
_NO_TEXT = (1, 4, 6)  # of eight shots in a row: about as many as films have without words
_NO_AUDIO = 10  # of eleven

Scores = Mapping[str, NDArray[np.float32]]
"""Task to (m, L)."""


class CanaryTitle(NamedTuple):
    """A fixed sequence of canary shots."""

    fused: Vectors  # (S, F)
    metadata: Vectors  # the vector of one of its texts: (Dt,)


class Scored(NamedTuple):
    """What the heads of a release say of the canary clips."""

    scores: Scores
    labels: Mapping[str, tuple[str, ...]]  # by task: L names


def canary_titles(vectors: Mapping[Modality, Vectors], suite: Suite) -> Iterator[CanaryTitle]:
    """Join the vectors of canaries to shots, and the shots to titles.

    Args:
        vectors: by modality, each of as many rows; a shot takes its pictures, sound and text from other rows, and has
            no text or no sound where a fixed pattern says so.
        suite: whose they are.
    """
    n = min(len(of) for of in vectors.values())
    shot = np.arange(n)
    audio, text = vectors[Modality.AUDIO][(7 * shot + 3) % n], vectors[Modality.TEXT][(3 * shot + 1) % n]
    has_audio = (shot % 11 != _NO_AUDIO) & audio.any(axis=1)
    has_text = ~np.isin(shot % 8, _NO_TEXT) & text.any(axis=1)
    fused = fuse(vectors[Modality.VIDEO][:n], audio, text, suite=suite, has_audio=has_audio, has_text=has_text)
    for start in range(0, n, SHOTS_PER_TITLE):
        yield CanaryTitle(fused[start : start + SHOTS_PER_TITLE], vectors[Modality.TEXT][start])


def scored(
    home: Home,
    release: Release,
    suite: Suite,
    vectors: Mapping[Modality, Vectors],
    device: "torch.device | None" = None,
) -> Scored:
    """Score the canary clips by the heads of a release.

    Args:
        home: holds the release's encoder and heads.
        release: bound to this suite.
        suite: whose vectors they are.
        vectors: by modality, (n, D) each.
        device: where the encoder reads; by default on the CPU.
    """
    from mediafm_core.contextual.embedding import embed_title
    from mediafm_core.model.checkpoint import load
    from mediafm_core.probes.features import Origin
    from mediafm_core.probes.heads import Probe

    keys = {task: head_key(release, task) for task in sorted(release.heads)}
    probes = {task: Probe.from_bytes(home.read(key)) for task, key in keys.items()}
    encoder = load(home.read(encoder_key(home, release)), device).encoder
    origin = Origin(release.encoder, suite.id)
    titles = [
        _title(f"canary-{i}", origin, *embed_title(encoder, title.fused, title.metadata))
        for i, title in enumerate(canary_titles(vectors, suite))
    ]
    scores = {task: np.concatenate([_clips(probe, title) for title in titles]) for task, probe in probes.items()}
    return Scored(scores, {task: probe.head.names for task, probe in probes.items()})


def frozen_scores(
    home: Home,
    release: Release,
    suite: Suite,
    accepted: int,
    before: Mapping[Modality, Vectors],
    device: "torch.device | None" = None,
) -> Scores:
    """The scores of before: those that were frozen for this release and acceptance, or else that are frozen now.

    Args:
        home: keeps them.
        release: whose heads.
        suite: the release's.
        accepted: the acceptance that `before` belongs to.
        before: the reference's vectors.
        device: as for `scored`, where they are frozen now.
    """
    from safetensors import numpy as safetensors

    name = f"{suite.id}|{release.name}|{accepted}"
    frozen = home.ledger.declared_one(_FROZEN, name)
    if frozen is None:
        made = scored(home, release, suite, before, device).scores
        frozen = {"scores": home.blobs.keep_bytes(safetensors.save(dict(made)))}
        home.declare(_FROZEN, name, frozen)
    return safetensors.load(home.blobs.path(frozen["scores"]).read_bytes())


def head_key(release: Release, task: str) -> ArtifactKey:
    """The head of a release's task."""
    return ArtifactKey("probe_heads", join_partition(encoder=release.encoder, task=task), release.heads[task])


def encoder_key(home: Home, release: Release) -> ArtifactKey:
    """The encoder that a release's heads were fitted on."""
    row = home.ledger.artifact(head_key(release, next(iter(sorted(release.heads)))))
    assert row is not None, "a release has its heads"
    return row.manifest.inputs["encoder"]


def _title(name: str, origin: "Origin", shots: Vectors, vector: Vectors) -> "TitleShots":
    from mediafm_core.probes.features import TitleShots

    start_s = np.arange(len(shots), dtype=np.float64) * SHOT_S
    return TitleShots(
        title=name, origin=origin, start_s=start_s, end_s=start_s + SHOT_S, vectors=shots, title_vector=vector
    )


def _clips(probe: "Probe", title: "TitleShots") -> NDArray[np.float32]:
    """(m, L): a clip of three shots from each shot on; one of all where there are fewer."""
    from mediafm_core.probes.heads import predict

    n_clips = max(1, len(title.start_s) - _CLIP_SHOTS + 1)
    ends = title.end_s[np.minimum(np.arange(n_clips) + _CLIP_SHOTS - 1, len(title.end_s) - 1)]
    return predict(probe.head, title, title.start_s[:n_clips], ends)
