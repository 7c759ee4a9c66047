"""Catalogues of any size that nobody computed: what they hold is made up, how they are held is real."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import insert

from mediafm_core.catalogue.declared import CorpusMember, EncoderSpec
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey
from mediafm_core.catalogue.suite import Instrument, Modality, Suite, UnimodalSpec
from mediafm_core.catalogue.title import DeliveredFile, Metadata, Part, Title
from mediafm_core.identity import fingerprint, title_id
from mediafm_core.planning.desired import desired
from mediafm_core.planning.plan import snapshot_step
from mediafm_core.planning.state import State, Step
from mediafm_core.store import schema
from mediafm_core.store.home import Home, artifact_path
from mediafm_core.store.ledger import Declaration
from mediafm_core.store.manifest import Manifest

HIDDEN = 256
"""Width of the title vectors in a synthetic snapshot: that of the encoder `tiny`."""


def sha256(text: str) -> str:
    """The hash that stands for bytes that nobody made."""
    return hashlib.sha256(text.encode()).hexdigest()


def title(number: int) -> Title:
    """A title as a delivery with media, captions and metadata makes it."""
    name = f"title-{number:06d}"
    parts = {Part.MEDIA: "media.mp4", Part.CAPTIONS: "captions.en.vtt", Part.METADATA: "title.json"}
    return Title(
        id=title_id(name),
        delivered_as=name,
        metadata=Metadata(name=name, synopsis=f"What happens in {name}. " * 10, tags=("drama", "slow"), year=2000),
        files=tuple(
            DeliveredFile(part=part, name=file, sha256=sha256(f"{name}/{file}"), n_bytes=1000)
            for part, file in parts.items()
        ),
    )


def suite() -> Suite:
    """A suite of the embedded one's widths."""
    dims = {Modality.VIDEO: 1280, Modality.AUDIO: 384, Modality.TEXT: 384}
    specs = {
        str(modality): UnimodalSpec(modality=modality, dims=width, instrument=_instrument(modality))
        for modality, width in dims.items()
    }
    return Suite(alias="made-up", **specs)


def _instrument(name: str) -> Instrument:
    return Instrument(name=name, weights_sha256=sha256(name), settings={"precision": "f32"})


def wanting_state(n_titles: int, n_encoders: int) -> State:
    """A catalogue of which nothing exists; its first encoder is in production, and each was trained on all titles."""
    titles = {each.id: each for each in map(title, range(n_titles))}
    members = tuple(
        CorpusMember(title=name, fused=fingerprint("f", {"t": name}), metadata=fingerprint("m", {"t": name}))
        for name in titles
    )
    encoders = tuple(
        EncoderSpec(name=f"v{i}", suite=suite().id, corpus=members, config={"steps": 1}, seed=i)
        for i in range(n_encoders)
    )
    return State(
        detector=_instrument("detector"),
        recogniser=_instrument("recogniser"),
        titles=titles,
        suites=(suite(),),
        encoders=encoders,
        production="v0",
    )


def finished_state(n_titles: int, n_encoders: int) -> State:
    """The same when everything was made and its snapshot published."""
    wanting = wanting_state(n_titles, n_encoders)
    wanted = desired(wanting)
    made = wanting.with_committed(*(step.key for step in wanted.steps()))
    shown = snapshot_step(made, wanted)
    assert shown is not None
    return replace(made.with_committed(shown.key), published=shown.key.fingerprint)


def filled_home(root: Path, n_titles: int) -> Home:
    """A home whose ledger says that all was made for `n_titles` titles and one encoder; objects there are none."""
    home, state = Home.create(root), wanting_state(n_titles, 1)
    with home.ledger.writing() as connection:
        for sequence, (subject, name, body) in enumerate(_declared(state), 1):
            home.ledger.declare(connection, Declaration(sequence, subject, name, body))
        rows = [_artifact_values(step) for step in desired(state).steps()]
        connection.execute(insert(schema.artifacts), rows)
    return home


def _declared(state: State) -> Iterable[tuple[str, str, dict[str, Any]]]:
    yield "instrument", "detector", asdict(state.detector)
    yield "instrument", "recogniser", asdict(state.recogniser)
    yield "suite", state.suites[0].id, asdict(state.suites[0])
    yield from (("encoder", encoder.name, asdict(encoder)) for encoder in state.encoders)
    yield "production", "encoder", {"name": state.production}
    yield from (("title", each.id, asdict(each)) for each in state.titles.values())


def _artifact_values(step: Step) -> dict[str, Any]:
    facts = {"n_shots": 1488, "duration_s": 5400.0}
    manifest = Manifest(key=step.key, ingredients=step.ingredients, inputs=step.inputs, facts=facts)
    path = artifact_path(step.key)
    return {
        **step.key._asdict(),
        "path": path,
        "digest": sha256(path),
        "n_bytes": 1000,
        "manifest": manifest.to_json(),
    }


def snapshot_table(titles: Iterable[Title], contextual_paths: Iterable[str], *, n_shots: int = 1488) -> pa.Table:
    """A snapshot of these titles in the columns of a real one."""
    records = [_snapshot_record(each, path, n_shots) for each, path in zip(titles, contextual_paths, strict=True)]
    vectors = np.random.default_rng(0).standard_normal((len(records), HIDDEN)).astype(np.float16)
    column = pa.array([row.tobytes() for row in vectors], pa.binary(2 * HIDDEN))
    return pa.Table.from_pylist(records).append_column("title_vector", column)


def _snapshot_record(each: Title, contextual_path: str, n_shots: int) -> dict[str, Any]:
    paths = {"contextual": contextual_path}
    paths |= {kind: f"artifacts/{kind}/{each.id}/{sha256(kind + each.id)}" for kind in ("fused", "shots", "timed_text")}
    return {
        "title": each.id,
        "name": each.metadata.name,
        "synopsis": each.metadata.synopsis,
        "tags": list(each.metadata.tags),
        "attribution": each.metadata.attribution,
        "n_shots": n_shots,
        "duration_s": 3.6 * n_shots,
        **{f"{role}_path": path for role, path in paths.items()},
        **{f"{role}_digest": sha256(path) for role, path in paths.items()},
    }


def manifest_of(kind: str, partition: str, content: str) -> Manifest:
    """The manifest of a made-up artifact."""
    assert kind in KINDS
    return Manifest(key=ArtifactKey(kind, partition, fingerprint(kind, {"of": content})), ingredients={}, inputs={})
