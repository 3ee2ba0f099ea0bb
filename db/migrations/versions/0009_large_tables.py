"""Add indexes for large tables: the order of review, failed sounds, the progress of an ingest.

Revision: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FAILED = sa.text("status = 'failed'")
_NEEDS_REVIEW = sa.text(
    "status = 'classified' AND label IS NULL AND coalesce(needs_review, confidence < 0.5)"
)


def upgrade() -> None:
    # Older code works without the dropped indexes, so `compatibility` is not changed.
    op.create_index(
        "ix_sounds_failed",
        "sounds",
        ["status", "error_code"],
        postgresql_where=_FAILED,
        sqlite_where=_FAILED,
    )
    op.create_index(
        "ix_sounds_review",
        "sounds",
        ["confidence", "status", "label", "needs_review"],
        postgresql_where=_NEEDS_REVIEW,
        sqlite_where=_NEEDS_REVIEW,
    )
    op.drop_index("ix_sounds_status_error_code", table_name="sounds")
    op.create_index(
        "ix_batches_progress", "batches", ["ingest_id", "state", "classified", "failed"]
    )
    op.drop_index("ix_batches_ingest_id", table_name="batches")


def downgrade() -> None:
    op.create_index("ix_batches_ingest_id", "batches", ["ingest_id"])
    op.drop_index("ix_batches_progress", table_name="batches")
    op.create_index("ix_sounds_status_error_code", "sounds", ["status", "error_code"])
    op.drop_index("ix_sounds_review", table_name="sounds")
    op.drop_index("ix_sounds_failed", table_name="sounds")
