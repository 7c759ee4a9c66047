"""Encoders of other packages, found by their entry points.

A package names in its metadata, in the group `mediafm.encoders`, an `Entry` for each unimodal encoder, and a
`JointEntry` for each joint one:

    [project.entry-points."mediafm.encoders"]
    my-encoder = "my_package.encoder:ENTRY"

Nothing of a package is imported before a suite asks for its encoder by name.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mediafm_core.encoders.joint import JointEntry, fault_of
from mediafm_core.encoders.protocol import Entry
from mediafm_core.errors import EncoderMismatchError

GROUP = "mediafm.encoders"


def plugged_in() -> dict[str, EntryPoint]:
    """The entry points of this environment by name.

    Raises:
        EncoderMismatchError: two packages provide an encoder of one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            raise _refused(point.name, f"{found[point.name].value} and {point.value}", "one encoder of a name")
        found[point.name] = point
    return found


def providers(name: str) -> tuple[str, ...]:
    """The package that provides the encoder of that name, as pip names it; none where none does."""
    point = plugged_in().get(name)
    return (point.dist.name,) if point and point.dist else ()


@cache
def plugin(name: str) -> Entry | JointEntry:
    """The encoder of that name, which another package provides; its code is imported.

    Raises:
        EncoderMismatchError: no package does, or what it gives is no `Entry` or `JointEntry` of that name.
    """
    points = plugged_in()
    if name not in points:
        raise _refused(name, "no such encoder", f"one that is built in, or of {', '.join(points) or 'a package'}")
    entry = points[name].load()
    if not isinstance(entry, Entry | JointEntry):
        raise _refused(name, f"{points[name].value} is a {type(entry).__name__}", "an Entry or a JointEntry")
    if isinstance(entry, JointEntry) and (rule := fault_of(entry.specs())):
        raise _refused(name, "records of a joint encoder that break a rule", rule)
    spec = next(iter(entry.specs().values())) if isinstance(entry, JointEntry) else entry.spec()
    if spec.instrument.name != name:
        raise _refused(name, f"an instrument named {spec.instrument.name!r}", "the entry point's name")
    return entry


def _refused(name: str, found: str, expected: str) -> EncoderMismatchError:
    return EncoderMismatchError(
        f"encoder {name!r}",
        found=found,
        expected=expected,
        next_step="Install the package that provides it, or use a suite that is at hand.",
    )
