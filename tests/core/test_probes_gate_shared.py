"""A title that only one side was scored on takes a task out of no comparison."""

import numpy as np
import pytest

from mediafm_core.probes.comparing import difference, on_shared_titles
from mediafm_core.probes.gate import Verdict, gate
from mediafm_core.probes.labels import OutOfFold, label_set
from mediafm_core.probes.tasks import task_named

TONE = task_named("tone")
N_CLIPS = 6


def scored(titles: list[str], sign: float = 1.0, turned: bool = False) -> OutOfFold:
    """Scores of every title's clips by their labels, in the right order or the reverse."""
    of = [title for title in titles for _ in range(N_CLIPS)]
    starts = [float(i) for _ in titles for i in range(N_CLIPS)]
    name = TONE.labels[0] if TONE.labels else "some"
    said = [[name] if (i % 2) != turned else [] for _ in titles for i in range(N_CLIPS)]
    labels = label_set(TONE, of, starts, [start + 1 for start in starts], labels=said)
    return OutOfFold(labels, sign * labels.targets.astype(np.float32))


TITLES = [f"t{i}" for i in range(8)]


@pytest.mark.parametrize("titles", [TITLES[:-1], [*TITLES, "new"], [*TITLES[1:], "new"]])
def test_a_worse_candidate_is_refused_though_it_was_fitted_on_other_titles(titles: list[str]) -> None:
    (row,) = gate({"tone": scored(titles, -1.0)}, {"tone": scored(TITLES)}, {}).rows
    assert row.verdict is Verdict.BLOCKS
    assert f"on the {len(set(titles) & set(TITLES))} titles that both were scored on" in row.reason


def test_the_difference_is_that_on_the_shared_titles() -> None:
    pair = on_shared_titles(scored(TITLES[:5], -1.0), scored(TITLES[2:]))
    assert pair is not None
    assert pair[0].labels.titles == pair[1].labels.titles == tuple(TITLES[2:5])
    assert difference(*pair).value < 0


def test_the_same_titles_are_compared_whole() -> None:
    (row,) = gate({"tone": scored(TITLES)}, {"tone": scored(TITLES)}, {}).rows
    assert row.verdict is Verdict.PASSES
    assert "both were scored on" not in row.reason


@pytest.mark.parametrize("other", [scored(["x", "y"]), scored([TITLES[0], "x"]), scored(TITLES, turned=True)])
def test_other_labels_or_hardly_a_shared_title_are_no_pair(other: OutOfFold) -> None:
    assert on_shared_titles(scored(TITLES), other) is None
