"""How a home's databases are opened: SQLite in WAL mode, where a writer takes its lock before it reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

_WRITER = "mediafm_writer"


def connect(url: URL) -> Engine:
    """An engine for a database of a home. SQLite runs in WAL mode, and its writers take their lock at the start."""
    engine = create_engine(url, connect_args={"timeout": 60} if url.get_backend_name() == "sqlite" else {})
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_settings)
        event.listen(engine, "begin", _sqlite_begin)
    return engine


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
