"""Add columns for suspect batches and back-offs to `batches`, and an index on `started_at`.

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "batches", sa.Column("suspect", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column(
        "batches", sa.Column("setbacks", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("batches", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_batches_started_at", "batches", ["started_at"])


def downgrade() -> None:
    op.drop_index("ix_batches_started_at", table_name="batches")
    with op.batch_alter_table("batches") as table:
        table.drop_column("due_at")
        table.drop_column("setbacks")
        table.drop_column("suspect")
