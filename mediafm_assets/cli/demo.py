"""The main job on real films, from file to page: a catalogue, an encoder, then new titles that arrive cold."""

import math
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from mediafm_assets.cli.context import HomeOption, console, home_root, peak_memory_gib, print_table
from mediafm_assets.cli.films import FILM, TRAILER, fetch_films
from mediafm_assets.cli.plan_commands import show_plan
from mediafm_assets.cli.samples import CUT, SAMPLES, committed_films, cut_truth, trailer_truth
from mediafm_core.identity import TitleId
from mediafm_core.ingest.taking import arrivals, examine, take, take_or_refuse
from mediafm_core.planning.state import Step
from mediafm_core.reports.demo_page import DemoPage, NewTitle, Phase, TitleFigures
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.workbench import Outcome, Status

ENCODER = "v1"
GOAL = 0.9
"""This share of a new title's shots must find their source in the film first, rounded down for the trailer's nine."""


def demo(
    home: HomeOption = None,
    small: Annotated[bool, typer.Option("--small", help="Only the committed clips: fetch nothing.")] = False,
) -> None:
    """Run the main job on real films: ingest, shots, embeddings, an encoder, and new titles that arrive afterwards.

    The encoder learns from a handful of titles: what is shown is the mechanics, not the quality.

    Example: mediafm demo --home .mediafm
    """
    from mediafm_assets.cli.running import initialise

    opened = initialise(home_root(home))
    films, notes = _films(small)
    coming = _coming(films)
    phases = [
        _catalogue(opened, {title: path for title, path in films.items() if title not in coming}),
        _encoder(opened),
        _apply(opened, "contextual embeddings"),
        _cold_start(opened, coming),
    ]
    new = [_found_by(opened, title) for title in coming] if FILM in films else []
    page = opened.reports / "demo.html"
    made_something = any(phase.planned for phase in phases)
    if made_something or not page.exists():  # else the page keeps the story of the run that made something
        _write_pages(page, opened, phases, new, notes)
    _summary(opened, phases, new, page)
    if not all(phase.equal for phase in phases) or not all(_reached(found) for found in new):
        raise typer.Exit(1)


def _films(small: bool) -> tuple[Mapping[TitleId, Path], list[str]]:
    from mediafm_core.weights import cache_folder

    committed = committed_films()
    if small:
        return committed, ["The smaller form: the film was not fetched, so no shot has a source to find."]
    fetched = fetch_films(cache_folder(), lambda text: console.print(text, markup=False))
    for failure in fetched.missing:
        typer.echo(f"{type(failure).__name__}: {failure}", err=True)
    return {**fetched.deliveries, **committed}, [f"Not fetched: {failure}" for failure in fetched.missing]


def _coming(films: Mapping[TitleId, Path]) -> dict[TitleId, Path]:
    """What arrives after the encoder was trained: the committed cut, and the trailer where it was fetched."""
    return {CUT: SAMPLES / CUT, **({TRAILER: films[TRAILER]} if TRAILER in films else {})}


def _catalogue(home: Home, films: Mapping[TitleId, Path]) -> Phase:
    console.rule("1. Real films")
    for title, path in films.items():
        with console.status(f"taking {title}"):
            take(home, examine(path, title=title))
    console.print(f"{len(films)} titles are delivered.")
    return _apply(home, "first films")


def _encoder(home: Home) -> Phase:
    from mediafm_assets.cli.running import run_job
    from mediafm_assets.jobs import train_encoder, training_config
    from mediafm_core.pretraining.declaring import declare_encoder

    console.rule("2. An encoder, trained on what is there: mechanics, not quality")
    if ENCODER not in home.ledger.declared("encoder"):
        declare_encoder(home, ENCODER, preset="demo", seed=0)
    training = {("pretraining_corpus", ENCODER), ("mediafm_encoder", ENCODER)}
    planned = [s for s in explained_plan(home, read_state(home)).steps if s.key[:2] in training]
    if not planned:
        console.print("Nothing was missing.")
        return Phase("encoder", frozenset(), frozenset(), {})
    outcomes = run_job(home, train_encoder, training_config(ENCODER), len(planned), console)
    return _phase("encoder", planned, outcomes)


def _cold_start(home: Home, coming: Mapping[TitleId, Path]) -> Phase:
    console.rule("3. Cold start: new titles arrive in the landing folder")
    for title, path in coming.items():
        _drop(path, home.landing / title)
    for listing in arrivals(home).complete:
        taken = take_or_refuse(home, listing)
        console.print(f"arrived: {listing.delivered_as}" if not isinstance(taken, Exception) else f"refused: {taken}")
    return _apply(home, "cold start", show=True)


def _drop(delivery: Path, place: Path) -> None:
    """Put a copy of a delivery into the landing folder, whole or not at all."""
    if place.exists():
        return
    arriving = place.parent / f".{place.name}-{secrets.token_hex(4)}"
    shutil.copytree(delivery, arriving)
    arriving.rename(place)


def _apply(home: Home, name: str, *, show: bool = False) -> Phase:
    from mediafm_assets.cli.running import carry_out_plan

    plan = explained_plan(home, read_state(home))
    if show:
        show_plan(home, plan)
    if not plan.steps:
        console.print("Nothing was missing.")
        return Phase(name, frozenset(), frozenset(), {})
    outcomes = carry_out_plan(home, plan, console)
    return _phase(name, plan.steps, outcomes)


def _phase(name: str, planned: Sequence[Step], outcomes: Sequence[Outcome]) -> Phase:
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        seconds[outcome.key.kind] = seconds.get(outcome.key.kind, 0.0) + outcome.seconds
    made = frozenset((o.key.kind, o.key.partition) for o in outcomes if o.status is Status.MADE)
    phase = Phase(name, frozenset((s.key.kind, s.key.partition) for s in planned), made, seconds)
    console.print(
        f"planned {len(phase.planned)}, executed {len(made)}: {'equal' if phase.equal else 'NOT EQUAL'} sets."
    )
    return phase


def _found_by(home: Home, title: TitleId) -> NewTitle:
    from mediafm_core.reports.gather import new_title_of

    truth = cut_truth() if title == CUT else trailer_truth()
    n_known = sum(1 for true in truth if true.sources)
    goal = math.ceil(GOAL * n_known) if title == CUT else n_known - 1
    return new_title_of(home, title, film=FILM, truth=truth, goal=goal)


def _reached(new: NewTitle) -> bool:
    return new.n_found >= new.goal and new.nearest_titles[0].title == FILM


def _write_pages(
    target: Path, home: Home, phases: Sequence[Phase], new: Sequence[NewTitle], notes: Sequence[str]
) -> None:
    from mediafm_core.consumption.catalogue import open_catalogue
    from mediafm_core.reports.demo_page import demo_page
    from mediafm_core.reports.gather import encoder_of, title_page_of
    from mediafm_core.reports.title_page import title_page

    folder = target.parent
    folder.mkdir(exist_ok=True)
    entries = open_catalogue(str(home.root)).titles()
    coming = {found.title for found in new} | {CUT}
    with console.status("drawing pages"):
        for entry in entries:
            (folder / f"{entry.title}.html").write_text(title_page(title_page_of(home, entry.title)), encoding="utf-8")
        card, n_corpus_titles = encoder_of(home)
        names = {entry.title: entry.name for entry in entries}
        page = DemoPage(
            encoder=card,
            n_corpus_titles=n_corpus_titles,
            film=FILM,
            film_name=names.get(FILM, "the film"),
            titles=tuple(
                TitleFigures(
                    e.title, e.name, e.n_shots, e.duration_s, "cold start" if e.title in coming else "first films"
                )
                for e in entries
            ),
            phases=tuple(phases),
            new_titles=tuple(new),
            notes=tuple(notes),
        )
        target.write_text(demo_page(page), encoding="utf-8")


def _summary(home: Home, phases: Sequence[Phase], new: Sequence[NewTitle], page: Path) -> None:
    console.rule("Summary")
    seconds = {phase.name: sum(phase.seconds.values()) for phase in phases}
    rows = [(p.name, len(p.planned), len(p.executed), "yes" if p.equal else "NO", seconds[p.name]) for p in phases]
    print_table("steps", ("phase", "planned", "executed", "equal", "seconds"), rows)
    for found in new:
        nearest = ", ".join(f"{hit.title} {hit.similarity:.3f}" for hit in found.nearest_titles[:3])
        console.print(f"{found.title}: nearest titles {nearest}")
        figure = f"{found.n_found} of {found.n_known} shots find their source in the film first (goal {found.goal})"
        console.print(f"{found.title}: {figure}: {'reached' if _reached(found) else 'MISSED'}")
    if not any(phase.planned for phase in phases):
        console.print("Nothing was missing.")
    console.print(f"peak memory  {peak_memory_gib():.2f} GiB")
    console.print(f"page         {page}")
    console.print(f"UI           {os.path.relpath(sys.argv[0])} dev --home {home.root}    (or: make dev)")
