"""Every row of an ablation, as values: what is read, how, and by which head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from mediafm_core.catalogue.suite import Modality
from mediafm_core.errors import IdentityError
from mediafm_core.model.encoder import MediaFM
from mediafm_core.probes.ablation.material import (
    ClipTable,
    Fused,
    InContext,
    Isolated,
    Material,
    MetadataOf,
    OneModality,
    Outside,
    untrained,
)
from mediafm_core.probes.ablation.trees import trees_dims, trees_out_of_fold
from mediafm_core.probes.features import Features, TitleShots
from mediafm_core.probes.labels import LabelSet, OutOfFold
from mediafm_core.probes.probing import out_of_fold, probe
from mediafm_core.probes.reads import CONTEXTUAL_READS, READS, Read, read_label_set
from mediafm_core.probes.report import BASELINES, CONTEXTUAL, FUSED_ROW
from mediafm_core.probes.tasks import HeadKind, Task, TaskKind

CLIP_ALONE = "contextual, clip alone"
"""In context, read as the isolated clip is: what sets the two apart is nothing but the context."""
ISOLATED = "contextual of the isolated clip"
WITHOUT_GLOBAL = "contextual without [GLOBAL]"
AS_THE_POST = "contextual, metadata as in the post"
"""[GLOBAL] from synopsis and tags alone, where titles say more; the encoder's own row has all that they say."""
UNTRAINED = "untrained encoder"
METADATA = "metadata only"
TREES = "boosted trees on fused windows"
ONE_MODALITY: Mapping[Modality, str] = {modality: f"{modality} only" for modality in Modality}

Reader = Callable[[Read, LabelSet], Features]
"""Reads every clip of a label set, in its order."""


Embedded = Mapping[str, TitleShots]
"""Contextual embeddings by title."""


class Scored(NamedTuple):
    """What heads, or trees, made of a row's features."""

    held_out: OutOfFold
    dims: int  # width of what the head reads, as in `ReportRow`


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row for each task."""

    name: str
    reads: tuple[Read, ...]  # that the head chooses from
    head: HeadKind | None = None  # None: the task's own
    asked: tuple[Read, ...] = ()  # by boosted trees that stand upon the head; empty: no trees

    def suits(self, task: Task) -> bool:
        """Whether a head of this kind can be fitted to the task."""
        return self.head is not HeadKind.SMOOTH_AP or task.kind is not TaskKind.RANKING

    def score(self, labels: LabelSet, features: Sequence[Features]) -> Scored:
        """Score every clip without its title.

        Args:
            labels: of one task.
            features: its clips in each of `reads`, then in each of `asked`.
        """
        if self.asked:
            windows, beside = features[: len(self.reads)], features[len(self.reads) :]
            return Scored(trees_out_of_fold(labels, windows, beside), trees_dims(windows, beside))
        if self.head is not None:
            labels = replace(labels, task=replace(labels.task, head=self.head))
        if len(features) == 1:
            return Scored(out_of_fold(labels, features), features[0].values.shape[1])
        made = probe(labels, features)
        return Scored(made.held_out, made.head.dims)


class Family(NamedTuple):
    """Rows that read the same vectors, which are made when the first row asks for them and dropped after the last."""

    variants: tuple[Variant, ...]
    opened: Callable[[], Reader]


def families(
    material: Material,
    encoder: MediaFM,
    name: str,
    *,
    own: Embedded | None = None,
    others: Mapping[str, MediaFM | Embedded] | None = None,
    outside: Mapping[str, ClipTable] | None = None,
    as_the_post: MetadataOf | None = None,
) -> list[Family]:
    """All rows, cheap ones first. Nothing is computed yet.

    Args:
        material: the labelled titles.
        encoder: the one that is taken apart.
        name: its name.
        own: its contextual embeddings, as they are kept; None makes them as they are asked for.
        others: further encoders on the same suite, or what they made of the titles, by the name of their row.
        outside: vectors of clips that other models made, by the name of their row.
        as_the_post: the titles' metadata embeddings from what the post reads; None makes no row.

    Raises:
        IdentityError: two rows would have one name.
    """
    blocks = [_family(_plain("clip", n), OneModality, material, m) for m, n in ONE_MODALITY.items()]
    there = [_family(_contextual(n), _in_context, material, given, n) for n, given in (others or {}).items()]
    elsewhere = [outside_family(table, n) for n, table in (outside or {}).items()]
    without = partial(InContext, material, encoder, f"{name} without [GLOBAL]", metadata_of=lambda _: None)
    post = partial(InContext, material, encoder, f"{name}, {AS_THE_POST}", metadata_of=as_the_post)
    found = [
        *blocks,
        Family(_of_fused(), lambda: _reader(Fused(material))),
        *elsewhere,
        Family(_of_encoder(), lambda: _reader(_in_context(material, encoder if own is None else own, name))),
        Family((_plain("clip", ISOLATED),), partial(Isolated, material, encoder, f"{name}, isolated")),
        Family((_contextual(WITHOUT_GLOBAL),), lambda: _reader(without())),
        *([Family((_contextual(AS_THE_POST),), lambda: _reader(post()))] if as_the_post else []),
        Family((_contextual(UNTRAINED),), lambda: _reader(InContext(material, untrained(encoder), UNTRAINED))),
        *there,
        Family((_of_trees(),), lambda: _reader(Fused(material))),
    ]
    _check_names([variant.name for family in found for variant in family.variants])
    return found


def outside_family(table: ClipTable, name: str) -> Family:
    """The row of vectors of clips that another model made."""
    return Family((_plain("clip", name),), partial(Outside, table, name))


def _in_context(material: Material, given: MediaFM | Embedded, name: str) -> Embedded:
    return InContext(material, given, name) if isinstance(given, MediaFM) else given


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise IdentityError(
            f"rows of an ablation, {', '.join(map(repr, twice))}",
            found="two rows of one name",
            expected="a name of its own for each encoder and each model from outside",
            next_step="Give the rows of `others` and `outside` other names.",
        )


def _family(variant: Variant, make: Callable[..., Mapping[str, TitleShots]], *given: object) -> Family:
    return Family((variant,), lambda: _reader(make(*given)))


def _reader(titles: Mapping[str, TitleShots]) -> Reader:
    return lambda read, labels: read_label_set(read, titles, labels)


def _plain(read: str, name: str) -> Variant:
    return Variant(name=name, reads=(READS[read],))


def _contextual(name: str) -> Variant:
    return Variant(name=name, reads=CONTEXTUAL_READS)


def _of_fused() -> tuple[Variant, ...]:
    """The report's baselines, and every other way to read a clip of fused vectors: all that an encoder may choose, too.

    Where an encoder gives a vector of the title, the metadata's embedding stands.
    """
    named = {read.name: name for name, read in BASELINES.items()}
    rows = [_plain(read.name, _as_fused(read)) for read in READS.values() if read.parts[0] == "clip"]
    assert {row.name for row in rows if row.reads[0].name in named} <= set(BASELINES), "one name for one row"
    return (_plain("position", "position only"), _plain("title vector", METADATA), *rows)


def _as_fused(read: Read) -> str:
    return FUSED_ROW + read.name.removeprefix("clip").replace("title vector", "metadata")


def _of_encoder() -> tuple[Variant, ...]:
    one = READS["clip + 12 before + 12 after"]
    return (
        _contextual(CONTEXTUAL),
        _plain("clip", CLIP_ALONE),
        Variant(name=f"{CONTEXTUAL}, {HeadKind.SMOOTH_AP} head", reads=(one,), head=HeadKind.SMOOTH_AP),
        Variant(name=f"{CONTEXTUAL}, {HeadKind.MLP} head", reads=(one,), head=HeadKind.MLP),
        Variant(
            name=f"{CONTEXTUAL}, {HeadKind.ATTENTION} head",
            reads=(READS["shots of the clip"],),
            head=HeadKind.ATTENTION,
        ),
    )


def _of_trees() -> Variant:
    windows = (READS["clip + title mean"], READS["clip + 12 before + 12 after"])
    return Variant(name=TREES, reads=windows, asked=(READS["clip"], READS["cosines"]))
