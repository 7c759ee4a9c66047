"""What pages are drawn with: samples, times, pictures and plots."""

import numpy as np
import pytest

from mediafm_core.errors import ArtifactError
from mediafm_core.identity import Span
from mediafm_core.reports.pictures import PictureSheet
from mediafm_core.reports.plots import self_similarity, steps_of, timeline
from mediafm_core.reports.render import clock
from mediafm_core.reports.sampling import even_sample


def test_a_picture_must_be_one() -> None:
    sheet = PictureSheet()
    sheet.name_of(b"<svg onload=alert(1)>")
    with pytest.raises(ArtifactError, match="JPEG or PNG"):
        list(sheet)


@pytest.mark.parametrize("n", [1, 149, 150, 151, 4043])
def test_a_sample_is_even_and_within_bounds(n: int) -> None:
    sample = even_sample(n, 150)
    gaps = np.diff(sample)
    assert len(sample) == min(n, 150)
    assert 0 <= sample[0] <= sample[-1] < n
    assert not len(gaps) or (gaps.min() > 0 and gaps.max() - gaps.min() <= 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (75.25, "1:15.2"), (3599.99, "1:00:00.0"), (3661.5, "1:01:01.5")],
)
def test_a_time_reads_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_gap_between_shots_stays_empty() -> None:
    assert steps_of([Span(0.0, 2.0), Span(4.0, 7.0)], [2.0, 3.0]) == ([2.0, 0.0, 3.0], [0.0, 2.0, 4.0, 7.0])


def test_a_timeline_says_in_words_what_it_shows() -> None:
    svg = timeline([Span(0.0, 2.0), Span(4.0, 7.0)], [True, False]).svg
    assert "2 shots of 2.0 to 3.0 seconds, 1 of them with text" in svg


def test_plots_take_their_colours_from_the_page() -> None:
    for svg in (timeline([Span(0.0, 2.0)], [True]).svg, self_similarity(np.eye(3, dtype=np.float32)).svg):
        assert "var(--muted)" in svg
        assert "#01020" not in svg
        assert "<style" not in svg


def test_shots_that_are_all_alike_are_drawn() -> None:
    assert self_similarity(np.ones((3, 4), np.float32)).n_drawn == 3
