"""Add leases and reports to training runs, and a history of promotions.

Revision: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Dropped and created again: no earlier version wrote rows to this table.
    op.drop_table("training_runs")
    op.create_table(
        "training_runs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("slot", sa.String(length=64), nullable=True),
        sa.Column("trigger", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", _TIME, nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("libraries", sa.JSON(), nullable=False),
        sa.Column("champion", sa.String(length=64), nullable=True),
        sa.Column("sizes", sa.JSON(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("model_version", sa.String(length=64), nullable=True),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("last_label_id", _ID, nullable=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_runs")),
        sa.UniqueConstraint("slot", name=op.f("uq_training_runs_slot")),
    )
    op.create_index(
        "uq_training_runs_running",
        "training_runs",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "promotions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("previous", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("undoes", _ID, nullable=True),
        sa.Column("promoted_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["undoes"], ["promotions.id"], name=op.f("fk_promotions_undoes_promotions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
        sa.UniqueConstraint("undoes", name=op.f("uq_promotions_undoes")),
    )


def downgrade() -> None:
    op.drop_table("promotions")
    op.drop_table("training_runs")
    op.create_table(
        "training_runs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("slot", sa.String(length=64), nullable=True),
        sa.Column("model_version", sa.String(length=64), nullable=True),
        sa.Column("sizes", sa.JSON(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_runs")),
        sa.UniqueConstraint("slot", name=op.f("uq_training_runs_slot")),
    )
