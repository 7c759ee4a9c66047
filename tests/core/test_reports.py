"""Pages: whatever a title is called, they are whole, quiet, honest files."""

import io
import re
from collections.abc import Iterable
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mediafm_core.consumption.catalogue import Shots, TitleEntry
from mediafm_core.consumption.similarity import SimilarTitle
from mediafm_core.errors import DimensionError
from mediafm_core.identity import Span
from mediafm_core.reports.cards import EncoderCard, Neighbour, Still
from mediafm_core.reports.demo_page import DemoPage, Match, NewTitle, Phase, TitleFigures, demo_page
from mediafm_core.reports.title_page import MAX_STRIP, StripShot, TitlePage, title_page

EVIL = "<script>alert('&\"')</script>"
VOID = {"meta", "br", "img", "link", "input", "hr"}
CARD = EncoderCard("demo", "embedded-1234", "pre-trained on 6 titles: mechanics, not quality")


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


class Page(HTMLParser):
    """What a test asks of a page; an element that is left open or closed twice is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.unnamed_pictures: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self._note(tag, dict(attrs))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._note(tag, dict(attrs))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    def _note(self, tag, attributes):
        self.elements.append((tag, attributes))
        shown = tag == "img" or (tag == "svg" and attributes.get("aria-hidden") != "true")
        if shown and not (attributes.get("alt") or (attributes.get("role") == "img" and attributes.get("aria-label"))):
            self.unnamed_pictures.append(str(attributes))

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def spans(n: int) -> tuple[Span, ...]:
    return tuple(Span(2.0 * i, 2.0 * i + 2.0) for i in range(n))


def a_title_page(n: int = 4, name: str = "A film", picture: bytes | None = b"", text: str = "A word.") -> str:
    shown = [None if picture is None else jpeg(i) for i in range(n)]
    texts = tuple(text if i % 2 else "" for i in range(n))
    near = (Neighbour(Still("other", name, Span(1.0, 2.0), text, jpeg(99)), 0.5),)
    stills = [Still("film", name, span, t, p) for span, t, p in zip(spans(n), texts, shown, strict=True)]
    vectors = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    data = TitlePage(
        entry=TitleEntry("film", name, name, (name, "calm"), name, n, 2.0 * n),
        encoder=CARD,
        shots=Shots("film", "demo", "0" * 64, spans(n), texts, vectors),
        text_source="audio description",
        nearest_titles=(SimilarTitle("other", name, 0.75),),
        strip=tuple(StripShot(i + 1, still, near) for i, still in enumerate(stills)),
    )
    return title_page(data)


STEPS = frozenset({("shots", "cut"), ("timed_text", "cut"), ("snapshot", "")})
FILM_SHOTS = spans(5)


def a_match(first: int, sources: tuple[Span, ...]) -> Match:
    near = tuple(Neighbour(Still("film", EVIL, FILM_SHOTS[i], EVIL, jpeg(i)), 0.9) for i in (first, 4))
    source = Still("film", EVIL, FILM_SHOTS[1], EVIL, jpeg(1)) if sources else None
    return Match(Still("cut", EVIL, Span(0.0, 2.0), EVIL, None), near, sources, source)


def a_demo_page(executed: Iterable[tuple[str, str]] = STEPS, goal: int = 1, nearest: str = "film") -> str:
    source = (Span(2.5, 4.0),)
    matches = (a_match(1, source), a_match(2, source), a_match(3, ()))
    data = DemoPage(
        encoder=CARD,
        n_corpus_titles=6,
        film="film",
        film_name=EVIL,
        titles=(TitleFigures("film", EVIL, 5, 10.0, "catalogue"), TitleFigures("cut", EVIL, 3, 6.0, "cold start")),
        phases=(Phase("Cold start", STEPS, frozenset(executed), {"shots": 1.25}),),
        new_titles=(NewTitle("cut", EVIL, (SimilarTitle(nearest, EVIL, 0.9),), matches, goal),),
        notes=(EVIL,),
    )
    return demo_page(data)


PAGES = pytest.mark.parametrize(
    "make", [lambda: a_title_page(name=EVIL, text=EVIL), a_demo_page], ids=["title", "demo"]
)


@PAGES
def test_what_a_delivery_says_is_shown_and_never_run(make) -> None:
    page = Page(make())
    assert EVIL in page.text
    assert not page.all("script")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@PAGES
def test_a_page_asks_for_nothing_from_elsewhere(make) -> None:
    page = Page(make())
    loading = [a[k] or "" for _, a in page.elements for k in ("src", "href", "xlink:href", "data", "action") if k in a]
    assert loading
    assert all(target.startswith(("#", "data:image/")) for target in loading)
    assert not page.all("link")
    style = re.search(r"<style>(.*?)</style>", make(), re.DOTALL)
    assert style
    assert not re.search(r"url\(|@import", style.group(1))
    policies = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


@PAGES
def test_every_picture_is_told_in_words(make) -> None:
    page = Page(make())
    assert len([svg for svg in page.all("svg") if svg.get("role") == "img"]) > 4
    assert page.unnamed_pictures == []


@PAGES
def test_every_reference_within_a_page_has_one_target(make) -> None:
    page = Page(make())
    names = [a["id"] for _, a in page.elements if "id" in a]
    used = {(a.get("href") or a.get("xlink:href") or "")[1:] for a in page.all("use")}
    used |= {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
    assert len(names) == len(set(names))
    assert used <= set(names)


@PAGES
def test_a_page_is_readable_by_anyone(make) -> None:
    page = Page(make())
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert page.all("h2")
    assert "width=device-width" in str(page.all("meta"))
    assert "prefers-color-scheme: dark" in make()


@PAGES
def test_the_same_data_make_the_same_page(make) -> None:
    assert make() == make()


@PAGES
def test_a_page_says_what_the_encoder_is(make) -> None:
    assert "mechanics, not quality" in Page(make()).text


def test_without_thumbnails_a_grey_picture_says_so() -> None:
    page = Page(a_title_page(2, picture=None))
    assert page.text.count("no picture") == 2
    assert any("no picture" in (svg.get("aria-label") or "") for svg in page.all("svg"))


def test_a_picture_that_is_shown_often_is_written_once() -> None:
    page = Page(a_title_page(6))
    assert len(page.all("symbol")) == 7  # six shots, and the one that is near to all of them
    assert len([use for use in page.all("use") if "picture-" in (use.get("href") or "")]) == 12


def test_a_long_title_is_thinned_out_and_says_so() -> None:
    n = 500
    page = Page(a_title_page(n, picture=None))
    assert len([li for li in page.all("li") if "value" in li]) == MAX_STRIP
    assert f"Shown are {MAX_STRIP} of {n} shots" in page.text
    assert f"Drawn are 400 of {n} shots" in page.text


def test_a_short_title_is_shown_whole() -> None:
    page = Page(a_title_page(4))
    assert [li["value"] for li in page.all("li") if "value" in li] == ["1", "2", "3", "4"]
    assert "evenly spaced" not in page.text
    assert "2 of 4, from audio description" in page.text


def test_a_title_of_one_shot_has_a_page() -> None:
    assert "nothing to compare within itself" in Page(a_title_page(1)).text


def test_a_page_takes_one_vector_and_one_text_for_each_shot() -> None:
    shots = Shots("film", "demo", "0" * 64, spans(2), ("",), np.ones((2, 4), np.float32))
    with pytest.raises(DimensionError, match="2 spans, 1 texts, 2 vectors"):
        TitlePage(
            entry=TitleEntry("film", "", "", (), "", 2, 4.0),
            encoder=CARD,
            shots=shots,
            text_source="captions",
            nearest_titles=(),
            strip=(),
        )


def test_equal_sets_are_called_equal() -> None:
    text = Page(a_demo_page()).text
    assert "Cold start ✓ equal" in text
    assert "differ" not in text


def test_sets_that_differ_are_called_so_even_where_their_sizes_agree() -> None:
    text = Page(a_demo_page(executed=(STEPS - {("shots", "cut")}) | {("shots", "other")})).text
    assert "Cold start ✗ not equal" in text
    assert "shots 1 1 ✗ differ" in text
    assert "Planned, not executed: shots of cut" in text
    assert "Executed, not planned: shots of other" in text


def test_only_shots_with_a_known_source_are_counted() -> None:
    text = Page(a_demo_page()).text
    assert "1 of 2 shots of" in text
    assert "1 of its shots have no known source" in text
    assert text.count("source found first") == text.count("source not first") == 1


@pytest.mark.parametrize(("goal", "verdict"), [(1, "✓ goal reached"), (2, "✗ goal missed")])
def test_figures_stand_against_their_goals(goal: int, verdict: str) -> None:
    assert f"find their source first {verdict} goal: at least {goal}" in Page(a_demo_page(goal=goal)).text


def test_another_nearest_title_is_called_so() -> None:
    assert "the film is not nearest" in Page(a_demo_page(nearest="other")).text


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (Span(2.0, 4.0), True),
        (Span(3.0, 9.0), True),  # half of the found shot
        (Span(3.9, 9.0), False),  # a cut that was detected a little late
        (Span(4.0, 6.0), False),
    ],
)
def test_a_source_is_found_where_half_of_the_shorter_overlaps(source: Span, found: bool) -> None:
    assert a_match(1, (source,)).found_first is found


def test_one_of_several_sources_is_enough() -> None:
    assert a_match(1, (Span(8.0, 10.0), Span(2.0, 4.0))).found_first is True


def test_without_a_known_source_there_is_no_verdict() -> None:
    assert a_match(1, ()).found_first is None
