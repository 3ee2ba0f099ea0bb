"""Alembic's entry point: runs the scripts on the connection that `db.migrate` passes."""

from alembic import context

from db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a column; batch mode copies the table instead.
    render_as_batch=True,
    # One transaction for all scripts: on PostgreSQL an interrupted upgrade changes nothing.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
