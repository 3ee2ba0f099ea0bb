"""Add tempo, key, playback and instrument with their sources, and the evidence of the category.

Revision: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("tempo_bpm", sa.Float()),
    ("tempo_source", sa.String(length=16)),
    ("musical_key", sa.String(length=16)),
    ("key_source", sa.String(length=16)),
    ("playback", sa.String(length=16)),
    ("playback_source", sa.String(length=16)),
    ("instrument", sa.String(length=32)),
    ("instrument_source", sa.String(length=16)),
    ("evidence", sa.String(length=16)),
    ("needs_review", sa.Boolean()),
)


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("sounds", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name, _ in reversed(_COLUMNS):
        op.drop_column("sounds", name)
