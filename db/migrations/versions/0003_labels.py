"""Add the author and history of labels, and the holdout decision of each sound.

Revision: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sounds", sa.Column("labelled_by", sa.Text(), nullable=True))
    op.add_column("sounds", sa.Column("held_out", sa.Boolean(), nullable=True))
    op.create_index(
        "ix_sounds_labelled",
        "sounds",
        ["id"],
        unique=False,
        postgresql_where=sa.text("label IS NOT NULL"),
        sqlite_where=sa.text("label IS NOT NULL"),
    )
    op.create_table(
        "label_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("labelled_by", sa.Text(), nullable=False),
        sa.Column("labelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_history")),
    )


def downgrade() -> None:
    op.drop_table("label_history")
    op.drop_index(
        "ix_sounds_labelled",
        table_name="sounds",
        postgresql_where=sa.text("label IS NOT NULL"),
        sqlite_where=sa.text("label IS NOT NULL"),
    )
    op.drop_column("sounds", "held_out")
    op.drop_column("sounds", "labelled_by")
