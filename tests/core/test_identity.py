"""Who is who: names become safe ids, spans are half-open stretches, fingerprints know content and not its order."""

import hashlib
import json
import re
import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mediafm_core.errors import IdentityError, SpanError, TitleIdError
from mediafm_core.identity import Span, canonical_json, fingerprint, name_id, title_id, title_id_from_name

quick = settings(max_examples=200, deadline=None)

VALID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
hostile = st.text(st.one_of(st.characters(codec=None), st.sampled_from("/\\.*?[]|, \x00\ud800😀Aa0-_")))
ids = st.from_regex(VALID, fullmatch=True).filter(lambda text: not text.isdigit())
seconds = st.floats(0, 1e5, allow_nan=False)


def is_id(text: str) -> bool:
    return VALID.fullmatch(text) is not None and not text.isdigit()


# Names


@quick
@given(hostile)
@example("../../etc/passwd")
@example("a/b\\c")
@example("*?[ab]")
@example("\ud800")
@example("😀")
@example("007")
@example("٣")
@example("UPPER")
@example("film\n")
@example("")
@example("x" * 300)
def test_any_name_becomes_a_valid_id(name: str) -> None:
    assert is_id(title_id_from_name(name))


@quick
@given(ids)
def test_a_name_that_is_an_id_stays_as_it_is(name: str) -> None:
    assert title_id_from_name(name) == title_id(name) == name_id(name, "encoder") == name


@quick
@given(hostile, hostile)
@example("film", "Film")
@example("film", "film ")
@example("é", "e\u0301")
@example("7", "07")
def test_two_names_never_share_an_id(one: str, other: str) -> None:
    assume(one != other)
    assert title_id_from_name(one) != title_id_from_name(other)


@quick
@given(hostile)
def test_what_is_no_id_is_refused_and_named(text: str) -> None:
    assume(not is_id(text))
    with pytest.raises(TitleIdError) as refused:
        title_id(text)
    assert repr(text) in str(refused.value)
    with pytest.raises(IdentityError, match="encoder name"):
        name_id(text, "encoder")


def test_an_id_from_a_name_can_be_read() -> None:
    made = title_id_from_name("Der Öffentliche (1976)")
    assert made.startswith("der-offentliche-1976-")
    assert len(made) == len("der-offentliche-1976-") + 26


def test_every_character_outside_the_alphabet_is_refused() -> None:
    allowed = set(string.ascii_lowercase + string.digits + "_-")
    assert [c for c in map(chr, range(256)) if is_id(f"a{c}")] == sorted(allowed)
    for outside in set(map(chr, range(256))) - allowed:
        with pytest.raises(TitleIdError):
            title_id(f"a{outside}")


# Spans


@given(seconds, seconds)
def test_a_span_is_within_its_title_or_refused(start_s: float, end_s: float) -> None:
    if start_s < end_s:
        assert Span(start_s, end_s).within(end_s, "t").duration_s == end_s - start_s
    else:
        with pytest.raises(SpanError):
            Span(start_s, end_s)


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(-1.0, 1.0), (1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("nan")), (0.0, float("inf"))],
)
def test_a_span_that_is_no_stretch_of_time_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(SpanError):
        Span(start_s, end_s)


@given(
    st.tuples(seconds, seconds).filter(lambda s: s[0] < s[1]), st.tuples(seconds, seconds).filter(lambda s: s[0] < s[1])
)
def test_overlap_is_mutual_and_at_most_the_shorter(a: tuple[float, float], b: tuple[float, float]) -> None:
    one, other = Span(*a), Span(*b)
    assert one.overlap_s(other) == other.overlap_s(one)
    assert 0 <= one.overlap_s(other) <= min(one.duration_s, other.duration_s)
    assert one.overlap_s(one) == one.duration_s


def test_spans_that_touch_do_not_overlap() -> None:
    assert Span(0, 1).overlap_s(Span(1, 2)) == 0
    assert Span(0, 1).overlap_s(Span(0.5, 2)) == 0.5


def test_a_clip_beyond_the_end_names_the_title_and_both_times() -> None:
    with pytest.raises(SpanError, match=r"'tt1'.*\[1200\.000, 1260\.000\).*\[0, 58\.200\)"):
        Span(1200, 1260).within(58.2, "tt1")


# Fingerprints

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ingredients = st.dictionaries(st.text(max_size=4), json_values, max_size=4)


@given(ingredients)
def test_the_order_of_ingredients_changes_nothing(made_from: dict[str, object]) -> None:
    backwards = dict(reversed(made_from.items()))
    assert fingerprint("shots", made_from) == fingerprint("shots", backwards)
    assert canonical_json(made_from) == canonical_json(backwards)


@given(ingredients, ingredients)
def test_other_ingredients_give_another_fingerprint(one: dict[str, object], other: dict[str, object]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint("shots", one) == fingerprint("shots", other)) == same


@given(ingredients)
def test_a_fingerprint_is_64_hex_digits_and_knows_its_kind(made_from: dict[str, object]) -> None:
    made = fingerprint("shots", made_from)
    assert re.fullmatch("[0-9a-f]{64}", made)
    assert made != fingerprint("thumbnails", made_from)


@given(json_values)
def test_canonical_json_reads_back(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


def test_a_number_that_is_none_has_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint("shots", {"loss": float("nan")})


def test_the_fingerprint_of_an_example_does_not_move() -> None:
    text = '["shots",{"code":1,"media":"é"}]'
    assert fingerprint("shots", {"media": "é", "code": 1}) == hashlib.sha256(text.encode()).hexdigest()
