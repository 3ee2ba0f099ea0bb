"""Alembic's scripts; `db.migrate` runs them."""
