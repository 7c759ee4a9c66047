"""The narrative catalogue: the same title always, no landmark in time, labels that are there for every task."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from mediafm_core.catalogue.suite import Modality
from mediafm_core.errors import DimensionError
from mediafm_core.narrative.config import GENRES, MOVIENET, SHORT, Lengths, WorldConfig
from mediafm_core.narrative.labels import N_CLIPS, TaskLabels, tone_names
from mediafm_core.narrative.latents import DIALOGUE, GROUPS, N_LATENTS, PASSAGE, Running
from mediafm_core.narrative.titles import NarrativeTitle, draw_length, title
from mediafm_core.narrative.world import World

TASKS = ["ad_relevancy", "popularity", "tone", "genre", "retrieval"]
WORLD = World.of(WorldConfig(seed=3))


@pytest.fixture(scope="module")
def titles() -> list[NarrativeTitle]:
    """Sixty titles of one world."""
    return [title(WORLD, seed) for seed in range(60)]


def said(given: NarrativeTitle, task: str) -> TaskLabels:
    return given.labels[TASKS.index(task)]


def pooled(titles: list[NarrativeTitle], modality: Modality) -> np.ndarray:
    return np.concatenate([t.vectors[modality] for t in titles])


def same(one: NarrativeTitle, other: NarrativeTitle) -> bool:
    return all(
        (
            one.metadata == other.metadata,
            np.array_equal(one.latents, other.latents),
            np.array_equal(one.story.ends_s, other.story.ends_s),
            all(np.array_equal(one.vectors[m], other.vectors[m]) for m in Modality),
            np.array_equal(one.metadata_vector, other.metadata_vector),
            all(a.labels == b.labels for a, b in zip(one.labels, other.labels, strict=True)),
        )
    )


def test_a_title_is_the_same_in_any_order_and_any_number(titles) -> None:
    again = World.of(WorldConfig(seed=3))
    assert all(same(title(again, seed), titles[seed]) for seed in (41, 7))


def test_title_seeds_and_world_seeds_differ(titles) -> None:
    assert not same(titles[0], titles[1])
    other = title(World.of(WorldConfig(seed=4)), 0, titles[0].n_shots)
    assert not np.array_equal(other.latents, titles[0].latents)
    assert other.id != titles[0].id


def test_the_story_does_not_move_when_the_senses_change(titles) -> None:
    blunt = World.of(WorldConfig(seed=3, video_dims=7, sensor_noise=1.0))
    given = title(blunt, 5)
    np.testing.assert_array_equal(given.latents, titles[5].latents)
    assert given.vectors[Modality.VIDEO].shape == (given.n_shots, 7)
    assert [x.labels for x in given.labels] == [x.labels for x in titles[5].labels]


def test_two_worlds_are_two_suites() -> None:
    changed = [WorldConfig(seed=4), replace(WORLD.config, common=1.5), replace(WORLD.config, text_dims=8)]
    ids = {World.of(config).suite.id for config in (WORLD.config, *changed)}
    assert len(ids) == 4


def test_shot_lists_tile_the_title_in_whole_frames(titles) -> None:
    for given in titles:
        np.testing.assert_array_equal(given.story.starts_s[1:], given.story.ends_s[:-1])
        assert given.story.starts_s[0] == 0
        frames = np.diff(given.story.ends_s, prepend=0) * 24
        np.testing.assert_allclose(frames, np.round(frames), atol=1e-6)
        assert frames.min() >= 12


GOLDEN = {
    "fingerprint": "3f17212e",
    "frames": 8946,
    "scenes": 6,
    "audio": [0.052540811, 2.340823583, 0.151828728],
    "metadata": [0.396886876, 0.870840701, 0.641424186],
}


def test_the_recipe_has_not_changed_without_a_new_number() -> None:
    """When this fails on purpose, raise RECIPE and write the new numbers here."""
    given = title(World.of(WorldConfig(seed=0)), 17, 60)
    assert WORLD.config.fingerprint[:8] == GOLDEN["fingerprint"]
    assert round(given.story.ends_s[-1] * 24) == GOLDEN["frames"]
    assert given.story.scenes[-1] + 1 == GOLDEN["scenes"]
    assert given.latents.shape == (60, N_LATENTS)
    np.testing.assert_allclose(given.vectors[Modality.AUDIO][9, :3], GOLDEN["audio"], rtol=1e-6)
    np.testing.assert_allclose(given.metadata_vector[:3], GOLDEN["metadata"], rtol=1e-6)


def test_about_two_fifths_of_the_shots_have_no_text_and_dialogue_has_most(titles) -> None:
    absent = np.logical_not(pooled(titles, Modality.TEXT).any(axis=1))
    kinds = np.concatenate([t.story.kinds for t in titles])
    assert absent.mean() == pytest.approx(0.40, abs=0.04)
    assert absent[kinds == DIALOGUE].mean() + 0.3 < absent[kinds == PASSAGE].mean()
    assert pooled(titles, Modality.VIDEO).any(axis=1).all()
    assert 0 < (~pooled(titles, Modality.AUDIO).any(axis=1)).mean() < 0.04


def test_no_share_without_text_is_text_everywhere() -> None:
    wordy = World.of(WorldConfig(share_without_text=0.0, share_without_audio=0.0))
    assert all(rows.any(axis=1).all() for rows in title(wordy, 0).vectors.values())


def test_embeddings_are_anisotropic_until_they_are_centred(titles) -> None:
    for modality in Modality:
        rows = pooled(titles, modality)
        rows = rows[rows.any(axis=1)]
        assert mean_cosine(rows) > 0.6
        assert abs(mean_cosine(rows - rows.mean(axis=0))) < 0.05


def mean_cosine(rows: np.ndarray) -> float:
    """Between rows that are far apart in the catalogue."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return float((unit * np.roll(unit, len(unit) // 2, axis=0)).sum(axis=1).mean())


def test_latents_are_about_standard(titles) -> None:
    latents = np.concatenate([t.latents for t in titles])
    spread = latents.std(axis=0)
    assert spread.min() > 0.4
    assert spread.max() < 2.0


def test_every_title_is_judged_in_five_tasks_on_clips_that_lie_in_it(titles) -> None:
    for given in titles:
        assert [x.task for x in given.labels] == TASKS
        for labels in given.labels:
            assert (labels.clips.first < labels.clips.last).all()
            assert labels.clips.last.max() <= given.n_shots
            assert len(set(labels.clips.first)) == len(labels.clips.first) == len(labels.labels)
        assert len(said(given, "tone").clips.first) == N_CLIPS


def test_popularity_ranks_are_distinct_and_go_from_0_to_1(titles) -> None:
    for given in titles:
        rank = said(given, "popularity").rank
        assert rank is not None
        np.testing.assert_allclose(np.sort(rank), np.linspace(0, 1, N_CLIPS))


def test_retrieval_has_6_to_10_positives_at_one_to_three(titles) -> None:
    counts = []
    for given in titles:
        labels = said(given, "retrieval").labels
        counts.append(sum(map(len, labels)))
        assert len(labels) == 4 * counts[-1]
    assert set(counts) == {6, 7, 8, 9, 10}


def test_every_tone_every_ad_label_and_every_genre_occurs_and_none_is_the_rule(titles) -> None:
    for task, names in (
        ("tone", tone_names(WORLD.config)),
        ("ad_relevancy", [f"ad-{n:02d}" for n in range(10)]),
        ("genre", list(GENRES)),
    ):
        clips = [set(labels) for given in titles for labels in said(given, task).labels]
        shares = [sum(name in labels for labels in clips) / len(clips) for name in names]
        assert set().union(*clips) == set(names)
        assert min(shares) > 0.002
        assert max(shares) < 0.45


def test_position_alone_says_nothing_about_popularity(titles) -> None:
    taus = []
    for given in titles:
        (first, last), rank = said(given, "popularity").clips, said(given, "popularity").rank
        fraction = (first + last) / 2 / given.n_shots
        reads = (fraction, np.abs(fraction - 0.5), np.sin(2 * np.pi * fraction))
        taus.append([kendalltau(read, rank)[0] for read in reads])
    np.testing.assert_array_less(np.abs(np.mean(taus, axis=0)), 0.08)


def test_positives_of_retrieval_are_spread_like_the_negatives(titles) -> None:
    places = {True: [], False: []}
    for given in titles:
        labels = said(given, "retrieval")
        for first, names in zip(labels.clips.first, labels.labels, strict=True):
            places[bool(names)].append(first / given.n_shots)
    deciles = [np.histogram(places[kind], bins=4, range=(0, 1))[0] / len(places[kind]) for kind in (True, False)]
    np.testing.assert_allclose(deciles[0], deciles[1], atol=0.08)


def test_tension_is_as_high_at_the_start_as_anywhere() -> None:
    tension = np.stack([title(WORLD, seed, 60).latents[:, GROUPS["tension"]][:, 0] for seed in range(200)])
    by_quarter = tension.reshape(200, 4, 15).mean(axis=(0, 2))
    assert np.ptp(by_quarter) < 0.2


def test_a_dialogue_alternates_between_two_people() -> None:
    given = title(WORLD, 11, 200)
    for scene in range(given.story.scenes.max() + 1):
        rows = given.latents[given.story.scenes == scene]
        people = np.unique(rows[:, GROUPS["cast"]].round(9), axis=0)
        kind = given.story.kinds[given.story.scenes == scene][0]
        assert len(people) <= (1 if kind == PASSAGE else 2)
        assert kind != DIALOGUE or len(rows) < 8 or len(people) == 2


def test_places_come_back() -> None:
    given = title(WORLD, 11, 200)
    firsts = np.flatnonzero(np.diff(given.story.scenes, prepend=-1))
    places = given.latents[firsts][:, GROUPS["place"]].round(9)
    assert len(np.unique(places, axis=0)) < len(places) / 2


@pytest.mark.parametrize("n_shots", [2, 3, 5, 30])
def test_the_shortest_titles_have_what_labels_they_can(n_shots: int) -> None:
    given = title(WORLD, 0, n_shots)
    assert given.n_shots == n_shots
    assert len(said(given, "tone").labels) == min(N_CLIPS, n_shots - 1)
    assert sum(map(len, said(given, "retrieval").labels)) == min(10, (n_shots - 1) // 4) or n_shots == 30


def test_movienet_lengths_have_its_median_and_tails() -> None:
    lengths = [draw_length(WORLD, seed, MOVIENET) for seed in range(3000)]
    np.testing.assert_allclose(np.quantile(lengths, [0.1, 0.5, 0.9]), [869, 1488, 2469], rtol=0.05)
    assert {draw_length(WORLD, seed, SHORT) for seed in range(3000)} == set(range(40, 161))


def test_the_metadata_embedding_tells_titles_of_one_genre_from_others(titles) -> None:
    centred = np.stack([t.metadata_vector for t in titles])
    centred = centred - centred.mean(axis=0)
    cosines = centred @ centred.T / np.linalg.norm(centred, axis=1) / np.linalg.norm(centred, axis=1)[:, None]
    strongest = np.array([t.story.genres[0] for t in titles])
    alike = (strongest[:, None] == strongest) & ~np.eye(len(titles), dtype=bool)
    assert cosines[alike].mean() > cosines[strongest[:, None] != strongest].mean() + 0.1


def test_running_means_are_means() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 2))
    found = Running.of(rows).mean(np.array([-3, 2, 9]), np.array([2, 20, 12]))
    np.testing.assert_allclose(found, [rows[:2].mean(axis=0), rows[2:].mean(axis=0), [0, 0]])


@pytest.mark.parametrize(
    "fields", [{"text_dims": 0}, {"share_without_text": 1.0}, {"n_tones": 1001}, {"seed": -1}, {"sensor_noise": -0.1}]
)
def test_an_impossible_world_is_refused(fields) -> None:
    with pytest.raises(DimensionError, match=next(iter(fields))):
        WorldConfig(**fields)


def test_impossible_lengths_and_seeds_are_refused() -> None:
    for make in (
        lambda: Lengths(low=1, high=3),
        lambda: Lengths(low=5, high=4),
        lambda: Lengths(low=5, high=9, spread=0.1),
        lambda: title(WORLD, -1),
        lambda: title(WORLD, 10**6),
        lambda: title(WORLD, 0, 1),
    ):
        with pytest.raises(DimensionError):
            make()
