"""Alembic's migration scripts; `db.migrate` runs them."""
