"""One awkward catalogue as constants, each oddity with its reason. Nothing here was computed: fakes make what it asks.

Shape letters: none; widths are tiny and all different, so that a swapped block shows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from mediafm_core.catalogue.declared import CorpusMember, EncoderSpec, FrozenLabels
from mediafm_core.catalogue.suite import Instrument, Modality, Suite, UnimodalSpec
from mediafm_core.catalogue.title import DeliveredFile, Metadata, Part, Title
from mediafm_core.identity import TitleId, fingerprint, title_id_from_name
from mediafm_core.planning.state import State


def sha256(content: str) -> str:
    """The hash that stands for a file with this content."""
    return hashlib.sha256(content.encode()).hexdigest()


def delivered(part: Part, name: str, content: str) -> DeliveredFile:
    """A delivered file."""
    return DeliveredFile(part=part, name=name, sha256=sha256(content), n_bytes=len(content))


def instrument(name: str, **settings: object) -> Instrument:
    """An instrument whose weights are named by its name."""
    return Instrument(name=name, weights_sha256=sha256(name), settings=settings)


DETECTOR = instrument("detector", threshold=0.5)
RECOGNISER = instrument("recogniser", beam=1)


def suite(alias: str, version: int = 1) -> Suite:
    """A suite of three widths that all differ."""
    return Suite(
        alias=alias,
        video=UnimodalSpec(modality=Modality.VIDEO, dims=5, instrument=instrument("eyes", version=version)),
        audio=UnimodalSpec(modality=Modality.AUDIO, dims=3, instrument=instrument("ears", version=version)),
        text=UnimodalSpec(modality=Modality.TEXT, dims=2, instrument=instrument("reader", version=version)),
    )


SUITE = suite("plain")
SECOND_SUITE = suite("plain", version=2)  # the same alias: only the hash in its id tells them apart


def title(
    delivered_as: str, *, captions: tuple[tuple[str, str], ...] = (), synopsis: str = "", name: str = ""
) -> Title:
    """A title as a delivery of this name makes it."""
    metadata = Metadata(name=name or delivered_as, synopsis=synopsis)
    described = [delivered(Part.METADATA, "title.json", f"{name} {synopsis}")] if name or synopsis else []
    files = [
        delivered(Part.MEDIA, "media.mp4", f"media of {delivered_as}"),
        *[delivered(Part.CAPTIONS, file, content) for file, content in captions],
        *described,
    ]
    return Title(id=title_id_from_name(delivered_as), delivered_as=delivered_as, metadata=metadata, files=tuple(files))


# No captions and no title.json: its timed text hangs on its media, its metadata embedding on its name.
SILENT = title("silent")
# One shot: whatever takes means, neighbours or windows has no second row.
ONE_SHOT = title("one-shot", captions=(("captions.vtt", "hello"),), synopsis="A door stays shut.", name="One Shot")
# Its id begins with another's, and so do the paths of its artifacts.
ONE_SHOT_2 = title("one-shot-2", captions=(("captions.vtt", "hello again"),), synopsis="It opens.", name="One Shot 2")
# One shot more than a window of 512.
LONG = title("long", synopsis="It goes on.", name="Long")
# Two caption files, not in the order of their names: their order in the delivery must not matter.
UNSORTED = title(
    "unsorted", captions=(("captions.en.vtt", "b"), ("captions.ad.vtt", "a")), synopsis="Said twice.", name="Unsorted"
)
# A name that is no id: its characters match other titles in a glob and leave the folder in a path.
NO_ID = title("../Amélie [1] *?|,", captions=(("captions.srt", "bonjour"),), synopsis="Chère…", name="Amélie")
# The same in capitals, which a file system may take for the title `silent`.
CAPITALS = title("SILENT", synopsis="Still silent.", name="Silent")

TITLES = (SILENT, ONE_SHOT, ONE_SHOT_2, LONG, UNSORTED, NO_ID, CAPITALS)

N_SHOTS: Mapping[TitleId, int] = MappingProxyType({ONE_SHOT.id: 1, ONE_SHOT_2.id: 1, LONG.id: 513})
"""Shots of the titles that have an odd number; every other one has `N_SHOTS_ELSE`."""
N_SHOTS_ELSE = 4
SHOT_S = 2.5
"""Every shot's length in seconds."""


def encoder(name: str, titles: tuple[Title, ...] = TITLES, of: Suite = SUITE, seed: int = 0) -> EncoderSpec:
    """An encoder over a corpus that was frozen at some time; whether that still exists does not matter to a plan."""
    members = tuple(
        CorpusMember(title=t.id, fused=fingerprint("f", {"t": t.id}), metadata=fingerprint("m", {"t": t.id}))
        for t in titles
    )
    return EncoderSpec(name=name, suite=of.id, corpus=members, config={"steps": 1}, seed=seed)


V1, V2 = encoder("v1"), encoder("v2", seed=1)


TASKS = ("ad_relevancy", "popularity", "tone", "genre", "retrieval")
"""The five tasks of the post, by the names that they have here."""


def labels(task: str, *titles: Title, version: int = 1) -> FrozenLabels:
    """Labels of a task on these titles; another version is other labels on the same."""
    return FrozenLabels(task=task, table=sha256(f"{task} {version}"), titles=tuple(t.id for t in titles))


def state(*titles: Title) -> State:
    """A catalogue of one suite and one encoder, which is in production; nothing of it is made."""
    empty = State(detector=DETECTOR, recogniser=RECOGNISER, suites=(SUITE,), encoders=(V1,), production="v1")
    return empty.with_titles(*(titles or TITLES))


# What can be delivered anew of a title


def with_synopsis(of: Title, synopsis: str) -> Title:
    """The title after its synopsis was edited."""
    edited = with_part(of, Part.METADATA, "title.json", synopsis)
    return replace(edited, metadata=replace(of.metadata, synopsis=synopsis))


def with_attribution(of: Title, attribution: str) -> Title:
    """The title after an edit of what no model reads."""
    edited = with_part(of, Part.METADATA, "title.json", attribution)
    return replace(edited, metadata=replace(of.metadata, attribution=attribution))


def with_captions(of: Title, content: str) -> Title:
    """The title with other captions."""
    return with_part(of, Part.CAPTIONS, "captions.vtt", content)


def with_media(of: Title, content: str) -> Title:
    """The title with other media."""
    return with_part(of, Part.MEDIA, "media.mp4", content)


def with_part(of: Title, part: Part, name: str, content: str) -> Title:
    """The title with one part replaced."""
    return replace(of, files=(*(f for f in of.files if f.part is not part), delivered(part, name, content)))
