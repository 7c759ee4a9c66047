"""Who is who: title ids, spans in time, fingerprints.

Nothing else decides whether work is needed: not time, not file names, not an orchestrator's log.
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

from mediafm_core.errors import IdentityError, SpanError, TitleIdError

TitleId = NewType("TitleId", str)
"""A name that is safe in a path, in SQL, in a glob and in a partition key."""

Fingerprint = NewType("Fingerprint", str)
"""What an artifact was made from, as 64 hex digits; known before the work is done."""

_TITLE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_N_HASH_CHARS = 26  # of base32: 130 bits, so two names never meet
_N_SLUG_CHARS = 64 - 1 - _N_HASH_CHARS


def is_title_id(text: str) -> bool:
    """Whether `text` can be a title id; see `title_id`."""
    return bool(_TITLE_ID.fullmatch(text)) and not text.isdigit()


def title_id(text: str) -> TitleId:
    """Check that `text` is a title id.

    Raises:
        TitleIdError: `text` is not 1 to 64 of `a-z 0-9 _ -`, starts with a sign, or is digits alone (tools read such
            a partition as a number, and `007` and `7` become one).
    """
    if not is_title_id(text):
        raise TitleIdError(
            f"title id {text!r}",
            found="digits alone" if text.isdigit() else f"{len(text)} characters that do not form an id",
            expected="1 to 64 of a-z, 0-9, _ and -, starting with a letter or digit, not digits alone",
            next_step="Choose another id, or leave it out and let the delivery's name be turned into one.",
        )
    return TitleId(text)


def name_id(text: str, what: str) -> str:
    """Check that `text` can name something in partition keys and paths, by the same rule as a title id.

    Args:
        text: the name.
        what: what it is to name, for the message.

    Raises:
        IdentityError: it cannot.
    """
    if not is_title_id(text):
        raise IdentityError(
            f"{what} name {text!r}",
            found="a name that is unsafe in a path or a partition key",
            expected="1 to 64 of a-z, 0-9, _ and -, starting with a letter or digit, not digits alone",
            next_step="Choose another name.",
        )
    return text


def title_id_from_name(name: str) -> TitleId:
    """Turn any delivered name into a title id: a readable slug and 26 base32 characters of the name's sha256.

    A name that is a title id already stays as it is.
    """
    try:
        return title_id(name)
    except TitleIdError:
        ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:_N_SLUG_CHARS].strip("-")
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        suffix = base64.b32encode(digest).decode().lower()[:_N_HASH_CHARS]
        return title_id(f"{slug or 'title'}-{suffix}")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of a title, [start_s, end_s), in seconds from the title's first frame."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_s < self.end_s < float("inf"):
            raise SpanError(
                f"span [{self.start_s:.3f}, {self.end_s:.3f}) s",
                found="an empty, reversed or negative span",
                expected="0 <= start < end, in seconds from the title's first frame",
                next_step="Check for a swapped start and end, or for a relative time.",
            )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    @property
    def middle_s(self) -> float:
        """The instant half way through, in seconds."""
        return (self.start_s + self.end_s) / 2

    def overlap_s(self, other: "Span") -> float:
        """Seconds that both spans cover; 0 where they only touch."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))

    def within(self, duration_s: float, title: str) -> "Span":
        """Check that the span lies in a title of `duration_s` seconds.

        Raises:
            SpanError: it does not.
        """
        if self.end_s > duration_s + 1e-6:
            raise SpanError(
                f"title {title!r}",
                found=f"clip [{self.start_s:.3f}, {self.end_s:.3f}) s",
                expected=f"a span within [0, {duration_s:.3f}) s",
                next_step="Times are seconds from the title's first frame; check for a frame number or milliseconds.",
            )
        return self


def canonical_json(value: object) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def fingerprint(kind: str, ingredients: Mapping[str, object]) -> Fingerprint:
    """The identity of an artifact: a hash over its kind and all that it is made from.

    Args:
        kind: the kind of artifact.
        ingredients: names to JSON values: code version, configuration, weights, content hashes, input fingerprints.
    """
    return Fingerprint(hashlib.sha256(canonical_json([kind, ingredients]).encode()).hexdigest())
