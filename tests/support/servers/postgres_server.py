"""A PostgreSQL cluster of our own. Not here: how a server is started and ended (`lifecycle`)."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.support.servers.lifecycle import Server, ServerUnavailableError, living_processes


def find_postgres() -> Path:
    """Return the folder of ``initdb`` and ``postgres``: on the PATH, else Debian's newest."""
    on_path = shutil.which("postgres")
    if on_path is not None and (Path(on_path).parent / "initdb").exists():
        return Path(on_path).parent
    packaged = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if not packaged:
        raise ServerUnavailableError("PostgreSQL is not installed: apt-get install postgresql")
    return max(packaged, key=lambda binaries: float(binaries.parent.name))


class PostgresServer(Server):
    """A PostgreSQL cluster whose commits survive `stop` and `kill`, but not the machine's end."""

    #: PostgreSQL refuses to run as root; Debian's package brings this user.
    UNPRIVILEGED_USER = "postgres"

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one database of the cluster."""
        return f"postgresql+psycopg://cratesort:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(
        self, database: str, template: str = "template1", encoding: str = "UTF8"
    ) -> None:
        """Create `database` as a copy of `template`, which must have no connections."""
        self._execute("CREATE DATABASE {} TEMPLATE {} ENCODING {}", database, template, encoding)

    def alter_database(self, database: str, change: LiteralString) -> None:
        """Change a setting of `database`, for connections that are made from then on."""
        self._execute(f"ALTER DATABASE {{}} {change}", database)

    def drop_database(self, database: str) -> None:
        """Drop `database`, even if clients are connected."""
        self._execute("DROP DATABASE {} WITH (FORCE)", database)

    def _execute(self, statement: LiteralString, *names: str) -> None:
        with self._connect() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)

    def _launch(self) -> subprocess.Popen[bytes]:
        binaries = find_postgres()
        user = self._own_folder()
        data = self.folder / "data"
        if not data.exists():
            password_file = self.folder / "password"
            password_file.write_text(self.password)
            subprocess.run(
                [
                    binaries / "initdb", "--pgdata", data, "--username", "cratesort",
                    "--pwfile", password_file, "--auth", "scram-sha-256",
                    "--encoding", "UTF8", "--locale", "C", "--no-sync",
                ],
                user=user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        # No waiting for the disk: this cluster need not survive the machine. synchronous_commit
        # stays on, though: without it `kill` loses what was committed a moment before.
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
        }
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return self._spawn(command, signal.SIGQUIT, user)

    def _own_folder(self) -> str | None:
        """Hand the folder to the user who will run PostgreSQL, and return that user's name."""
        if os.geteuid() != 0:
            return None
        try:
            account = pwd.getpwnam(self.UNPRIVILEGED_USER)
        except KeyError:
            raise ServerUnavailableError(
                f"PostgreSQL does not run as root, and there is no user {self.UNPRIVILEGED_USER!r}"
            ) from None
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        return self.UNPRIVILEGED_USER

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:  # not listening yet, or still starting up
            return False
        return True

    def _children(self) -> list[int]:
        return [process.pid for process in living_processes() if process.parent == self.pid]
