"""The ledger: which artifacts exist, what the catalogue asks for, and what failed.

A row in `artifacts` is the commit of an artifact. Declarations are append-only; the newest one of a subject and name
holds. Both can be made again from the objects of the home.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert_sqlite
from sqlalchemy.exc import IntegrityError

from mediafm_core.catalogue.kinds import ArtifactKey
from mediafm_core.identity import Fingerprint
from mediafm_core.store import schema
from mediafm_core.store.database import writing
from mediafm_core.store.manifest import Manifest

MAX_ATTEMPTS = 3
"""A step that failed this often is parked: shown, and not tried again until somebody asks."""

_PARTITIONS_PER_QUERY = 500


class ArtifactRow(NamedTuple):
    """One committed artifact."""

    key: ArtifactKey
    path: str  # of its object, relative to the home
    digest: str  # sha256 of the object's bytes
    n_bytes: int
    manifest: Manifest


class Declaration(NamedTuple):
    """Something that the catalogue asks for or states, e.g. subject `title`, name `bbb`."""

    sequence: int
    subject: str
    name: str
    body: Mapping[str, Any]


class FailureRow(NamedTuple):
    """A step that failed, and how often."""

    key: ArtifactKey
    attempts: int
    final: bool
    message: str

    @property
    def parked(self) -> bool:
        """Whether the planner leaves the step alone."""
        return self.final or self.attempts >= MAX_ATTEMPTS


class Rejection(NamedTuple):
    """A delivery that was refused."""

    signature: str
    delivered_as: str
    message: str


class Ledger:
    """The database of one home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_tables(self) -> None:
        """Make the tables that are not there yet."""
        with self.writing() as connection:
            schema.metadata.create_all(connection)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the writers' lock from its first moment; used alone by whoever must not race."""
        with writing(self._engine) as connection:
            yield connection

    # Artifacts

    def commit(self, row: ArtifactRow) -> bool:
        """Record an artifact whose object is durable; False where the fingerprint was committed before."""
        values = {
            "kind": row.key.kind,
            "partition": row.key.partition,
            "fingerprint": row.key.fingerprint,
            "path": row.path,
            "digest": row.digest,
            "n_bytes": row.n_bytes,
            "manifest": row.manifest.to_json(),
        }
        try:
            with self.writing() as connection:
                connection.execute(insert(schema.artifacts).values(values))
                connection.execute(delete(schema.failures).where(*_is_key(schema.failures, row.key)))
        except IntegrityError:
            return False
        return True

    def artifact(self, key: ArtifactKey) -> ArtifactRow | None:
        """The artifact of this key, if it was committed."""
        return next(self._artifacts(*_is_key(schema.artifacts, key)), None)

    def rows(self, keys: Iterable[ArtifactKey]) -> dict[ArtifactKey, ArtifactRow]:
        """Of these artifacts those that were committed; some hundred by one query."""
        wanted = set(keys)
        found = (row for part in _places(wanted) for row in self._artifacts(*part))
        return {row.key: row for row in found if row.key in wanted}

    def absent(self, keys: Iterable[ArtifactKey]) -> list[ArtifactKey]:
        """Of these keys those of which nothing was committed, in their order."""
        wanted, found = list(keys), set()
        with self._engine.connect() as connection:
            for part in _places(wanted):
                found |= {ArtifactKey(*row) for row in connection.execute(select(*_KEY).where(*part))}
        return [key for key in wanted if key not in found]

    def latest(self, kind: str, partition: str) -> ArtifactRow | None:
        """The artifact of a partition that was committed last, whatever it was made from."""
        rows = self.history(kind, partition)
        return rows[-1] if rows else None

    def history(self, kind: str, partition: str) -> list[ArtifactRow]:
        """All artifacts of a partition, in the order of their commits."""
        return list(self._artifacts(schema.artifacts.c.kind == kind, schema.artifacts.c.partition == partition))

    def artifacts(self, kind: str | None = None) -> list[ArtifactRow]:
        """All artifacts, or those of one kind, in the order of their commits."""
        return list(self._artifacts(*([schema.artifacts.c.kind == kind] if kind else [])))

    def last(self, kind: str, n: int) -> list[ArtifactRow]:
        """The last artifacts of a kind, at most so many, newest first."""
        table = schema.artifacts
        newest = select(table.c.sequence).where(table.c.kind == kind).order_by(table.c.sequence.desc()).limit(n)
        return list(self._artifacts(table.c.sequence.in_(newest)))[::-1]

    def committed_in_order(
        self, places: Mapping[str, Collection[str]] | None = None, *, after: int = 0
    ) -> list[ArtifactKey]:
        """The keys of committed artifacts in the order of their commits.

        Args:
            places: those in these partitions by kind; None for all.
            after: those committed after the commit of this number, as `as_of` gives it.
        """
        sequence = schema.artifacts.c.sequence
        columns = (*_KEY, sequence)
        later = (sequence > after,) if after else ()  # else the database would go by number where the index serves
        parts: Iterable[tuple[Any, ...]] = [()] if places is None else _in_parts(places)
        with self._engine.connect() as connection:
            rows = [row for part in parts for row in connection.execute(select(*columns).where(*part, *later))]
        rows.sort(key=itemgetter(3))
        return [ArtifactKey(kind, partition, Fingerprint(fp)) for kind, partition, fp, _ in rows]

    def as_of(self) -> tuple[int, int]:
        """The numbers of the last declaration and of the last commit that is no snapshot.

        While they stay the same, so does what readers should see.
        """
        made, said = schema.artifacts.c, schema.declarations.c
        last_made = select(made.sequence).where(made.kind != "snapshot").order_by(made.sequence.desc()).limit(1)
        with self._engine.connect() as connection:
            last_said = connection.execute(select(func.max(said.sequence))).scalar()
            return last_said or 0, connection.execute(last_made).scalar() or 0

    def paths(self) -> set[str]:
        """The paths of all committed artifacts."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(schema.artifacts.c.path)).scalars())

    def forget(self, keys: Iterable[ArtifactKey]) -> None:
        """Drop the rows of artifacts whose objects are gone, so that they are made again."""
        with self.writing() as connection:
            for key in keys:
                connection.execute(delete(schema.artifacts).where(*_is_key(schema.artifacts, key)))

    def _artifacts(self, *conditions: Any) -> Iterator[ArtifactRow]:
        table = schema.artifacts
        with self._engine.connect() as connection:
            rows = connection.execute(select(table).where(*conditions).order_by(table.c.sequence)).all()
        for row in rows:
            key = ArtifactKey(row.kind, row.partition, Fingerprint(row.fingerprint))
            yield ArtifactRow(key, row.path, row.digest, row.n_bytes, Manifest.from_json(row.manifest))

    # Declarations

    def next_sequence(self, connection: Connection) -> int:
        """The number of the next declaration; sound only while `connection` holds the writers' lock."""
        last = connection.execute(select(func.max(schema.declarations.c.sequence))).scalar()
        return (last or 0) + 1

    def declare(self, connection: Connection, declaration: Declaration) -> None:
        """Append a declaration whose object is durable."""
        connection.execute(insert(schema.declarations).values(declaration._asdict()))

    def declarations(self, subject: str | None = None) -> list[Declaration]:
        """All declarations, or those on one subject, oldest first."""
        table = schema.declarations
        query = select(table).order_by(table.c.sequence)
        if subject:
            query = query.where(table.c.subject == subject)
        with self._engine.connect() as connection:
            return [Declaration(r.sequence, r.subject, r.name, r.body) for r in connection.execute(query)]

    def declared(self, subject: str, names: Collection[str] | None = None) -> dict[str, Mapping[str, Any]]:
        """What holds now on a subject, or on these names of it, in the order in which the names first came."""
        if names is None:
            return {d.name: d.body for d in self.declarations(subject)}
        columns, rows, left = schema.declarations.c, [], iter(sorted(names))
        with self._engine.connect() as connection:
            while part := list(islice(left, _PARTITIONS_PER_QUERY)):
                query = select(columns.sequence, columns.name, columns.body)
                rows += connection.execute(query.where(columns.subject == subject, columns.name.in_(part))).all()
        return {name: body for _, name, body in sorted(rows, key=itemgetter(0))}

    def declared_one(self, subject: str, name: str, within: Connection | None = None) -> Mapping[str, Any] | None:
        """What holds now on one name of a subject, as a transaction sees it; None where nothing was ever declared."""
        table = schema.declarations
        query = select(table.c.body).where(table.c.subject == subject, table.c.name == name)
        with nullcontext(within) if within else self._engine.connect() as connection:
            return connection.execute(query.order_by(table.c.sequence.desc()).limit(1)).scalar()

    # Failures and rejections

    def fail(self, key: ArtifactKey, message: str, *, final: bool) -> None:
        """Count a failed attempt at a step."""
        table = schema.failures
        first = {**key._asdict(), "attempts": 1, "final": final, "message": message, "failed_at": time.time()}
        again = {**first, "attempts": table.c.attempts + 1}
        with self.writing() as connection:
            connection.execute(
                upsert_sqlite(table)
                .values(first)
                .on_conflict_do_update(index_elements=list(table.primary_key), set_=again)
            )

    def failures(self) -> dict[ArtifactKey, FailureRow]:
        """Every step that failed and was not made since."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(schema.failures)).all()
        keys = [ArtifactKey(r.kind, r.partition, Fingerprint(r.fingerprint)) for r in rows]
        return {key: FailureRow(key, r.attempts, r.final, r.message) for key, r in zip(keys, rows, strict=True)}

    def forgive(self, keys: Iterable[ArtifactKey]) -> None:
        """Forget the failures of these steps, so that they are tried again."""
        with self.writing() as connection:
            for key in keys:
                connection.execute(delete(schema.failures).where(*_is_key(schema.failures, key)))

    def reject(self, rejection: Rejection) -> None:
        """Remember that a delivery was refused, and why."""
        values = {**rejection._asdict(), "rejected_at": time.time()}
        with self.writing() as connection:
            connection.execute(upsert_sqlite(schema.rejections).values(values).on_conflict_do_nothing())

    def rejections(self) -> list[Rejection]:
        """All refused deliveries, oldest first."""
        table = schema.rejections
        with self._engine.connect() as connection:
            rows = connection.execute(select(table).order_by(table.c.rejected_at))
            return [Rejection(r.signature, r.delivered_as, r.message) for r in rows]


_KEY = (schema.artifacts.c.kind, schema.artifacts.c.partition, schema.artifacts.c.fingerprint)


def _places(keys: Iterable[ArtifactKey]) -> Iterator[tuple[Any, ...]]:
    """Conditions that find these artifacts, and others of their partitions."""
    partitions: dict[str, dict[str, None]] = {}
    for kind, partition, _ in keys:
        partitions.setdefault(kind, {})[partition] = None
    return _in_parts(partitions)


def _in_parts(partitions: Mapping[str, Iterable[str]]) -> Iterator[tuple[Any, ...]]:
    """Conditions that find what lies in these partitions, by the index, a few hundred at a time."""
    for kind, of_kind in partitions.items():
        left = iter(of_kind)
        while part := list(islice(left, _PARTITIONS_PER_QUERY)):
            yield schema.artifacts.c.kind == kind, schema.artifacts.c.partition.in_(part)


def _is_key(table: Any, key: ArtifactKey) -> tuple[Any, ...]:
    return table.c.kind == key.kind, table.c.partition == key.partition, table.c.fingerprint == key.fingerprint
