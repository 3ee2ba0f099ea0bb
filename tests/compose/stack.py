"""One instance of the compose file's system, with its own project name and passwords."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.places import REPOSITORY
from tests.support.servers.lifecycle import free_port

#: Ends a command that hangs. Only the first build may take nearly as long.
_TIMEOUT_SECONDS = 1800.0


_began = time.monotonic()


class ComposeError(Exception):
    """A check of the system failed."""


def report(text: str) -> None:
    """Print one line of the transcript."""
    print(f"[{time.monotonic() - _began:5.0f} s] {text}", flush=True)


def require(condition: bool, what: str) -> None:
    """Print one check that passed.

    Raises
    ------
    ComposeError
        `condition` is false.
    """
    if not condition:
        raise ComposeError(f"check failed: {what}")
    report(f"  ok: {what}")


def missing() -> str | None:
    """Return why there is no Docker engine to test on, None if there is one."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            return f"`{' '.join(command)}` fails: {''.join(last)}"
    return None


class Stack:
    """The system under one project name.

    Parameters
    ----------
    folder : Path
        For the .env file.
    library : Path
        Mounted as /library.
    more : mapping of str to str
        Further lines of the .env file.
    source : Path, optional
        The clone whose compose file it is.
    """

    def __init__(
        self, folder: Path, library: Path, more: Mapping[str, str], source: Path = REPOSITORY
    ) -> None:
        self.source = source
        self.project = f"cratesort-test-{secrets.token_hex(4)}"
        self.flower_port = free_port()
        self.flower_password = secrets.token_hex(12)
        self.inbox_password = secrets.token_hex(24)
        self._environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("CRATESORT_", "COMPOSE_"))
        }
        self._settings = {
            "REDIS_PASSWORD": secrets.token_hex(24),
            "INBOX_PASSWORD": self.inbox_password,
            "POSTGRES_PASSWORD": secrets.token_hex(24),
            "DATABASE_PASSWORD": secrets.token_hex(24),
            "FLOWER_PASSWORD": self.flower_password,
            "GRAFANA_PASSWORD": secrets.token_hex(12),
            "FLOWER_PORT": str(self.flower_port),
            "LIBRARY": str(library),
            **more,
        }
        self._env_file = folder / f"{self.project}.env"
        self._ends_file = folder / "ends"
        self._listener: subprocess.Popen[bytes] | None = None
        self.use_tag(f"{self.project}-1")

    def use_tag(self, tag: str) -> None:
        """Use images with this tag from now on."""
        self.tag = tag
        lines = [f"{name}={value}\n" for name, value in self._settings.items()]
        self._env_file.write_text("".join([*lines, f"TAG={tag}\n"]))

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run a ``docker compose`` command and return its output."""
        return self._run(*self._compose(*arguments), check=check)

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Run a ``docker`` command and return its output."""
        return self._run("docker", *arguments, check=check)

    def begin(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a ``docker compose`` command and do not wait for it."""
        return subprocess.Popen(
            self._compose(*arguments),
            cwd=self.source,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _compose(self, *arguments: str) -> list[str]:
        options = ["--project-name", self.project, "--env-file", str(self._env_file)]
        return ["docker", "compose", *options, *arguments]

    def _run(self, *command: str, check: bool) -> str:
        done = subprocess.run(
            command,
            cwd=self.source,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
        if check and done.returncode != 0:
            output = (done.stdout + done.stderr)[-4000:]
            raise ComposeError(f"exit code {done.returncode}: {' '.join(command)}\n{output}")
        return done.stdout

    def cratesort(self, *arguments: str, service: str = "worker") -> str:
        """Run a cratesort command in a container, as in the documentation."""
        return self.compose("exec", "--no-TTY", service, "cratesort", *arguments)

    def push(self, path: str, *options: str) -> str:
        """Push a path to the inbox with redis-cli and return its output."""
        redis_cli = ("exec", "--no-TTY", "redis", "redis-cli", *options)
        return self.compose(*redis_cli, "LPUSH", "cratesort:inbox", path)

    def ingest(self, *arguments: str) -> None:
        """Ingest sounds, as in the documentation."""
        self.compose("run", "--rm", "--no-TTY", "--no-deps", "worker", "ingest", *arguments)

    def status(self) -> dict[str, Any]:
        """Return the output of `cratesort status --json`, from a service that is never killed."""
        state: dict[str, Any] = json.loads(self.cratesort("status", "--json", service="metrics"))
        return state

    def sql(self, query: str) -> list[list[str]]:
        """Return the rows of a query, as text."""
        psql = ("psql", "--username", "cratesort", "--tuples-only", "--no-align", "--command")
        output = self.compose("exec", "--no-TTY", "postgres", *psql, query)
        return [line.split("|") for line in output.splitlines()]

    def counted(self, query: str) -> int:
        """Return the single number that a query gives."""
        ((number,),) = self.sql(query)
        return int(number)

    def check_roles(self) -> None:
        """Check that no service is connected to the database as a superuser."""
        connected = self.sql(
            "select distinct usename, usesuper from pg_stat_activity join pg_user using (usename)"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        require(connected == [["cratesort_app", "f"]], "no service is a superuser in PostgreSQL")

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Return the description of the running containers, as `docker inspect` gives it."""
        ids = self.compose("ps", "--quiet", *services).split()
        described: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids)) if ids else []
        return described

    def listen(self) -> None:
        """Record how containers end from now on; the engine keeps only its last events."""
        filters = (
            f"label=com.docker.compose.project={self.project}",
            "label=com.docker.compose.oneoff=False",
            "event=die",
        )
        options = [word for name in filters for word in ("--filter", name)]
        with self._ends_file.open("wb") as file:
            self._listener = subprocess.Popen(
                ["docker", "events", *options, "--format", "{{json .}}"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
            )

    def exit_codes(self, service: str, count: int) -> list[int]:
        """Return the exit codes of a service's ended containers in ascending order.

        The engine reports an end a moment after `stop` has returned, so this waits until `count`
        containers have ended.
        """
        codes: list[int] = []

        def are_there() -> bool:
            lines = self._ends_file.read_text().rpartition("\n")[0].splitlines()
            events = [json.loads(line)["Actor"]["Attributes"] for line in lines]
            codes[:] = sorted(
                int(event["exitCode"])
                for event in events
                if event["com.docker.compose.service"] == service
            )
            return len(codes) >= count

        wait_for(f"{count} containers of {service} have ended", are_there, 30)
        return codes

    def remove(self) -> None:
        """Remove containers, networks, volumes and images."""
        if self._listener is not None:
            self._listener.terminate()
            self._listener.wait()
        self.compose("--profile", "monitoring", "down", "--volumes", "--timeout", "5", check=False)
        reference = f"reference=cratesort-*:{self.project}-*"
        images = self.docker("images", "--quiet", "--filter", reference).split()
        if images:
            self.docker("rmi", "--force", *sorted(set(images)), check=False)


def show_state(stack: Stack) -> None:
    """Print the state and the last log lines of all services."""
    print(stack.compose("ps", "--all", check=False))
    print(stack.compose("logs", "--tail", "15", check=False))


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds.

    Raises
    ------
    ComposeError
        It does not hold in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ComposeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
