"""What we lean on in Dagster Pipes, and what is not documented of it."""

import sys
from contextlib import contextmanager

import dagster as dg
import pytest
from dagster._core.errors import DagsterPipesExecutionError

TELLING = """
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as pipes:
    pipes.report_custom_message({"said": pipes.get_extra("word")})
"""


class Listening(dg.PipesTempFileMessageReader):
    """Stands between a process and Dagster's handler of its messages."""

    def __init__(self) -> None:
        super().__init__()
        self.methods: list[str] = []

    @property
    def expected_writer_count(self) -> int:
        return 1

    @contextmanager
    def read_messages(self, handler):
        outer = self

        class Tap:
            def handle_message(self, message):
                outer.methods.append(message["method"])
                handler.handle_message(message)

        with super().read_messages(Tap()) as params:  # pyright: ignore[reportArgumentType]
            yield params


def run(code: str, reader: Listening) -> dg.PipesClientCompletedInvocation:
    """Run a line of Python through Pipes, from an op."""
    found = []

    @dg.op
    def launch(context: dg.OpExecutionContext) -> None:
        client = dg.PipesSubprocessClient(message_reader=reader)
        found.append(client.run(context=context, command=[sys.executable, "-c", code], extras={"word": "hello"}))

    @dg.job
    def job() -> None:
        launch()

    job.execute_in_process()
    return found[0]


def test_a_reader_may_see_every_message_before_dagster_does():
    reader = Listening()
    assert run(TELLING, reader).get_custom_messages() == ({"said": "hello"},)
    assert reader.methods == ["opened", "report_custom_message", "closed"]


def test_a_process_that_fails_raises_an_error_that_has_no_public_name():
    assert not hasattr(dg, "DagsterPipesExecutionError")
    with pytest.raises(DagsterPipesExecutionError, match="code 3"):
        run("import sys; sys.exit(3)", Listening())


def test_the_bare_reader_warns_of_itself():
    with pytest.warns(Warning, match="expected_writer_count"):
        dg.PipesTempFileMessageReader().expected_writer_count  # noqa: B018
