"""Metadata that a person gave to a document."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

GIVEN = "metadata that a person gave; they stand above the file's own"


def upgrade() -> None:
    op.add_column("documents", sa.Column("given", sa.JSON(), nullable=True, comment=GIVEN))
