"""Documents out of containers, and the quarantine of files that cannot be parsed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CONTAINER = "external id of the file that it was taken out of"


def upgrade() -> None:
    op.add_column(
        "documents", sa.Column("container", sa.String(), nullable=True, comment=CONTAINER)
    )
    op.create_table(
        "quarantine",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("container", sa.String(), nullable=True, comment=CONTAINER),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column(
            "fingerprint",
            sa.String(),
            nullable=False,
            comment="of the content that cannot be read",
        ),
        sa.Column("code", sa.String(), nullable=False, comment="why, in one word"),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("program", sa.String(), nullable=False, comment="version that could not read it"),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["sources.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "external_id"),
        comment="files that cannot be parsed, passed over until they change",
        sqlite_autoincrement=True,
    )
