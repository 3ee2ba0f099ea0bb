"""Fixtures of all tests: databases, a broker, sounds, and cratesort as a process.

Servers and processes themselves are in `tests.support`.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
import redis

from tests.support import processes
from tests.support.command_line import Argument, CliResult, run_as_process, run_in_process
from tests.support.places import REPOSITORY, SHARED
from tests.support.processes import WorkerProcess
from tests.support.servers import PostgresServer, RedisServer, ServerUnavailableError, running
from tests.support.servers.lifecycle import AnyServer, Server

pytest_plugins = ["tests.support.distribution", "tests.support.fitted"]

# The developer's settings (a production database, say) must not reach the code under test;
# `own_folder` does the same for a .env file.
for _setting in [name for name in os.environ if name.startswith("CRATESORT_")]:
    del os.environ[_setting]


# How long an example takes depends on the machine's other work. Examples may share a test's folder.
hypothesis.settings.register_profile(
    "cratesort",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("cratesort")

# A suite started in the background (nohup, a script's &) ignores Ctrl-C, and the programs it starts
# would inherit that, but some tests interrupt them.
signal.signal(signal.SIGINT, signal.default_int_handler)


# TensorFlow: importing it takes seconds, in each process that does


def pytest_collection_finish() -> None:
    """Refuse a test file that loads TensorFlow on import: every process imports all files."""
    if "tensorflow" in sys.modules:
        raise pytest.UsageError("a test file loads TensorFlow: import it within a test or fixture")


@pytest.fixture(autouse=True)
def tensorflow_is_declared(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that loads TensorFlow, which takes seconds, without its marker."""
    before = "tensorflow" in sys.modules
    declared = request.node.get_closest_marker("tensorflow")
    if declared and find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed: pip install '.[training]'")
    yield
    if not (before or declared) and "tensorflow" in sys.modules:
        pytest.fail("this test loads TensorFlow: mark it with pytest.mark.tensorflow")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in a separate folder without a .env file."""
    monkeypatch.chdir(tmp_path)


# Servers: tests are skipped without them, except in CI, where that would hide half of the suite.


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: not skipped)", pytrace=False)
    pytest.skip(reason)


_session_servers: list[Server] = []


def _for_the_session(server: AnyServer) -> Iterator[AnyServer]:
    with ExitStack() as stack:
        try:
            stack.enter_context(running(server))
        except ServerUnavailableError as missing:
            _missing(str(missing))
        _session_servers.append(server)
        yield server
        _session_servers.remove(server)


def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    """After a failed test, start the servers that it had stopped, for those that follow."""
    if call.when == "call" and call.excinfo is not None:
        for server in _session_servers:
            server.recover()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for the tests. A test that stops or freezes it must start it again."""
    yield from _for_the_session(RedisServer())


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL cluster for the tests. A test that stops or freezes it must start it again."""
    yield from _for_the_session(PostgresServer())


# Databases: migrated once in a session, copied for each test.


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a migrated and otherwise empty database, to copy."""
    from db.migrate import upgrade

    postgres_server.create_database("migrated")
    upgrade(postgres_server.database_url("migrated"))
    return "migrated"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a migrated PostgreSQL database that no other test uses."""
    postgres_server.create_database("cratesort", postgres_template)
    yield postgres_server.database_url("cratesort")
    postgres_server.drop_database("cratesort")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated and otherwise empty SQLite file, to copy."""
    from db.migrate import upgrade

    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a migrated SQLite file that no other test uses."""
    path = tmp_path / "cratesort.db"
    # Not shutil.copy: part of a database in WAL mode is in a second file.
    with (
        closing(sqlite3.connect(sqlite_template)) as template,
        closing(sqlite3.connect(path)) as copy,
    ):
        template.backup(copy)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Both databases, one after the other."""
    return str(request.getfixturevalue(f"{request.param}_url"))


# Sounds


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example library and its MANIFEST.csv. For reading only: all tests share it."""
    folder = tmp_path_factory.mktemp("library")
    script = REPOSITORY / "examples" / "make_library.py"
    subprocess.run([sys.executable, script, folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def _shared(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} does not exist (TEST_SHARED names the folder above it)")
    return path


@pytest.fixture(scope="session")
def shared_corpus() -> Path:
    """The table of real names and headers, which `cratesort train --from-csv` reads."""
    return _shared(SHARED / "corpus" / "corpus_public.csv.gz")


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real sounds: ``library`` (readable) and ``unreadable`` (not)."""
    return _shared(SHARED / "audio")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of unusual files, names and folders, with the results of independent readers."""
    return _shared(SHARED / "cases")


# Processes


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., CliResult]:
    """Run ``cratesort ARGUMENTS`` in the folder of the test and wait for its end.

    ``run_cli("ingest", library, settings={"CRATESORT_BATCH_SIZE": "8"}, stdin=b"")``

    Runs in this process; with ``process=True`` in a new one.
    """

    def run(
        *arguments: Argument,
        settings: Mapping[str, str] | None = None,
        process: bool = False,
        **options: Any,
    ) -> CliResult:
        run = run_as_process if process else run_in_process
        return run(arguments, tmp_path, settings or {}, **options)

    return run


@pytest.fixture
def worker_process(tmp_path: Path) -> Callable[..., AbstractContextManager[WorkerProcess]]:
    """Run ``cratesort worker`` while a block lasts.

    ``with worker_process(settings={"CRATESORT_BROKER_URL": redis_url, ...}) as worker:``
    """

    def run(*arguments: str, settings: Mapping[str, str]) -> AbstractContextManager[WorkerProcess]:
        return processes.worker(("--concurrency", "2", *arguments), tmp_path, settings)

    return run


@pytest.fixture
def intake_process(tmp_path: Path) -> Callable[..., AbstractContextManager[WorkerProcess]]:
    """Run ``cratesort intake`` while a block lasts.

    ``with intake_process(settings={"CRATESORT_BROKER_URL": redis_url, ...}) as intake:``
    """

    def run(settings: Mapping[str, str]) -> AbstractContextManager[WorkerProcess]:
        return processes.intake(tmp_path, settings)

    return run
