"""The fleet that the fault tests break."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.command_line import CliResult
from tests.support.fleet import Fleet
from tests.support.processes import WorkerProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Raise the timeout of these tests: on a busy machine processes start slowly."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def fleet_database_url(request: pytest.FixtureRequest) -> str:
    """PostgreSQL, as in production; a test marked `on_both_databases` runs on SQLite too."""
    return str(request.getfixturevalue(f"{getattr(request, 'param', 'postgres')}_url"))


@pytest.fixture
def fleet(
    tmp_path: Path,
    redis_url: str,
    fleet_database_url: str,
    run_cli: Callable[..., CliResult],
    worker_process: Callable[..., AbstractContextManager[WorkerProcess]],
) -> Iterator[Fleet]:
    """A fleet with an empty library, an empty Redis and an empty database."""
    fleet = Fleet(tmp_path, redis_url, fleet_database_url, run_cli, worker_process)
    yield fleet
    fleet.close()
