"""The catalog's tables: the truth about documents, versions, access and work under way.

Plain columns only (no database's own types), so that SQLite and Postgres hold the same shape.
Times are epoch seconds. A change here is a new migration and a new HEAD.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

HEAD = "0004"
"""The newest migration; a data folder at another revision is upgraded or refused."""

metadata = MetaData()
BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only


tenants = Table(
    "tenants",
    metadata,
    Column("id", String, primary_key=True),
    Column("created", Float, nullable=False),
)

collections = Table(
    "collections",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", ForeignKey("tenants.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("live", String, comment="the generation that answers"),
    Column("created", Float, nullable=False),
    UniqueConstraint("tenant", "name"),
)

generations = Table(
    "generations",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection", ForeignKey("collections.id"), nullable=False, index=True),
    Column("state", String, nullable=False, comment="building, live or retired"),
    Column("store", String, nullable=False),
    Column("chunker", JSON, nullable=False),
    Column("embedder", JSON, nullable=False),
    Column("sparse", JSON, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("chunks", Integer, nullable=False, comment="visible chunks"),
    Column("created", Float, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection", ForeignKey("collections.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("root", String, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("collection", "kind", "root"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection", ForeignKey("collections.id"), nullable=False, index=True),
    Column("source", ForeignKey("sources.id"), nullable=False),
    Column("external_id", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("container", String, comment="external id of the file that it was taken out of"),
    Column("given", JSON, comment="metadata that a person gave; they stand above the file's own"),
    UniqueConstraint("source", "external_id"),
)

document_access = Table(
    "document_access",
    metadata,
    Column("document", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("subject", String, primary_key=True),
    comment="who may read; no row is nobody",
)

versions = Table(
    "versions",
    metadata,
    Column("generation", ForeignKey("generations.id"), primary_key=True),
    Column("document", ForeignKey("documents.id"), primary_key=True, index=True),
    Column("attempt", BigInteger, nullable=False, comment="the visible attempt"),
    Column("fingerprint", String, nullable=False, comment="the source's cheap sign of change"),
    Column("digest", String, nullable=False, comment="of the content"),
    Column("text_digest", String, nullable=False, comment="of the parsed text, in blobs"),
    Column("original_digest", String, comment="of the original, where it is kept"),
    Column("title", String, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("terms", LargeBinary, nullable=False, comment="uint32 pairs: term, chunks with it"),
    Column("updated", Float, nullable=False),
    Column("checksum", LargeBinary, comment="of what the version says of itself"),
    comment="the one visible version of a document in a generation",
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("generation", ForeignKey("generations.id"), nullable=False),
    Column("document", String, nullable=False, index=True),
    Column("text_digest", String, nullable=False),
    Column("original_digest", String),
    Column("state", String, nullable=False, comment="open, committed or abandoned"),
    Column("lease_until", Float, nullable=False),
    Index("attempts_open", "state", "lease_until"),
    comment="numbers of writes; a number is never reused",
    sqlite_autoincrement=True,
)

deletions = Table(
    "deletions",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("generation", ForeignKey("generations.id"), nullable=False),
    Column("document", String, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("text_digest", String, nullable=False),
    Column("original_digest", String),
    Column("receipt", String, index=True, comment="the receipt that waits for this"),
    Column("created", Float, nullable=False),
    comment="outbox: rows and texts that no reader may see and every writer drains",
    sqlite_autoincrement=True,
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("collection", String, nullable=False, comment="its name, which may be gone too"),
    Column("document", String, nullable=False, index=True),
    Column("uri", String, nullable=False),
    Column("reason", String, nullable=False, comment="request, source or collection"),
    Column("run", String, index=True, comment="the run that found it gone from its source"),
    Column("chunks", Integer, nullable=False, comment="in all generations"),
    Column("generations", Integer, nullable=False),
    Column("unfindable", Float, nullable=False, comment="since when no reader finds it"),
    Column("gone", Float, comment="since when stores, texts and caches are without it"),
    comment="what was deleted, and when the last of it went",
)

frequencies = Table(
    "frequencies",
    metadata,
    Column("generation", String, primary_key=True),
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("chunks", Integer, nullable=False, comment="visible chunks with the term"),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection", ForeignKey("collections.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False, comment="queued, running, done, interrupted, failed"),
    Column("counts", JSON, nullable=False),
    Column("started", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("task", JSON, comment="what a worker is to do; null where a command did it itself"),
    Column("principal", JSON, comment="who asked for it"),
    Column("worker", String, comment="who does it"),
    Column("lease_until", Float, comment="until when nobody else may take it over"),
    Column("cancelled", Float, comment="since when it is asked to stop"),
    Column("error", String, comment="why all of it failed"),
    Column("summary", JSON, comment="what it did"),
    Index("runs_waiting", "state", "lease_until"),
)

failures = Table(
    "failures",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id"), nullable=False, index=True),
    Column("uri", String, nullable=False),
    Column("error", String, nullable=False),
    Column("created", Float, nullable=False),
    sqlite_autoincrement=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("source", ForeignKey("sources.id"), nullable=False),
    Column("external_id", String, nullable=False),
    Column("container", String, comment="external id of the file that it was taken out of"),
    Column("uri", String, nullable=False),
    Column("fingerprint", String, nullable=False, comment="of the content that cannot be read"),
    Column("code", String, nullable=False, comment="why, in one word"),
    Column("reason", String, nullable=False),
    Column("program", String, nullable=False, comment="version that could not read it"),
    Column("created", Float, nullable=False),
    UniqueConstraint("source", "external_id"),
    comment="files that cannot be parsed, passed over until they change",
    sqlite_autoincrement=True,
)

requests = Table(
    "requests",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("caller", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False, comment="of method, path and body"),
    Column("status", Integer, comment="of the reply; null while it is under way"),
    Column("headers", JSON),
    Column("body", LargeBinary),
    Column("created", Float, nullable=False, index=True),
    comment="replies by Idempotency-Key",
)

answers = Table(
    "answers",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("caller", String, nullable=False, comment="the subject that asked, such as user:x"),
    Column("conversation", String, comment="a name that the caller chose"),
    Column("collection", String, nullable=False, comment="its name"),
    Column("question", String, nullable=False),
    Column("searched", String, nullable=False, comment="the question as it stands alone"),
    Column("text", String, nullable=False),
    Column("citations", JSON, nullable=False),
    Column("model", String, nullable=False),
    Column("state", String, nullable=False, comment="complete, abstained, incomplete, withdrawn"),
    Column("usage", JSON),
    Column("created", Float, nullable=False),
    Index("answers_conversation", "tenant", "caller", "conversation", "created"),
)

answer_sources = Table(
    "answer_sources",
    metadata,
    Column("answer", ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True),
    Column("document", String, primary_key=True, index=True),
    comment="documents that an answer quotes: when one is deleted, the answer is withdrawn",
)
