"""Receipts of deletions, kept originals, and checksums of versions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column(
            "collection", sa.String(), nullable=False, comment="its name, which may be gone too"
        ),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False, comment="request, source or collection"),
        sa.Column(
            "run",
            sa.String(),
            nullable=True,
            comment="the run that found it gone from its source",
        ),
        sa.Column("chunks", sa.Integer(), nullable=False, comment="in all generations"),
        sa.Column("generations", sa.Integer(), nullable=False),
        sa.Column(
            "unfindable", sa.Float(), nullable=False, comment="since when no reader finds it"
        ),
        sa.Column(
            "gone",
            sa.Float(),
            nullable=True,
            comment="since when stores, texts and caches are without it",
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="what was deleted, and when the last of it went",
    )
    op.create_index(op.f("ix_receipts_document"), "receipts", ["document"], unique=False)
    op.create_index(op.f("ix_receipts_run"), "receipts", ["run"], unique=False)
    op.add_column("attempts", sa.Column("original_digest", sa.String(), nullable=True))
    op.add_column("deletions", sa.Column("original_digest", sa.String(), nullable=True))
    op.add_column(
        "deletions",
        sa.Column("receipt", sa.String(), nullable=True, comment="the receipt that waits for this"),
    )
    op.create_index(op.f("ix_deletions_receipt"), "deletions", ["receipt"], unique=False)
    op.add_column(
        "versions",
        sa.Column(
            "original_digest",
            sa.String(),
            nullable=True,
            comment="of the original, where it is kept",
        ),
    )
    op.add_column(
        "versions",
        sa.Column(
            "checksum",
            sa.LargeBinary(),
            nullable=True,
            comment="of what the version says of itself",
        ),
    )
