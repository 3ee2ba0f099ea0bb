"""The database says which versions of the code may work with it.

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
    # Older code does not ask, and refuses whatever is newer than itself.
    op.bulk_insert(table, [{"oldest_revision": "0008"}])


def downgrade() -> None:
    op.drop_table("compatibility")
