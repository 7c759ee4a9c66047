"""Every benchmark. A goal is a bound that was set after measuring, with room for a busy machine."""

from collections.abc import Callable
from functools import partial

from bench import (
    base_reading,
    base_steps,
    encoders,
    growth,
    loading,
    media,
    model,
    planning,
    search,
    snapshots,
    startup,
    store,
    suite_speed,
)
from bench.harness import Benchmark, Direction, Figure
from bench.measuring import cpu_s, n_processors, wall_s
from mediafm_core.catalogue.suite import Modality
from mediafm_core.model.config import Precision
from mediafm_core.pretraining.config import Optimiser

_Measure = Callable[[], Figure]


def _at_most(goal: float, unit: str, name: str, measure: _Measure, what: str) -> Benchmark:
    return Benchmark(name=name, what=what, unit=unit, goal=goal, direction=Direction.AT_MOST, measure=measure)


def _at_least(goal: float, unit: str, name: str, measure: _Measure, what: str) -> Benchmark:
    return Benchmark(name=name, what=what, unit=unit, goal=goal, direction=Direction.AT_LEAST, measure=measure)


_STORE = (
    _at_most(
        12.0, "x Delta", "snapshot_append", partial(snapshots.snapshot_append, 10_000), "one title more, of 10,000"
    ),
    _at_most(
        1.5, "x Delta", "snapshot_replace", partial(snapshots.snapshot_replace, 10_000), "one row of 10,000 changes"
    ),
    _at_most(1.0, "x Delta", "snapshot_read", partial(snapshots.snapshot_read, 10_000), "open and read 10,000 titles"),
    _at_most(
        2.0, "x Delta", "snapshot_append_1k", partial(snapshots.snapshot_append, 1_000), "one title more, of 1,000"
    ),
    _at_most(
        1.0, "x Delta", "snapshot_replace_1k", partial(snapshots.snapshot_replace, 1_000), "one row of 1,000 changes"
    ),
    _at_most(0.5, "x Delta", "snapshot_read_1k", partial(snapshots.snapshot_read, 1_000), "open and read 1,000 titles"),
    _at_most(
        30.0,
        "CPU-s",
        "snapshot_publication",
        snapshots.snapshot_publication,
        "an edit of 10,000 titles becomes visible",
    ),
    _at_most(2.5, "x .npy", "vectors_write_npy", partial(store.vectors_write, "npy"), "500 x 2048 fp16, made durable"),
    _at_most(
        2.5,
        "x safetensors",
        "vectors_write_safetensors",
        partial(store.vectors_write, "safetensors"),
        "500 x 2048 fp16, made durable",
    ),
    _at_most(2.0, "x .npy", "vectors_read_npy", partial(store.vectors_read, "npy"), "500 x 2048 fp16 to float32"),
    _at_most(
        2.0,
        "x safetensors",
        "vectors_read_safetensors",
        partial(store.vectors_read, "safetensors"),
        "500 x 2048 fp16 to float32",
    ),
    _at_most(3.0, "s", "ledger_state", store.ledger_state, "100,000 ledger rows to what the planner reads"),
    _at_least(100.0, "commits/s", "ledger_commits", store.ledger_commits, "artifacts committed one by one, durable"),
    _at_most(8.0, "x copyfile", "blob_keep", store.blob_keep, "64 MiB hashed, copied, made durable"),
    _at_least(300.0, "MiB/s", "blob_sha256", store.blob_sha256, "64 MiB hashed"),
)

_PLANNING = (
    _at_most(
        1.0, "CPU-s", "plan_noop_1k", partial(planning.noop_plan, 1_000), "nothing missing: 1,000 titles, 3 encoders"
    ),
    _at_most(10.0, "CPU-s", "plan_noop_10k", partial(planning.noop_plan, 10_000), "the same, 10,000 titles"),
    _at_most(
        12.0,
        "x 1,000",
        "plan_noop_growth",
        partial(planning.noop_plan_growth, 1_000, 10_000),
        "10,000 titles over 1,000",
    ),
)

_MEDIA = (
    _at_most(2.0, "x bare", "media_one_pass", media.one_pass, "CPU of the one pass over a bare decode by PyAV"),
    _at_most(1.5, "x in process", "media_sandbox", media.sandbox, "CPU of the pass in a child process"),
    _at_most(512.0, "MiB", "media_peak_memory", media.peak_memory, "what the decode child holds at most"),
)

_ENCODERS = (
    _at_most(1.0, "x torch", "shots_engine", encoders.detector_engines, "CPU of the detector by OpenVINO"),
    *(
        _at_least(
            0.9,
            "of bare speed",
            f"{modality}_stage",
            partial(encoders.stage_share, modality),
            f"the bare {modality} encoder's CPU over its stage's",
        )
        for modality in Modality
    ),
    _at_least(
        0.9,
        "of bare speed",
        "text_stage_240",
        partial(encoders.stage_share, Modality.TEXT, 240),
        "the same of text, a title of 240 shots with a line each",
    ),
)

_SUITES = (
    _at_least(3.0, "shots/CPU-s", "embedded_suite_speed", suite_speed.embedded_speed, "seen, heard, read: embedded"),
    _at_least(
        0.02,
        "shots/CPU-s",
        "paper_suite_speed",
        suite_speed.paper_speed,
        "seen and heard: paper's shape, random weights",
    ),
)

_ONE = {"n_threads": 1, "clock": cpu_s}
_ALL = {"n_threads": n_processors(), "clock": wall_s}
_MODEL = (
    _at_least(500.0, "shots/CPU-s", "train_one_thread", partial(model.training, **_ONE), "tiny learns, one thread"),
    _at_least(700.0, "shots/s", "train_all_threads", partial(model.training, **_ALL), "tiny learns, all threads"),
    _at_least(3000.0, "shots/CPU-s", "read_one_thread", partial(model.reading, **_ONE), "tiny reads, one thread"),
    _at_least(4000.0, "shots/s", "read_all_threads", partial(model.reading, **_ALL), "tiny reads, all threads"),
    _at_least(0.9, "of bare speed", "loading_share", loading.loading_share, "the bare step's CPU over training's"),
    _at_most(1.1, "x linear", "learning_growth", growth.learning_growth, "tiny learns from 80 titles over 4 x 20"),
    _at_most(1.1, "x linear", "reading_growth", growth.reading_growth, "tiny reads 80 titles over 4 x 20"),
)


def _base(short: str, precision: Precision, share: float) -> tuple[Benchmark, ...]:
    """Base size beside the peers, in one precision."""
    read, step = partial(base_reading.reading_against, precision), partial(base_steps.step_against, precision)
    rate = partial(base_reading.reading_share, precision)
    return (
        _at_least(1.3, "x BertModel", f"base_read_{short}_bert", partial(read, _BERT), "base reads 512 shots"),
        _at_least(1.0, "x fastest", f"base_read_{short}_fastest", read, "the same, against the fastest peer"),
        _at_least(share, "of matmul rate", f"base_read_{short}_rate", rate, "the same, against bare products"),
        _at_least(1.0, "x BertModel", f"base_step_{short}_bert", partial(step, _BERT), "base learns from 512 shots"),
        _at_least(1.0, "x fastest", f"base_step_{short}_fastest", step, "the same, against the fastest peer"),
    )


_BERT = "BertModel"
_BASE = (
    *_base("fp32", Precision.FLOAT32, 0.7),
    *_base("bf16", Precision.BFLOAT16, 0.5),
    *(
        _at_most(
            goal,
            "of a step",
            f"{optimiser}_share",
            partial(base_steps.optimiser_share, optimiser),
            "the optimiser's CPU at base size, a step as long as the preset's",
        )
        for optimiser, goal in ((Optimiser.MUON, 0.03), (Optimiser.ADAMW, 0.01))
    ),
)

_STARTUP = (
    _at_most(2.5, "CPU-s", "start_help", partial(startup.start_s, startup.HELP, "--help"), "mediafm --help"),
    _at_most(0.1, "CPU-s", "start_core", partial(startup.start_s, startup.IMPORT_CORE), startup.IMPORT_CORE),
    _at_most(4.0, "CPU-s", "start_definitions", partial(startup.start_s, startup.DEFINITIONS), "load the asset graph"),
    _at_most(
        0, "heavy modules", "start_help_heavy", partial(startup.heavy_modules, startup.HELP, "--help"), "mediafm --help"
    ),
    _at_most(
        0, "heavy modules", "start_core_heavy", partial(startup.heavy_modules, startup.IMPORT_CORE), startup.IMPORT_CORE
    ),
    _at_most(
        0,
        "heavy modules",
        "start_definitions_heavy",
        partial(startup.heavy_modules, startup.DEFINITIONS),
        "load the asset graph",
    ),
)

_SEARCH = (
    _at_most(200.0, "ms", "search_8_titles", partial(search.titles_like_one, 8), "similar_titles, 8 made-up titles"),
    _at_most(2000.0, "ms", "search_200_titles", partial(search.titles_like_one, 200), "the same, 200 made-up titles"),
)

BENCHMARKS: tuple[Benchmark, ...] = (
    *_STORE, *_PLANNING, *_MEDIA, *_ENCODERS, *_SUITES, *_MODEL, *_BASE, *_STARTUP, *_SEARCH,
)  # fmt: skip
"""In the order in which a whole run measures them."""
