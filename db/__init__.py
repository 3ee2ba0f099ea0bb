"""The database: tables, named queries, migrations, and one engine per process.

Most functions take a SQLAlchemy connection and run inside the caller's transaction; `workers`,
`tasks` and the other callers decide when to commit.
"""
