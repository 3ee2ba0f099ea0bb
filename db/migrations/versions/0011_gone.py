"""Add columns for deleted files and the reason of a requeued batch, and indexes on labels.

Revision: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_PENDING = sa.text("state = 'pending'")
_PRESENT = sa.text("gone_at IS NULL")
_GONE = sa.text("gone_at IS NOT NULL")
_LABELLED = sa.text("label IS NOT NULL")
_FAILED = sa.text("status = 'failed' AND gone_at IS NULL")
_NEEDS_REVIEW = sa.text(
    "status = 'classified' AND label IS NULL AND coalesce(needs_review, confidence < 0.5)"
    " AND gone_at IS NULL"
)
_FAILED_BEFORE = sa.text("status = 'failed'")
_NEEDS_REVIEW_BEFORE = sa.text(
    "status = 'classified' AND label IS NULL AND coalesce(needs_review, confidence < 0.5)"
)


def upgrade() -> None:
    # Older code works without the dropped indexes, lists deleted files, and does not write the
    # new columns, so `compatibility` is not changed.
    op.add_column("batches", sa.Column("reason", sa.Text))
    seen = sa.Column("seen", sa.Boolean, nullable=False, server_default=sa.true())
    op.add_column("batches", seen)
    op.create_index(
        "ix_batches_pending_root",
        "batches",
        ["root", "id"],
        postgresql_where=_PENDING,
        sqlite_where=_PENDING,
    )
    op.add_column("sounds", sa.Column("gone_at", sa.DateTime(timezone=True)))
    for name, columns, condition in (
        ("ix_sounds_failed_present", ["status", "error_code", "gone_at"], _FAILED),
        ("ix_sounds_model_category", ["category", "label", "status", "gone_at"], _PRESENT),
        ("ix_sounds_label", ["label", "status", "gone_at"], _LABELLED),
        ("ix_sounds_gone", ["file_size_bytes", "mtime_ns", "gone_at"], _GONE),
        (
            "ix_sounds_review_present",
            ["confidence", "status", "label", "needs_review", "gone_at"],
            _NEEDS_REVIEW,
        ),
    ):
        op.create_index(name, "sounds", columns, postgresql_where=condition, sqlite_where=condition)
    for name in ("ix_sounds_failed", "ix_sounds_category", "ix_sounds_review"):
        op.drop_index(name, table_name="sounds")


def downgrade() -> None:
    op.create_index(
        "ix_sounds_review",
        "sounds",
        ["confidence", "status", "label", "needs_review"],
        postgresql_where=_NEEDS_REVIEW_BEFORE,
        sqlite_where=_NEEDS_REVIEW_BEFORE,
    )
    op.create_index("ix_sounds_category", "sounds", ["category"])
    op.create_index(
        "ix_sounds_failed",
        "sounds",
        ["status", "error_code"],
        postgresql_where=_FAILED_BEFORE,
        sqlite_where=_FAILED_BEFORE,
    )
    for name in (
        "ix_sounds_review_present",
        "ix_sounds_gone",
        "ix_sounds_label",
        "ix_sounds_model_category",
        "ix_sounds_failed_present",
    ):
        op.drop_index(name, table_name="sounds")
    op.drop_column("sounds", "gone_at")
    op.drop_index("ix_batches_pending_root", table_name="batches")
    op.drop_column("batches", "seen")
    op.drop_column("batches", "reason")
