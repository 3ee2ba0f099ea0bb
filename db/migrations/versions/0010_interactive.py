"""Add a flag for interactive batches, which are sent before all others.

Revision: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_WAITED_FOR = sa.text("interactive AND state = 'pending'")


def upgrade() -> None:
    # Older code sends interactive batches like all others, so `compatibility` is not changed.
    op.add_column(
        "batches",
        sa.Column("interactive", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index(
        "ix_batches_interactive",
        "batches",
        ["id"],
        postgresql_where=_WAITED_FOR,
        sqlite_where=_WAITED_FOR,
    )


def downgrade() -> None:
    op.drop_index("ix_batches_interactive", table_name="batches")
    op.drop_column("batches", "interactive")
