"""The fleet of a run: servers, two workers, two beats, and what is out of order at the moment.

Not here: what may happen to it (`kinds`), the files (`library`).
"""

import json
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import redis
from celery import Celery
from pydantic import SecretStr
from sqlalchemy import make_url

from db.engine import create_engine
from db.migrate import upgrade
from db.registry import bundles
from tests.chaos.conditions import Conditions
from tests.chaos.history import note_steps
from tests.chaos.mounts import mount_memory, unmount
from tests.chaos.services import Service
from tests.support.bundles import called
from tests.support.command_line import clean_environment
from tests.support.places import REPOSITORY
from tests.support.servers import PostgresServer, RedisServer, Server, TcpProxy, running
from tests.support.servers.lifecycle import die_with_parent, living_processes, wait_until
from workers.celery_ext.app import CLASSIFY_TASK, build_app, queue_of
from workers.settings import PREFIX, Settings

#: Leases and sweeps short enough that a run of a minute sees many of them end.
QUICK: Final = {
    "CRATESORT_TIME_LIMIT_SECONDS": "2",
    "CRATESORT_LEASE_MARGIN_SECONDS": "1",
    "CRATESORT_STALE_SECONDS": "2",
    "CRATESORT_SWEEP_SECONDS": "1",
    "CRATESORT_BATCH_SIZE": "16",
}

#: Reading is slowed down: a batch takes some 20 ms, and no fault would meet one in mid-work.
SLOW: Final = {"TEST_READ_SECONDS": "0.02"}

#: For data folders, and an SQLite database: some thousand rows and a model.
_DATA_MEBIBYTES: Final = 256

#: A copy of the starter model under another version.
OTHER_MODEL: Final = "another-model"

#: In the environment of every process of the run, and of no other on this machine.
_MARK: Final = "TEST_CHAOS_RUN"


@dataclass(frozen=True)
class _Ongoing:
    """A fault that lasts, and how it is put right."""

    until: float
    put_right: Callable[[], None]


class World:
    """Everything a fault may hit.

    One thread runs it all: `look_after` is called often, and does what is due.
    """

    def __init__(self, *, production: bool, on_sqlite: bool = False) -> None:
        self._timing = {} if production else QUICK
        self.folder = Path(tempfile.mkdtemp(prefix="cratesort-chaos-"))
        self.data_folder = self.folder / "data"
        self.redis = RedisServer()
        self._postgres = None if on_sqlite else PostgresServer()
        self._conditions: Conditions | None = None
        self._has_mounts = False
        #: Unexpected behaviour that the run observed; each is an error.
        self.surprises: list[str] = []
        #: Services that ended although nothing had been done to them, by name and exit code.
        self.own_ends: Counter[str] = Counter()
        #: Of each worker its way to a server.
        self.links: dict[str, list[TcpProxy]] = {}
        self.workers: list[Service] = []
        self.beats: list[Service] = []
        self._mark = secrets.token_hex(8)
        self._ongoing: dict[str, _Ongoing] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(running(self.redis))
            if self._postgres is not None:
                self._stack.enter_context(running(self._postgres))
            self._stack.callback(self._kill_what_is_left)
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self) -> None:
        self.data_folder.mkdir()
        self._has_mounts = mount_memory(self.data_folder, _DATA_MEBIBYTES)
        for number in range(2):
            self.storage_of(number).touch()
        if self._postgres is not None:
            self._postgres.create_database("cratesort")
        upgrade(self.database_url)
        note_steps(self.database_url)
        self._store_other_model()
        if self._postgres is not None:
            self._conditions = Conditions(self._postgres, "cratesort")
        self.broker = build_app(Settings(broker_url=SecretStr(self.redis.url)))
        self.settings = {
            **self._timing,
            **SLOW,
            "CRATESORT_BROKER_URL": self.redis.url,
            "CRATESORT_DATABASE_URL": self.database_url,
            "CRATESORT_DATA_FOLDER": str(self.data_folder),
            "CRATESORT_LIBRARY_ROOTS": f"library={self.folder / 'library'}",
            "PYTHONPATH": f"{REPOSITORY / 'tests' / 'support' / 'shims'}:{REPOSITORY}",
            _MARK: self._mark,
        }
        self.template = _message(self.broker, self.redis.url)
        work = ("cli", "worker", "--concurrency", "2")
        for server, target in ((self.redis, "redis link"), (self._postgres, "database link")):
            if server is not None:
                self.links[target] = [
                    self._stack.enter_context(TcpProxy(server.port)) for _ in range(2)
                ]
        self.workers = [
            Service(f"worker {number + 1}", work, self.folder, self._settings_of(number))
            for number in range(2)
        ]
        self.beats = [
            Service(f"beat {number}", ("cli", "beat"), self.folder, self.settings)
            for number in (1, 2)
        ]

    def _settings_of(self, number: int) -> dict[str, str]:
        """Return the settings of a worker: its own storage and network links."""
        own = {**self.settings, "TEST_STORAGE": str(self.storage_of(number))}
        own["CRATESORT_BROKER_URL"] = self.links["redis link"][number].redirected(self.redis.url)
        if self._postgres is not None:
            link = self.links["database link"][number]
            own["CRATESORT_DATABASE_URL"] = link.redirected(self.database_url)
        return own

    def _store_other_model(self) -> None:
        database = create_engine(self.database_url)
        bundle = called(OTHER_MODEL)
        with database.begin() as connection:
            bundles.store(connection, version=OTHER_MODEL, bundle=bundle, metrics={})
        database.dispose()

    @property
    def postgres(self) -> PostgresServer:
        """The fleet's PostgreSQL, where it has one."""
        assert self._postgres is not None, "the fleet is on SQLite"
        return self._postgres

    @property
    def conditions(self) -> Conditions:
        """The conditions of its database, where that is PostgreSQL's."""
        assert self._conditions is not None, "the fleet is on SQLite"
        return self._conditions

    @property
    def offers(self) -> frozenset[str]:
        """What kinds of fault may need (`Fault.needs`)."""
        database = "sqlite" if self._postgres is None else "postgres"
        return frozenset({"", database, *(["mounts"] if self._has_mounts else [])})

    def storage_of(self, number: int) -> Path:
        """Return the file that states in which condition a worker's storage is."""
        return self.folder / f"storage-{number + 1}"

    def is_hit(self, target: str) -> bool:
        """Whether a fault that lasts is under way there."""
        return target in self._ongoing

    @property
    def lease_seconds(self) -> float:
        """How long the fleet's claims hold."""
        timing = {name.removeprefix(PREFIX).lower(): value for name, value in self._timing.items()}
        return Settings.model_validate(timing).lease_seconds

    @property
    def services(self) -> list[Service]:
        """Workers and beats."""
        return [*self.workers, *self.beats]

    @property
    def database_url(self) -> str:
        """The fleet's database, for SQLAlchemy."""
        if self._postgres is None:
            return f"sqlite:///{self.data_folder / 'cratesort.db'}"
        return self._postgres.database_url("cratesort")

    # Faults that last

    def lasting(self, target: str, seconds: float, put_right: Callable[[], None]) -> None:
        """Note that `target` is out of order, and how that ends."""
        self._ongoing[target] = _Ongoing(time.monotonic() + seconds, put_right)

    def put_right(self, target: str | None = None) -> None:
        """End what is going on at one target, or everywhere, before its time."""
        for name in [target] if target is not None else list(self._ongoing):
            # Putting right may take two steps, the second of which is noted by the first.
            while (ongoing := self._ongoing.pop(name, None)) is not None:
                ongoing.put_right()

    def look_after(self) -> None:
        """End faults whose time is over, and start again what has ended."""
        moment = time.monotonic()
        for target in [name for name, fault in self._ongoing.items() if fault.until <= moment]:
            self._ongoing.pop(target).put_right()
        for service in self.services:
            code = service.look()
            if code is not None and not service.doomed:
                self.own_ends[f"{service.name.split()[0]}, exit code {code}"] += 1
            if service.is_due:
                service.start()
            elif service.ignores_its_stop:
                self.own_ends[f"{service.name.split()[0]}, killed after its grace"] += 1
                service.kill_group()

    # Processes

    def freeze_without_locks(self, service: Service) -> None:
        """Freeze a service at a moment at which it does not hold SQLite's one lock."""
        while True:
            service.send_to_group(signal.SIGSTOP)
            if self._postgres is not None or not is_locked(self.database_url):
                return
            service.send_to_group(signal.SIGCONT)

    def spawn(self, name: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start ``python -m ARGUMENTS`` with the fleet's settings; its output goes to NAME.log."""
        with open(self.folder / f"{name}.log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.folder,
                env=clean_environment(self.folder, self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def processes(self) -> dict[int, str]:
        """Return the living processes of the run and their command lines, servers left out."""
        found = {}
        mark = f"{_MARK}={self._mark}".encode()
        for process in living_processes():
            try:
                folder = Path("/proc", str(process.pid))
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes()
                    found[process.pid] = command.replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # ended since, or another user's
        return found

    def end_in_order(self) -> list[str]:
        """Stop every service as an operator would; return what was left over."""
        for service in self.services:
            service.tell_to_stop()
        try:
            wait_until(self._all_ended, "all services have ended", 30)
        except TimeoutError:
            pass  # what is left is the answer
        return [f"process {pid} is left over: {line}" for pid, line in self.processes().items()]

    def _all_ended(self) -> bool:
        for service in self.services:
            service.look()
        return not self.processes()

    def _kill_what_is_left(self) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # ended since
        wait_until(self._all_ended, "every process of the run is gone")

    # What remains of a run

    def leaked_passwords(self) -> list[str]:
        """Return the logs in which a password can be read."""
        passwords = [server.password.encode() for server in self._servers]
        return [
            f"{log.name} shows a password"
            for log in sorted(self.folder.glob("*.log"))
            if any(password in log.read_bytes() for password in passwords)
        ]

    def keep_server_logs(self) -> None:
        """Put the servers' logs, or SQLite's file, beside the others, before their places go."""
        for file in self.data_folder.glob("cratesort.db*"):
            shutil.copy(file, self.folder)
        for server in self._servers:
            (self.folder / f"{type(server).__name__}.log").write_text(server.log())

    @property
    def _servers(self) -> list[Server]:
        return [self.redis, *([] if self._postgres is None else [self._postgres])]

    def remove_folder(self) -> None:
        """Forget the run."""
        if self._has_mounts:
            unmount(self.data_folder)
        shutil.rmtree(self.folder)


def is_locked(url: str) -> bool:
    """Whether another connection writes to an SQLite database at the moment."""
    path = str(make_url(url).database)
    with closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def _message(broker: Celery, url: str) -> dict[str, Any]:
    """Return a message as it is in Redis: of a batch that does not exist."""
    arguments = {"version": 1, "batch_id": 0, "root": "library", "paths": []}
    queue = queue_of("library")
    broker.send_task(CLASSIFY_TASK, kwargs=arguments, queue=queue)
    with redis.Redis.from_url(url) as client:
        message: dict[str, Any] = json.loads(client.rpop(queue.name))
    return message
