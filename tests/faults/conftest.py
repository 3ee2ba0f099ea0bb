"""The fleet that the tests of faults break. Not here: what must hold of it (`.fleet`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.command_line import CliResult
from tests.support.fleet import Fleet
from tests.support.processes import WorkerProcess


@pytest.fixture
def fleet(
    tmp_path: Path,
    redis_url: str,
    database_url: str,
    run_cli: Callable[..., CliResult],
    worker_process: Callable[..., AbstractContextManager[WorkerProcess]],
) -> Fleet:
    """A fleet on PostgreSQL, and the same on SQLite."""
    return Fleet(tmp_path, redis_url, database_url, run_cli, worker_process)


@pytest.fixture
def postgres_fleet(
    tmp_path: Path,
    redis_url: str,
    postgres_url: str,
    run_cli: Callable[..., CliResult],
    worker_process: Callable[..., AbstractContextManager[WorkerProcess]],
) -> Fleet:
    """A fleet on PostgreSQL, for faults that SQLite cannot have."""
    return Fleet(tmp_path, redis_url, postgres_url, run_cli, worker_process)
