"""Index labels by sound, because a label may be submitted before its sound has a row.

Revision: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_label_history_key", "label_history", ["key"])


def downgrade() -> None:
    op.drop_index("ix_label_history_key", "label_history")
