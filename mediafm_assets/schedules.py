"""What happens by the clock."""

from functools import partial

import dagster as dg

from mediafm_assets.asking import asked, price_tags, prices_of
from mediafm_assets.automations import CANARIES, NIGHTLY, why_off
from mediafm_assets.jobs import MAX_STEPS_PER_RUN, refresh, steps_config, train_encoder, training_config, watch_canaries
from mediafm_assets.partitions import sync
from mediafm_assets.postponed import for_automation
from mediafm_assets.resources import HomeResource
from mediafm_core.drift.asking import measuring_prices
from mediafm_core.drift.watching import in_use
from mediafm_core.pretraining.declaring import is_new_to_learn
from mediafm_core.stock import read_state


@dg.schedule(job=refresh, cron_schedule=NIGHTLY.cron, default_status=dg.DefaultScheduleStatus.RUNNING)
def nightly(context: dg.ScheduleEvaluationContext, home: HomeResource) -> list[dg.RunRequest] | dg.SkipReason:
    """Submits everything that the planner misses of the whole catalogue: what no sensor caught during the day.

    It is as many runs as the steps need, in the plan's order; a home's queue lets one of them run at a time. Trainings
    are `reconcile`'s, or a person's.
    """
    opened = home.open()
    if off := why_off(opened.root, "nightly"):
        return dg.SkipReason(off)
    sync(context.instance, opened)
    at = context.scheduled_execution_time.isoformat()
    steps = asked(for_automation(opened, read_state(opened))).steps
    portions = [steps[begin : begin + MAX_STEPS_PER_RUN] for begin in range(0, len(steps), MAX_STEPS_PER_RUN)]
    runs = [
        dg.RunRequest(
            run_key=f"{at} {n}",
            run_config=steps_config(some),
            tags=price_tags(partial(prices_of, opened, some), len(some)),
        )
        for n, some in enumerate(portions)
    ]
    return runs or dg.SkipReason("Nothing is missing.")


@dg.schedule(job=watch_canaries, cron_schedule=CANARIES.cron, default_status=dg.DefaultScheduleStatus.RUNNING)
def daily_canaries(context: dg.ScheduleEvaluationContext, home: HomeResource) -> list[dg.RunRequest] | dg.SkipReason:
    """Measures every suite that an encoder is bound to, or that is watched already, once a day."""
    opened = home.open()
    if off := why_off(opened.root, "daily_canaries"):
        return dg.SkipReason(off)
    sync(context.instance, opened)
    at = context.scheduled_execution_time.isoformat()
    state = read_state(opened, ())  # of no title
    wanted = [
        dg.RunRequest(
            run_key=f"{suite} {at}",
            partition_key=suite,
            tags=price_tags(partial(measuring_prices, opened, state, suite), 1),
        )
        for suite in in_use(state)
    ]
    return wanted or dg.SkipReason("No suite is in use whose encoders could be watched.")


@dg.schedule(job=train_encoder, cron_schedule="0 1 * * 0", default_status=dg.DefaultScheduleStatus.RUNNING)
def weekly_training(context: dg.ScheduleEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
    """Trains a new encoder where some of what is fused was never learnt from; `new_encoders` makes it a candidate.

    Off at first. It is named after the day; preset, size and seed are those of the job `train_encoder`.
    """
    opened = home.open()
    if off := why_off(opened.root, "weekly_training"):
        return dg.SkipReason(off)
    if not is_new_to_learn(read_state(opened)):
        return dg.SkipReason("There is nothing to learn from that an encoder has not read.")
    name = f"weekly-{context.scheduled_execution_time.date().isoformat()}"
    return dg.RunRequest(run_key=name, run_config=training_config(name))
