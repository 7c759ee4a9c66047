"""The second act of the demo, on a synthetic catalogue with known truth: releases, an upgrade, exactly its refresh."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Annotated

import pyarrow.parquet as pq
import typer

from mediafm_assets.cli.context import HomeOption, console, home_root, peak_memory_gib, print_table
from mediafm_assets.cli.encoder_commands import train_encoder
from mediafm_assets.cli.narrative_commands import generate_titles
from mediafm_assets.cli.plan_commands import show_plan
from mediafm_assets.cli.release_commands import promote_encoder, roll_back_release
from mediafm_core.ingest.listing import deliveries_below
from mediafm_core.ingest.taking import examine, take
from mediafm_core.planning.state import State, Step
from mediafm_core.stock import explained_plan, read_state
from mediafm_core.store.home import Home
from mediafm_core.store.pointer import POINTER, read_pointer
from mediafm_core.workbench import Outcome, Status

_LONGER = (520, 560, 600, 640, 700)  # titles of more shots than one window has
_NEW_TITLE_SEED = 900_000
_EDITED = "genre"
_STORY = "v2-r2"  # the release that is live when all has happened

Pairs = frozenset[tuple[str, str]]


def demo_upgrade(
    home: HomeOption = None,
    titles: Annotated[int, typer.Option(help="How many; with far fewer the gate may rightly refuse v2.", min=30)] = 200,
) -> None:
    """Run the second act: synthetic titles, encoder v1 released, v2 trained, promoted, rolled back, a label edited.

    Example: mediafm demo-upgrade --home .mediafm-narrative
    """
    from mediafm_assets.cli.running import initialise

    opened = initialise(home_root(home))
    live = read_state(opened).release
    if live and live.name == _STORY:
        console.print(
            f"{_STORY} is live and nothing is missing: the story has been told. Delete {opened.root} to see it again."
        )
        return
    acts = _Acts(opened)
    acts.play(titles)
    print_table("acts", ("act", "planned", "executed", "equal", "as told", "seconds"), acts.rows)
    live = read_state(opened).release
    console.print(f"live         {live.name if live else None}", markup=False)
    console.print(f"peak memory  {peak_memory_gib():.2f} GiB")
    if not all(row[3] == "yes" and row[4] == "yes" for row in acts.rows):
        raise typer.Exit(1)


class _Acts:
    """Tells the story, and keeps a row for each act: what was planned, what was executed, and what should have been."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.rows: list[tuple[object, ...]] = []
        self._resumed = bool(read_state(home).titles)  # an earlier telling was cut off: some of it is made already

    def play(self, n_titles: int) -> None:
        """All acts, in order."""
        self._take(n_titles)
        self._apply("synthetic titles", lambda state: _chains(state, state.titles))
        self._train("v1", "plain")
        self._apply("v1: embeddings, heads, report", lambda state: _upgrade(state, "v1"))
        self._promote("v1")
        before = self._seen()
        self._train("v2", "demo")
        self._apply("v2: the upgrade", lambda state: _upgrade(state, "v2"), show=True)
        self._promote("v2")
        self._roll_back(before)
        self._promote("v2")
        self._new_title()
        self._edit_labels()
        self._promote("v2")

    def _take(self, n_titles: int) -> None:
        console.rule("Synthetic titles arrive")
        folder = self.home.root / "synthetic"
        if not folder.exists():
            generate_titles(folder, titles=n_titles, seed=0, world=0, longer=_LONGER)
        with console.status("taking deliveries"):
            for path in deliveries_below(folder):
                take(self.home, examine(path))

    def _train(self, name: str, preset: str) -> None:
        console.rule(f"Encoder {name}")
        if name not in self.home.ledger.declared("encoder"):
            train_encoder(self.home, name, preset, seed=0)

    def _apply(self, act: str, told: Callable[[State], Pairs], *, show: bool = False) -> None:
        from mediafm_assets.cli.running import carry_out_plan

        console.rule(act)
        plan = explained_plan(self.home, read_state(self.home))
        if show:
            show_plan(self.home, plan)
        start = time.monotonic()
        outcomes = carry_out_plan(self.home, plan, console) if plan.steps else []
        self._note(act, plan.steps, outcomes, told(read_state(self.home)), time.monotonic() - start)

    def _note(
        self, act: str, steps: Collection[Step], outcomes: Collection[Outcome], told: Pairs, seconds: float
    ) -> None:
        planned = frozenset((step.key.kind, step.key.partition) for step in steps)
        made = frozenset((o.key.kind, o.key.partition) for o in outcomes if o.status is Status.MADE)
        counts = ", ".join(f"{kind} x {n}" for kind, n in Counter(kind for kind, _ in made).items())
        console.print(f"made {counts or 'nothing'}")
        equal = "yes" if planned == made else "NO"
        as_told = "yes" if made == told or (self._resumed and made < told) else "NO"
        self.rows.append((act, len(planned), len(made), equal, as_told, round(seconds, 1)))

    def _promote(self, name: str) -> None:
        start = time.monotonic()
        promote_encoder(self.home, name)
        live = read_state(self.home).release
        assert live is not None
        self.rows.append((f"promote {live.name}", "", "", "yes", "yes", round(time.monotonic() - start, 1)))

    def _roll_back(self, before: str) -> None:
        start = time.monotonic()
        name = roll_back_release(self.home)
        same = "yes" if self._seen() == before else "NO"
        self.rows.append(
            (f"roll back to {name}: former bytes", "", "", "yes", same, round(time.monotonic() - start, 1))
        )

    def _seen(self) -> str:
        """A hash over the pointer and the snapshot that it names: all that readers start from."""
        pointer = read_pointer(self.home.objects)
        assert pointer is not None
        read = self.home.objects.read(POINTER) + self.home.objects.read(pointer.path)
        return hashlib.sha256(read).hexdigest()

    def _new_title(self) -> None:
        folder = self.home.root / "synthetic-new"
        if not folder.exists():
            generate_titles(folder, titles=1, seed=_NEW_TITLE_SEED, world=0)
        (path,) = deliveries_below(folder)
        examined = examine(path)
        take(self.home, examined)
        self._apply("one new title under production", lambda state: _new_title(state, examined.title.id))

    def _edit_labels(self) -> None:
        """Set the labels of one task anew: those of today without their last clip."""
        from mediafm_core.probes.declaring import set_labels

        table = pq.read_table(self.home.blobs.path(read_state(self.home).labels[_EDITED].table))
        edited = self.home.work / f"{_EDITED}.parquet"
        pq.write_table(table.slice(0, table.num_rows - 1), edited)
        set_labels(self.home, _EDITED, edited)
        edited.unlink()
        self._apply(f"labels of {_EDITED} edited", _label_edit)


_OF_SUITE = ("metadata_embedding", "fused_embeddings")


def _chains(state: State, titles: Collection[str]) -> Pairs:
    """A delivered title's chain: no picture and no sound is decoded."""
    own = {(kind, title) for title in titles for kind in ("deliveries", "shots")}
    suites = {(kind, f"{state.titles[t].suite}|{t}") for t in state.titles if t in titles for kind in _OF_SUITE}
    return frozenset(own | suites)


def _upgrade(state: State, encoder: str) -> Pairs:
    """What a new encoder asks for: embeddings of all titles, five heads, predictions of all, one report."""
    of_titles = {
        (kind, f"{encoder}|{title}") for title in state.titles for kind in ("contextual_embeddings", "predictions")
    }
    heads = {("probe_heads", f"{encoder}|{task}") for task in state.labels}
    labels = {("labels", task) for task in state.labels} if encoder == "v1" else set()
    return frozenset(of_titles | heads | labels | {("probe_report", encoder)})


def _new_title(state: State, title: str) -> Pairs:
    """A title's chain, its embeddings and predictions by every encoder, and the snapshot that shows it."""
    read = {
        (kind, f"{encoder.name}|{title}")
        for encoder in state.encoders
        for kind in ("contextual_embeddings", "predictions")
    }
    return _chains(state, {title}) | frozenset(read | {("snapshot", "")})


def _label_edit(state: State) -> Pairs:
    """The labels, that head, the predictions and the report of each encoder; nothing of the other tasks."""
    names = [encoder.name for encoder in state.encoders]
    heads = {("probe_heads", f"{name}|{_EDITED}") for name in names} | {("probe_report", name) for name in names}
    scored = {("predictions", f"{name}|{title}") for name in names for title in state.titles}
    return frozenset(heads | scored | {("labels", _EDITED)})
