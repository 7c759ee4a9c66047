"""The post's numbers hold together."""

from mediafm_core import paper


def test_five_tasks_each_with_a_metric() -> None:
    assert paper.N_TASKS == 5
    assert all(paper.TASK_METRICS.values())


def test_defaults_of_model_and_objective_are_the_posts_numbers() -> None:
    from mediafm_core.model.config import sized
    from mediafm_core.pretraining.config import ObjectiveConfig

    assert sized("tiny", (8, 4, 4), 4).window == paper.MAX_SHOTS == 512
    assert ObjectiveConfig().mask_share == paper.MASK_SHARE == 0.2


def test_the_narrative_tasks_of_the_post_are_tasks_of_ours() -> None:
    from mediafm_core.probes.ablation.findings import NARRATIVE_TASKS
    from mediafm_core.probes.tasks import TASKS

    assert set(paper.NARRATIVE_TASKS) <= set(paper.TASK_METRICS)
    assert set(NARRATIVE_TASKS) <= set(TASKS)
