"""Add the table `compatibility`: the oldest revision whose code can use the database.

Revision: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "compatibility", sa.Column("oldest_revision", sa.String(32), primary_key=True)
    )
    # Older code does not read this table and rejects every newer revision.
    op.bulk_insert(table, [{"oldest_revision": "0008"}])


def downgrade() -> None:
    op.drop_table("compatibility")
