"""What a release card says, gathered from the ledger, the artifacts and the declarations of a home."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mediafm_core.catalogue.declared import EncoderSpec
from mediafm_core.catalogue.kinds import KINDS, ArtifactKey, join_partition
from mediafm_core.catalogue.suite import Instrument, Modality, Suite
from mediafm_core.encoders.declaring import place_of
from mediafm_core.errors import PlanError
from mediafm_core.identity import Fingerprint
from mediafm_core.planning.desired import desired, trained_steps
from mediafm_core.probes.tasks import task_named
from mediafm_core.release.history import history
from mediafm_core.release.promotion import USE
from mediafm_core.reports.gather import HANDFUL
from mediafm_core.reports.gather_ablation import NARRATIVE
from mediafm_core.reports.origins import origin_of
from mediafm_core.reports.release_card import Cell, ReleaseCard, Table
from mediafm_core.reports.training import training_picture
from mediafm_core.stock import read_state
from mediafm_core.store.home import Home
from mediafm_core.store.ledger import ArtifactRow
from mediafm_core.store.manifest import read_document

Rows = Iterable[tuple[Cell, ...]]


class _Subject(NamedTuple):
    """What a card is about, and the artifacts that it is made of; None where one is not there."""

    name: str
    spec: EncoderSpec
    suite: Suite
    record: ArtifactRow | None  # of the gate; None where the encoder was never released
    trained: ArtifactRow | None
    report: ArtifactRow | None
    heads: Mapping[str, Fingerprint]

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.trained.manifest.facts if self.trained else {}


def card_of(home: Home, name: str) -> ReleaseCard:
    """The card of a release, or of an encoder that was not released.

    Raises:
        PlanError: there is neither of this name.
    """
    subject = _subject(home, name)
    judged = read_document(home.read(subject.record.key)) if subject.record else {}
    tables = [
        Table("Went live", "", ("when", "how", "before", "user", "through", "run"), tuple(_lives(home, name))),
        _gate(judged),
        *_reached(home, subject),
        Table("Training", "", ("what", "value"), tuple(_training(subject))),
        Table(
            "Masked Shot Modeling on titles held out",
            "",
            ("name", "loss", "parameters"),
            tuple((row["name"], row["loss"], row["n_parameters"]) for row in subject.facts.get("baselines") or ()),
        ),
        Table("Heads", "", ("task", "metric", "read", "clips", "titles", "fingerprint"), tuple(_heads(home, subject))),
        Table("Corpus and identity", "", ("what", "value"), tuple(_identity(subject))),
        Table(
            "Pretrained weights",
            "",
            ("what", "model", "width", "licence", "source", "sha256"),
            tuple(_weights(home, subject.suite)),
        ),
        Table("Configuration", "", ("field", "value"), tuple(_flat(subject.spec.config))),
    ]
    return ReleaseCard(
        name=name,
        lead=_lead(home, subject),
        use=judged.get("use", USE),
        cautions=tuple(_cautions(subject)),
        tables=tuple(tables),
        curves=_curves(subject.facts),
    )


def _subject(home: Home, name: str) -> _Subject:
    record = next((row for row in home.ledger.artifacts("release") if row.manifest.facts["name"] == name), None)
    encoder = record.key.partition if record else name
    declared = home.ledger.declared_one("encoder", encoder)
    if declared is None:
        raise PlanError(
            f"card of {name!r}",
            found="no release and no encoder of this name",
            expected="one that `mediafm release status` or `mediafm encoder list` names",
            next_step="Check the name.",
        )
    spec = EncoderSpec.from_json(declared)
    suite = home.ledger.declared_one("suite", spec.suite)
    assert suite is not None, "an encoder is declared over a suite"
    keys = _keys(home, spec, record)
    heads = {role.removeprefix("head_"): key.fingerprint for role, key in keys.items() if role.startswith("head_")}
    trained, report = (home.ledger.artifact(keys[role]) if role in keys else None for role in ("encoder", "report"))
    return _Subject(name, spec, Suite.from_json(suite), record, trained, report, heads)


def _keys(home: Home, spec: EncoderSpec, record: ArtifactRow | None) -> Mapping[str, ArtifactKey]:
    """What the gate judged; where it judged nothing, what it would judge today."""
    if record:
        return record.manifest.inputs
    steps = desired(read_state(home)).encoders.get(spec.name)
    if steps is None:
        return {"encoder": trained_steps(spec)[1].key}
    heads = {f"head_{task}": step.key for task, step in steps.heads.items()}
    return {"encoder": steps.trained.key, **heads, **({"report": steps.report.key} if steps.report else {})}


def _lead(home: Home, subject: _Subject) -> str:
    state, encoder = read_state(home), subject.spec.name
    if subject.record is None:
        said = "It was never released."
    elif state.release and state.release.name == subject.name:
        said = "It was live when this card was written."
    else:
        said = f"It was not live when this card was written{f'; {state.release.name} was' if state.release else ''}."
    retired = " The encoder is retired." if any(spec.name == encoder for spec in state.retired) else ""
    return f"Encoder {encoder} on suite {subject.suite.id}, with heads for {len(subject.heads)} tasks. {said}{retired}"


def _cautions(subject: _Subject) -> Iterable[str]:
    n_titles = len(subject.spec.corpus)
    if n_titles < HANDFUL:
        yield f"Mechanics, not quality: the encoder was trained on {n_titles} titles."
    if subject.suite.id.startswith(NARRATIVE):
        yield "Synthetic titles: nothing here is a figure for real media."
    if subject.facts.get("learnt") not in (None, "yes"):
        yield f"Whether the encoder has learnt: {subject.facts['learnt']} ({subject.facts['why']})."


def _lives(home: Home, name: str) -> Rows:
    for event in history(home):
        if event.after == name:
            at = _time(event.at) if event.at else "not recorded"
            yield (at, event.how.value, event.before, event.by.user, event.by.through, event.by.run)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _gate(judged: Mapping[str, Any]) -> Table:
    columns = ("task", "verdict", "reached", "production", "difference", "95 % interval", "floor", "reason")
    if not judged:
        return Table("Gate", "It was not judged.", columns, ())
    floors = judged.get("floors", {})
    rows = [
        (
            row["task"],
            row["verdict"],
            row["candidate"],
            row["production"],
            row["difference"],
            _interval(row["low"], row["high"]),
            floors.get(row["task"]),
            row["reason"],
        )
        for row in judged["gate"]
    ]
    against = f"Against {judged['against']}" if judged["against"] else "Nothing was live to be compared with"
    return Table(
        "Gate", f"{against}. The difference is paired: the same clips, the same draws of titles.", columns, tuple(rows)
    )


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}".replace("-", "\N{MINUS SIGN}")


def _reached(home: Home, subject: _Subject) -> Iterable[Table]:
    """One table for each task of the report: the encoder, and baselines that no encoder has read."""
    rows = read_document(home.read(subject.report.key))["rows"] if subject.report else []
    for task in dict.fromkeys(row["task"] for row in rows):
        mine = sorted((row for row in rows if row["task"] == task), key=lambda row: -row["value"])
        said = tuple((r["features"], r["value"], _interval(r["low"], r["high"]), r["dims"]) for r in mine)
        note = f"{task_named(task).asks} {mine[0]['metric']}; best first."
        yield Table(task, note, ("features", "value", "95 % interval", "width"), said)


def _training(subject: _Subject) -> Rows:
    names = ("learnt", "why", "n_parameters", "steps", "kept_step", "last_loss", "held_out_loss")
    yield from ((name.replace("_", " "), subject.facts[name]) for name in names if subject.facts.get(name) is not None)
    if subject.trained:
        yield ("seconds", round(subject.trained.manifest.seconds, 1))
        yield ("finished", _time(subject.trained.manifest.made_at))


def _heads(home: Home, subject: _Subject) -> Rows:
    for task, fingerprint in sorted(subject.heads.items()):
        key = ArtifactKey("probe_heads", join_partition(encoder=subject.spec.name, task=task), fingerprint)
        row = home.ledger.artifact(key)
        facts = row.manifest.facts if row else {}
        yield (task, *(facts.get(name) for name in ("metric", "read", "n_clips", "n_titles")), fingerprint)


def _identity(subject: _Subject) -> Rows:
    facts, inputs = subject.facts, subject.trained.manifest.inputs if subject.trained else {}
    yield ("encoder", subject.spec.name)
    yield ("seed", subject.spec.seed)
    yield ("suite", subject.suite.id)
    yield ("titles of the corpus", len(subject.spec.corpus))
    yield from ((said, facts[name]) for name, said in _CORPUS_FACTS.items() if name in facts)
    yield from ((f"fingerprint of the {role}", key.fingerprint) for role, key in sorted(inputs.items()))
    for what, row in (("encoder", subject.trained), ("release", subject.record)):
        if row:
            yield (f"fingerprint of the {what}", row.key.fingerprint)
            yield (f"code version that made the {what}", row.manifest.ingredients["code"])
            said = ", ".join(f"{name} {version}" for name, version in sorted(row.manifest.provenance.items()))
            yield (f"libraries that made the {what}", said)
    versions = (f"{kind.name} {kind.code_version}" for kind in KINDS.values() if "encoder" in kind.axes)
    yield ("code versions when this was written", ", ".join(versions))


_CORPUS_FACTS = {
    "n_held_out": "titles held out of the training",
    "n_shots": "shots",
    "centring": "hash of the centring",
}


def _weights(home: Home, suite: Suite) -> Rows:
    for modality in Modality:
        spec = suite.spec(modality)
        model = spec.instrument
        yield (modality.value, model.name, spec.dims, *origin_of(model, place_of(home, spec)), model.weights_sha256)
    for name, body in home.ledger.declared("instrument").items():
        model = Instrument.from_json(body)
        yield (name, model.name, None, *origin_of(model, {}), model.weights_sha256)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Rows:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield (f"{prefix}{name}", str(value))


def _curves(facts: Mapping[str, Any]) -> bytes | None:
    if not facts.get("curve"):
        return None
    levels = {row["name"]: row["loss"] for row in facts.get("baselines") or () if row["name"] != "encoder"}
    return training_picture(facts["curve"], levels)
