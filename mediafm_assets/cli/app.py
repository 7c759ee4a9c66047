"""The command's tree."""

import typer

from mediafm_assets.cli import (
    ablation_commands,
    canary_commands,
    catalogue_commands,
    encoder_commands,
    encoder_reading,
    home_commands,
    mending_commands,
    narrative_commands,
    plan_commands,
    reading_commands,
    release_commands,
    suite_commands,
    task_commands,
)
from mediafm_assets.cli.demo import demo
from mediafm_assets.cli.demo_upgrade import demo_upgrade

app = typer.Typer(
    name="mediafm",
    help=(
        "Turn films into embeddings of their shots, and keep a catalogue of them right.\n\n"
        "Example: mediafm init && mediafm ingest film.mp4 && mediafm apply && mediafm encoder train v1 && mediafm apply"
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for command in (home_commands.init, demo, demo_upgrade, home_commands.dev):
    app.command()(command)
for command in (
    catalogue_commands.ingest,
    plan_commands.plan,
    plan_commands.apply,
    catalogue_commands.status,
    catalogue_commands.withdraw,
    mending_commands.retry,
    mending_commands.rebuild,
):
    app.command()(command)
for command in (
    reading_commands.titles,
    reading_commands.shots,
    reading_commands.clip,
    reading_commands.similar,
    reading_commands.report,
):
    app.command()(command)
for command in (encoder_reading.report, encoder_reading.compare, ablation_commands.ablate, ablation_commands.outside):
    encoder_commands.app.command()(command)
encoder_commands.app.command(name="list")(encoder_reading.list_encoders)
app.add_typer(suite_commands.suites, name="suites")
app.add_typer(encoder_commands.app, name="encoder")
app.add_typer(task_commands.labels, name="labels")
app.add_typer(release_commands.release, name="release")
app.add_typer(canary_commands.app, name="canaries")
app.add_typer(narrative_commands.narrative, name="narrative")
