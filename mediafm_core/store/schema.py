"""The ledger's tables. Constraints hold the invariants, not good manners."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

artifacts = Table(
    "artifacts",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("partition", String(200), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("path", Text, nullable=False, unique=True),
    Column("digest", String(64), nullable=False),  # sha256 of the object's bytes
    Column("n_bytes", BigInteger, nullable=False),
    Column("manifest", Text, nullable=False),  # the one inside the object
    UniqueConstraint("kind", "partition", "fingerprint"),  # the first commit of a fingerprint wins
    CheckConstraint("length(fingerprint) = 64 and length(digest) = 64 and n_bytes > 0"),
)

declarations = Table(
    "declarations",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("subject", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("body", JSON, nullable=False),
    Index("declarations_of_a_name", "subject", "name", "sequence"),
)

failures = Table(
    "failures",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("partition", String(200), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("final", Boolean, nullable=False),  # trying again cannot help
    Column("message", Text, nullable=False),
    Column("failed_at", Float, nullable=False),
    CheckConstraint("attempts > 0"),
)

rejections = Table(
    "rejections",
    metadata,
    Column("signature", String(64), primary_key=True),  # of the delivery's listing: names, sizes, times
    Column("delivered_as", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("rejected_at", Float, nullable=False),
)
