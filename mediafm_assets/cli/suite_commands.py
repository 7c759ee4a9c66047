"""Suites: which encoders see, hear and read for a home, and having their models at hand."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mediafm_assets.cli.context import HomeOption, JsonOption, console, open_home, print_json, print_table, records
from mediafm_assets.cli.suite_models import PAPER, hub_models_of, is_at_hand, options, tower, with_revision
from mediafm_core.encoders.pacing import Limits

suites = typer.Typer(help="The unimodal encoders of a home.", no_args_is_help=True)

_LIMITS = Limits()
_COLUMNS = ("suite", "dims", "modality", "encoder", "width", "model", "source")

_SEEN, _HEARD = "clip, siglip or REPOSITORY@COMMIT", "wav2vec2, hubert, wavlm or REPOSITORY@COMMIT"
_INSTALLED = "a model's folder, or an installed encoder's name."
RevisionOption = Annotated[
    str | None, typer.Option(help="The commit of the one model whose name has none and that this version does not pin.")
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
    video: Annotated[str | None, typer.Option(help=f"A tower for what is seen: {_SEEN}.")] = None,
    audio: Annotated[str | None, typer.Option(help=f"A tower for what is heard: {_HEARD}.")] = None,
    revision: RevisionOption = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE=HEX", help="What a file of the one model that is not pinned must hash to; repeatable."
        ),
    ] = None,
) -> None:
    """Download a suite's models ahead, checked against their hashes. Nothing is fetched while work runs.

    The hashes are those that this version pins; of other models those that you give, and those of the first time. An
    installed encoder and a folder need no fetching, and are passed over. A checkpoint, pytorch_model.bin, is taken
    only with its hash.

    Examples: mediafm suites fetch paper; mediafm suites fetch mine --audio wavlm --revision COMMIT --sha256 FILE=HEX
    """
    from mediafm_core import weights
    from mediafm_core.weights.hub import fetch as fetch_model

    choices = with_revision({"video": video, "audio": audio}, revision)
    asked = {m: choice for m, choice in choices.items() if choice or name == PAPER} or choices
    at_hand = {m: choice for m, choice in asked.items() if choice and is_at_hand(choice)}
    for modality, choice in at_hand.items():
        console.print(f"{modality}: {choice} is at hand", markup=False)
    lacking = {m: choice for m, choice in asked.items() if m not in at_hand}
    for model in hub_models_of(name, lacking, sha256 or ()).values():
        console.print(f"fetching {model.repository} at {model.revision[:12]}, licence {model.licence}", markup=False)
        console.print(f"  {fetch_model(model, weights.cache_folder())}", markup=False)
    console.print(f"next  mediafm suites add {name}{options(choices)}", markup=False)


@suites.command()
def add(
    name: Annotated[str, typer.Argument(help="The suite's name; paper has defaults for what is left out.")],
    video: Annotated[str | None, typer.Option(help=f"What sees: {_SEEN}; {_INSTALLED}")] = None,
    audio: Annotated[str | None, typer.Option(help=f"What hears: {_HEARD}; {_INSTALLED}")] = None,
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
    requests_at_once: Annotated[int, typer.Option(help="Of the text API.", min=1)] = _LIMITS.requests_at_once,
    requests_per_minute: Annotated[
        float, typer.Option(help="Of the text API, by each run.", min=1)
    ] = _LIMITS.requests_per_minute,
    tokens_per_minute: Annotated[float, typer.Option(help="Likewise.", min=1)] = _LIMITS.tokens_per_minute,
    request_s: Annotated[
        float, typer.Option(help="Seconds that the text API has for the whole answer to one request.", min=0.001)
    ] = _LIMITS.request_s,
    deadline_s: Annotated[
        float, typer.Option(help="Seconds for a request with all its attempts and the waits between them.", min=0.001)
    ] = _LIMITS.deadline_s,
    revision: RevisionOption = None,
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
    limits = {"requests_at_once": requests_at_once, "requests_per_minute": requests_per_minute}
    limits |= {"tokens_per_minute": tokens_per_minute, "request_s": request_s, "deadline_s": deadline_s}
    choices = with_revision({"video": video, "audio": audio}, revision)
    again = f"mediafm suites fetch {name}{options(choices)}"
    if text == "openai":
        price: dict[str, Any] = {"usd_per_million": usd_per_million, "exact_tokens": exact_tokens}
        named: dict[str, Any] = {"model": model, "dims": dims, "asks_width": send_dims}
        reader = choose_api(base_url=base_url or OPENAI, **named, **price, **limits)
    else:
        reader = tower(name, Modality.TEXT, text, stills, again)
    suite = declare_suite(
        opened,
        name,
        video=tower(name, Modality.VIDEO, choices["video"], stills, again),
        audio=tower(name, Modality.AUDIO, choices["audio"], stills, again),
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
