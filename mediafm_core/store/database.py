"""How a home's databases are opened: SQLite in WAL mode, where a writer takes its lock before it reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event

from mediafm_core.errors import StoreError

_WRITER = "mediafm_writer"


def connect(url: URL) -> Engine:
    """An engine for a database of a home. SQLite runs in WAL mode, and its writers take their lock at the start."""
    engine = create_engine(url, connect_args={"timeout": 60} if url.get_backend_name() == "sqlite" else {})
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_settings)
        event.listen(engine, "begin", _sqlite_begin)
        event.listen(engine, "handle_error", _sqlite_has_no_room, retval=True)
    return engine


def _sqlite_has_no_room(context: ExceptionContext) -> StoreError | None:
    """What is raised in place of the driver's error, where the disk takes no more; a read may need room as well.

    On a disk that is full to the last byte some of these are input/output errors.
    """
    name = getattr(context.original_exception, "sqlite_errorname", "")
    if not name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return None
    return StoreError(
        f"the database {context.engine.url.database if context.engine else ''}",
        found=f"{context.original_exception} ({name})",
        expected="a disk that takes what is written",
        next_step="Free space there, then run this again; what was committed stands.",
    )


def _sqlite_settings(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin our transactions ourselves, see _sqlite_begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # a deferred transaction that reads and then writes fails at once when another writer came between
    writer = connection.get_execution_options().get(_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the writers' lock of a database from its first moment."""
    with engine.connect().execution_options(**{_WRITER: True}) as connection, connection.begin():
        yield connection
