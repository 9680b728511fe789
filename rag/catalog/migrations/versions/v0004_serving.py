"""Runs that workers take, replies by key, and answers with the documents that they quote."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

RUN_COLUMNS = (
    ("task", sa.JSON(), "what a worker is to do; null where a command did it itself"),
    ("principal", sa.JSON(), "who asked for it"),
    ("worker", sa.String(), "who does it"),
    ("lease_until", sa.Float(), "until when nobody else may take it over"),
    ("cancelled", sa.Float(), "since when it is asked to stop"),
    ("error", sa.String(), "why all of it failed"),
    ("summary", sa.JSON(), "what it did"),
)


GIVEN = "metadata that a person gave; they stand above the file's own"


def upgrade() -> None:
    op.add_column("documents", sa.Column("given", sa.JSON(), nullable=True, comment=GIVEN))
    for name, kind, comment in RUN_COLUMNS:
        op.add_column("runs", sa.Column(name, kind, nullable=True, comment=comment))
    if op.get_bind().dialect.name == "postgresql":  # the other has no comments
        op.alter_column("runs", "state", comment="queued, running, done, interrupted, failed")
    op.create_index("runs_waiting", "runs", ["state", "lease_until"])
    op.create_table(
        "requests",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False, comment="of method, path and body"),
        sa.Column(
            "status",
            sa.Integer(),
            nullable=True,
            comment="of the reply; null while it is under way",
        ),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "caller", "key"),
        comment="replies by Idempotency-Key",
    )
    op.create_index("ix_requests_created", "requests", ["created"])
    op.create_table(
        "answers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column(
            "caller", sa.String(), nullable=False, comment="the subject that asked, such as user:x"
        ),
        sa.Column(
            "conversation", sa.String(), nullable=True, comment="a name that the caller chose"
        ),
        sa.Column("collection", sa.String(), nullable=False, comment="its name"),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column(
            "searched", sa.String(), nullable=False, comment="the question as it stands alone"
        ),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("citations", sa.JSON(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.String(),
            nullable=False,
            comment="complete, abstained, incomplete, withdrawn",
        ),
        sa.Column("usage", sa.JSON(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "answers_conversation", "answers", ["tenant", "caller", "conversation", "created"]
    )
    op.create_table(
        "answer_sources",
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["answer"], ["answers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("answer", "document"),
        comment="documents that an answer quotes: when one is deleted, the answer is withdrawn",
    )
    op.create_index("ix_answer_sources_document", "answer_sources", ["document"])
