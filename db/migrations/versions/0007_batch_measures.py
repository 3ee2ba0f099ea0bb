"""Add measures of finished batches (times, confidence), and an index for counting batches.

Revision: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_CONFIDENCE_PERCENT = (30, 40, 50, 60, 70, 80, 90, 100)


def upgrade() -> None:
    op.create_table(
        "batch_measures",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("waited_seconds", sa.Float(), nullable=False),
        sa.Column("headers_seconds", sa.Float(), nullable=False),
        sa.Column("folders_seconds", sa.Float(), nullable=False),
        sa.Column("model_seconds", sa.Float(), nullable=False),
        sa.Column("database_seconds", sa.Float(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("unknown_tokens", sa.Integer(), nullable=False),
        sa.Column("unsure", sa.Integer(), nullable=False),
        sa.Column("confidence_sum", sa.Float(), nullable=False),
        *(
            sa.Column(f"confidence_{percent}", sa.Integer(), nullable=False)
            for percent in _CONFIDENCE_PERCENT
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_batch_measures_batch_id_batches"
        ),
        sa.PrimaryKeyConstraint("batch_id", name="pk_batch_measures"),
    )
    op.create_index(
        "ix_batches_counted",
        "batches",
        ["state", "created_at", "sound_count", "classified", "failed"],
    )


def downgrade() -> None:
    op.drop_index("ix_batches_counted", table_name="batches")
    op.drop_table("batch_measures")
