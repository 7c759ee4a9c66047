"""Suites: which encoders see, hear and read for a home, and having their models at hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table, records

if TYPE_CHECKING:
    from mediafm_core.encoders.declaring import Chosen
    from mediafm_core.weights.hub import HubModel

suites = typer.Typer(help="The unimodal encoders of a home.", no_args_is_help=True)

PAPER = "paper"
"""The suite that has defaults."""

_COLUMNS = ("suite", "dims", "modality", "encoder", "width", "model", "source")

TowerOption = Annotated[
    str | None, typer.Option(help="A model's folder, REPOSITORY@COMMIT, or an installed encoder's name.")
]


@suites.command("list")
def list_suites(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List a home's suites, and where their models are.

    Example: mediafm suites list
    """
    from mediafm_core.catalogue.suite import Modality
    from mediafm_core.encoders.declaring import place_of
    from mediafm_core.stock import read_state

    opened = open_home(home)
    specs = [(suite, suite.spec(modality)) for suite in read_state(opened).suites for modality in Modality]
    rows = [
        (suite.id, suite.dims, s.modality.value, s.instrument.name, s.dims, *_shown(s, place_of(opened, s)))
        for suite, s in specs
    ]
    if as_json:
        print_json(records(_COLUMNS, rows))
    else:
        print_table("suites", _COLUMNS, rows)


def _shown(spec: Any, place: Mapping[str, Any]) -> tuple[str, str]:
    """What a model is called, and where it is from."""
    settings = spec.instrument.settings
    model = settings.get("model") or settings.get("architecture") or spec.instrument.weights_sha256[:12]
    repository, revision = place.get("repository", ""), place.get("revision", "")
    origin = f"{repository}@{revision[:12] or '?'} ({place.get('licence', 'licence not told')})" if repository else ""
    return str(model), origin or str(settings.get("server") or place.get("folder", ""))


@suites.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help="paper, whose towers are pinned; or a name of your own, with --video or --audio.")
    ],
    video: Annotated[str | None, typer.Option(help="A tower for what is seen: REPOSITORY@COMMIT.")] = None,
    audio: Annotated[str | None, typer.Option(help="A tower for what is heard: REPOSITORY@COMMIT.")] = None,
) -> None:
    """Download a suite's models ahead, checked against their hashes. Nothing is fetched while work runs.

    The hashes are those that this version pins; of other models those of the first time. An installed encoder and a
    folder need no fetching, and are passed over.

    Example: mediafm suites fetch paper
    """
    from mediafm_core import weights
    from mediafm_core.weights.hub import fetch as fetch_model

    choices = {"video": video, "audio": audio}
    asked = {m: choice for m, choice in choices.items() if choice or name == PAPER} or choices
    for modality, choice in asked.items():
        if choice and _is_at_hand(choice):
            console.print(f"{modality}: {choice} is at hand", markup=False)
            continue
        model = _hub_model(name, modality, choice)
        console.print(f"fetching {model.repository} at {model.revision[:12]}, licence {model.licence}", markup=False)
        console.print(f"  {fetch_model(model, weights.cache_folder())}", markup=False)
    console.print(f"next  mediafm suites add {name}{_options(choices)}", markup=False)


def _is_at_hand(choice: str) -> bool:
    """Whether a choice is a folder, or an encoder that a package brings.

    Raises:
        EncoderMismatchError: it could be an encoder's name, and there is none of that name.
    """
    from mediafm_core.encoders.suites import specs_of

    return Path(choice).is_dir() or ("@" not in choice and "/" not in choice and bool(specs_of(choice)))


def _options(choices: Mapping[str, str | None]) -> str:
    return "".join(f" --{modality} {choice}" for modality, choice in choices.items() if choice)


@suites.command()
def add(
    name: Annotated[str, typer.Argument(help="The suite's name; paper has defaults for what is left out.")],
    video: TowerOption = None,
    audio: TowerOption = None,
    text: Annotated[
        str,
        typer.Option(help="openai, an installed encoder's name, or the folder or REPOSITORY@COMMIT of a joint one."),
    ] = "openai",
    stills: Annotated[int, typer.Option(help="Stills of a shot that a tower looks at.", min=1)] = 8,
    model: Annotated[str, typer.Option(help="Of the text API.")] = "text-embedding-3-large",
    dims: Annotated[int, typer.Option(help="Width of the text API's vectors.", min=1)] = 768,
    send_dims: Annotated[
        bool, typer.Option("--dimensions/--no-dimensions", help="Whether requests name the width; some models refuse.")
    ] = True,
    base_url: Annotated[str | None, typer.Option(help="A server that speaks OpenAI's API.")] = None,
    usd_per_million: Annotated[float | None, typer.Option(help="Price of a million tokens.", min=0)] = None,
    exact_tokens: Annotated[bool, typer.Option(help="Count tokens by tiktoken, not by bytes.")] = False,
    requests_at_once: Annotated[int, typer.Option(help="Of the text API.", min=1)] = 1,
    tokens_per_minute: Annotated[float, typer.Option(help="Of the text API.", min=1)] = 1_000_000,
    home: HomeOption = None,
) -> None:
    """Declare a suite in a home: its titles are then embedded by it as well, at the next apply.

    Example: mediafm suites add paper --video models/seqclip --audio models/wav2vec2-base
    """
    from mediafm_assets.cli.running import dagster_instance
    from mediafm_assets.partitions import sync
    from mediafm_core.catalogue.suite import Modality
    from mediafm_core.encoders.declaring import choose_api, declare_suite
    from mediafm_core.encoders.openai_answers import OPENAI

    opened = open_home(home)
    limits = {"requests_at_once": requests_at_once, "tokens_per_minute": tokens_per_minute}
    again = f"mediafm suites fetch {name}{_options({'video': video, 'audio': audio})}"
    if text == "openai":
        price: dict[str, Any] = {"usd_per_million": usd_per_million, "exact_tokens": exact_tokens}
        named: dict[str, Any] = {"model": model, "dims": dims, "asks_width": send_dims}
        reader = choose_api(base_url=base_url or OPENAI, **named, **price, **limits)
    else:
        reader = _tower(name, Modality.TEXT, text, stills, again)
    suite = declare_suite(
        opened,
        name,
        video=_tower(name, Modality.VIDEO, video, stills, again),
        audio=_tower(name, Modality.AUDIO, audio, stills, again),
        text=reader,
    )
    with dagster_instance(opened) as instance:
        sync(instance, opened)
    widths = " + ".join(str(suite.spec(modality).dims) for modality in Modality)
    console.print(f"suite  {suite.id}, {widths} = {suite.dims} wide\nnext   mediafm plan", markup=False)


@suites.command()
def retire(
    suite: Annotated[str, typer.Argument(help="A suite's id, as `mediafm suites list` shows it.")],
    home: HomeOption = None,
) -> None:
    """Retire a suite that no active encoder is bound to: titles are embedded by it no more, its embeddings are deleted.

    `mediafm suites add`, or a delivery that brings its embeddings, asks for it again.

    Example: mediafm suites retire embedded-1f0c2a9b
    """
    from mediafm_assets.cli.running import dagster_instance
    from mediafm_assets.partitions import sync
    from mediafm_assets.resources import user_of_process
    from mediafm_core.release.history import Actor
    from mediafm_core.release.retiring_suites import retire_suite

    opened = open_home(home)
    freed = retire_suite(opened, suite, by=Actor(user=user_of_process(), through="mediafm suites retire"))
    with dagster_instance(opened) as instance:
        sync(instance, opened)
    console.print(f"retired  {suite}: {freed.total} objects, {freed.n_bytes / 2**20:.1f} MiB freed", markup=False)


def _tower(name: str, modality: Any, choice: str | None, stills: int, again: str) -> "Chosen":
    from mediafm_core import weights
    from mediafm_core.encoders.declaring import choose
    from mediafm_core.weights.locked import check_locked

    if choice is None or ("@" in choice and not Path(choice).is_dir()):
        folder = _hub_model(name, modality.value, choice).folder(weights.cache_folder())
        if not folder.is_dir():
            raise _not_fetched(name, folder, again)
        check_locked(folder, folder, weights.cache_folder() / "verified")
        choice = str(folder)
    return choose(modality, choice, stills_per_shot=stills)


def _hub_model(suite: str, modality: str, choice: str | None) -> "HubModel":
    """The model that stands for a modality: the pinned one of the paper's suite, or REPOSITORY@COMMIT."""
    from mediafm_core.errors import WeightsError
    from mediafm_core.weights.hub import HubModel, hub_models

    if choice is not None:
        repository, _, revision = choice.partition("@")
        pinned = [m for m in hub_models().values() if (m.repository, m.revision) == (repository, revision)]
        return (
            pinned[0]
            if pinned
            else HubModel(name=repository, modality=modality, repository=repository, revision=revision)
        )
    if suite != PAPER:
        raise WeightsError(
            f"suite {suite!r}",
            found=f"no model for {modality}",
            expected=f"--{modality}, or the suite 'paper', which has one",
            next_step="Name a folder, REPOSITORY@COMMIT or an installed encoder.",
        )
    return next(model for model in hub_models().values() if model.modality == modality)


def _not_fetched(name: str, folder: Path, again: str) -> Exception:
    from mediafm_core.errors import WeightsError

    return WeightsError(
        f"suite {name!r}",
        found=f"no folder {folder}",
        expected="a model that was fetched",
        next_step=f"Run `{again}` where there is a network, or name a folder.",
    )
