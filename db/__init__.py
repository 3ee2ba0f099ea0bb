"""What is remembered: the tables, every query by name, migrations, and one engine per process.

Functions here take a SQLAlchemy connection and do one thing inside the caller's transaction; who
commits, when and why is decided by `workers` and `tasks`. No queue, no files, no models.
"""
