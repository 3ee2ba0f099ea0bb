"""Alembic's entry: runs the scripts on the connection `db.migrate` hands over."""

from alembic import context

from db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a column; batch mode copies the table instead.
    render_as_batch=True,
    # PostgreSQL: all or nothing, so that an interrupted upgrade leaves the old version whole.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
