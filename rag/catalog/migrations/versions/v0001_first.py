"""The first catalog."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "frequencies",
        sa.Column("generation", sa.String(), nullable=False),
        sa.Column("term", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False, comment="visible chunks with the term"),
        sa.PrimaryKeyConstraint("generation", "term"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("live", sa.String(), nullable=True, comment="the generation that answers"),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["tenants.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, comment="building, live or retired"),
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("chunker", sa.JSON(), nullable=False),
        sa.Column("embedder", sa.JSON(), nullable=False),
        sa.Column("sparse", sa.JSON(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False, comment="visible chunks"),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_generations_collection"), "generations", ["collection"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column(
            "state", sa.String(), nullable=False, comment="running, done, interrupted or failed"
        ),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_runs_collection"), "runs", ["collection"], unique=False)
    op.create_table(
        "sources",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("collection", "kind", "root"),
    )
    op.create_table(
        "attempts",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("generation", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("text_digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, comment="open, committed or abandoned"),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["generations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        comment="numbers of writes; a number is never reused",
    )
    op.create_index("attempts_open", "attempts", ["state", "lease_until"], unique=False)
    op.create_index(op.f("ix_attempts_document"), "attempts", ["document"], unique=False)
    op.create_table(
        "deletions",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("generation", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("text_digest", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["generations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        comment="outbox: rows and texts that no reader may see and every writer drains",
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
        ),
        sa.ForeignKeyConstraint(
            ["source"],
            ["sources.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "external_id"),
    )
    op.create_index(op.f("ix_documents_collection"), "documents", ["collection"], unique=False)
    op.create_table(
        "failures",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_failures_run"), "failures", ["run"], unique=False)
    op.create_table(
        "document_access",
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["document"], ["documents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("document", "subject"),
        comment="who may read; no row is nobody",
    )
    op.create_table(
        "versions",
        sa.Column("generation", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False, comment="the visible attempt"),
        sa.Column(
            "fingerprint", sa.String(), nullable=False, comment="the source's cheap sign of change"
        ),
        sa.Column("digest", sa.String(), nullable=False, comment="of the content"),
        sa.Column(
            "text_digest", sa.String(), nullable=False, comment="of the parsed text, in blobs"
        ),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column(
            "terms", sa.LargeBinary(), nullable=False, comment="uint32 pairs: term, chunks with it"
        ),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document"],
            ["documents.id"],
        ),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["generations.id"],
        ),
        sa.PrimaryKeyConstraint("generation", "document"),
        comment="the one visible version of a document in a generation",
    )
    op.create_index(op.f("ix_versions_document"), "versions", ["document"], unique=False)
