"""Pictures of a fleet at work: ``status --watch``, Flower and Prometheus.

The servers, the workers and the browser are started here and stopped at the end. A picture whose
program is not installed is left as it is.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from docs.pictures.source.scenes import disguised, environment, temporary_home
from docs.pictures.source.terminal import REPOSITORY, chunks, draw, screen_lines, start
from tests.support.servers import PostgresServer, RedisServer, ServerUnavailableError, running
from tests.support.servers.lifecycle import free_port, wait_until

#: How many copies of the example library are handed in: enough for two minutes of work.
_COPIES: Final = 1_500
_HOSTS: Final = ("studio-1", "studio-2")
_LOGIN: Final = "ada:lovelace"
_COLUMNS, _ROWS = 88, 16

_WATCHED: Final = (
    "A terminal. cratesort status --watch of a fleet at work: the state of the batches, a progress "
    "bar with the pace and the time that is left, and two hosts with their batches in progress."
)
_BACKLOG: Final = 'sum by (state) (cratesort_batches{state!="done"})'
_PROMETHEUS: Final = """\
global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 10s}}
rule_files: [{rules}]
scrape_configs: [{{job_name: cratesort, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


class Fleet:
    """Services of cratesort on servers of their own, and a library to classify."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home = home
        self._stack = stack
        redis, postgres = RedisServer(), PostgresServer()
        stack.enter_context(running(redis))
        stack.enter_context(running(postgres))
        postgres.create_database("cratesort")
        self._environment = {
            **environment(home),
            "CRATESORT_BROKER_URL": redis.url,
            "CRATESORT_DATABASE_URL": postgres.database_url("cratesort"),
            "CRATESORT_LIBRARY_ROOTS": f"packs={home / 'Samples'}",
            "CRATESORT_FLOWER_LOGIN": _LOGIN,
            "CRATESORT_BATCH_SIZE": "512",
        }
        self.run("db", "upgrade")

    def run(self, *arguments: str) -> None:
        """Run a command to its end."""
        command = [sys.executable, "-m", "cli", *arguments]
        subprocess.run(
            command,
            check=True,
            cwd=self._home,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self, *arguments: str, host: str = _HOSTS[0]) -> None:
        """Start a service, which ends with the fleet."""
        command = [sys.executable, "-m", "cli", *arguments]
        self._spawn(command, {**self._environment, "HOST": host})

    def start_program(self, *command: str) -> None:
        """Start another program, which ends with the fleet."""
        self._spawn(list(command), dict(os.environ))

    def _spawn(self, command: list[str], variables: dict[str, str]) -> None:
        process = subprocess.Popen(
            command,
            cwd=self._home,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._stack.callback(_end, process)

    def watch(self, wanted: re.Pattern[str]) -> list[str]:
        """Return the screen of ``status --watch`` when it first shows what is wanted."""
        command = [sys.executable, "-m", "cli", "status", "--watch"]
        pid, terminal = start(command, self._environment, self._home, _COLUMNS, _ROWS)
        written = ""
        try:
            for chunk in chunks(terminal):
                written += chunk.decode(errors="replace")
                *frames, _ = written.split("\x1b[H")
                lines = screen_lines(frames[-1]) if frames else []
                if any(wanted.search(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines):
                    return [disguised(line.rstrip(), self._home) for line in lines]
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        raise RuntimeError("status --watch ended")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _library(home: Path) -> Iterator[Path]:
    """Make ``~/Samples`` with many copies of the example library, linked rather than copied."""
    with tempfile.TemporaryDirectory(dir=home) as made:
        make_library = [sys.executable, REPOSITORY / "examples" / "make_library.py", made]
        subprocess.run(make_library, check=True, stdout=subprocess.DEVNULL)
        for number in range(1, _COPIES + 1):
            copy = home / "Samples" / f"crate {number:03}"
            shutil.copytree(made, copy, copy_function=os.link)
        yield home / "Samples"


def _screenshot(url: str, picture: Path, width: int, height: int) -> None:
    """Photograph a page with Chromium."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "chromium",
                "--headless=new",
                "--no-sandbox",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                "--virtual-time-budget=8000",
                f"--screenshot={picture}",
                url,
            ],
            check=True,
            timeout=120,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own server
            return bool(answer.status == 200)
    except OSError:
        return False


def make_fleet_pictures(folder: Path) -> Iterator[str]:
    """Make the pictures in a folder; yield what was made, or the reason why not."""
    with temporary_home() as home, ExitStack() as stack:
        try:
            fleet = Fleet(home, stack)
        except ServerUnavailableError as missing:
            yield f"skipped all: {missing}"
            return
        browser, prometheus = shutil.which("chromium"), shutil.which("prometheus")
        flower_port, metrics_port, prometheus_port = free_port(), free_port(), free_port()
        stack.enter_context(_library(home))
        for host in _HOSTS:
            fleet.start("worker", "--concurrency", "2", host=host)
        fleet.start("beat")
        fleet.start("flower", "--port", str(flower_port))
        fleet.start("metrics", "--port", str(metrics_port))
        wait_until(lambda: _answers(f"http://127.0.0.1:{flower_port}/healthcheck"), "Flower runs")
        if prometheus:
            configuration = home / "prometheus.yml"
            rules = REPOSITORY / "monitoring" / "alerts.yml"
            configuration.write_text(_PROMETHEUS.format(rules=rules, port=metrics_port))
            fleet.start_program(
                prometheus,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={home / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{prometheus_port}",
            )
        time.sleep(10)  # for the first of what is measured
        began = time.monotonic()
        fleet.run("ingest", str(home / "Samples"), "--no-wait")
        lines = fleet.watch(re.compile(r" [5-7]\d% "))
        (folder / "watch.svg").write_text(draw(lines, _COLUMNS, "watch", _WATCHED))
        yield "written    watch.svg"
        if not browser:
            yield "skipped the pages of Flower and Prometheus: apt-get install chromium"
            return
        flower = f"http://{_LOGIN}@127.0.0.1:{flower_port}"
        _screenshot(f"{flower}/tasks", folder / "flower-tasks.png", 1500, 790)
        yield "written    flower-tasks.png"
        _screenshot(f"{flower}/", folder / "flower-workers.png", 1280, 610)
        yield "written    flower-workers.png"
        if not prometheus:
            yield "skipped the page of Prometheus: apt-get install prometheus"
            return
        fleet.watch(re.compile(r"100%"))
        time.sleep(10)  # for the end of the curves
        # Debian's package has the classic pages only; others have them, too, up to version 2.
        seconds = f"{time.monotonic() - began + 10:.0f}s"
        graph = {"g0.expr": _BACKLOG, "g0.tab": 0, "g0.range_input": seconds}
        page = f"http://127.0.0.1:{prometheus_port}/classic/graph?{urllib.parse.urlencode(graph)}"
        _screenshot(page, folder / "prometheus.png", 1280, 830)
        yield "written    prometheus.png"
