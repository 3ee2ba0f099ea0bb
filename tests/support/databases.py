"""Connections to a database that a test closes again."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from db.engine import create_engine


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    """Give an engine for a database, and close its connections again."""
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
