"""``cratesort metrics``: serve numbers from the database and Redis in Prometheus' format."""

import logging
import signal
import sys
from typing import TYPE_CHECKING, Final

import click

from cli.console.exit_codes import Exit
from cli.console.output import print_line

if TYPE_CHECKING:
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from cli.metrics.families import CratesortCollector

log = logging.getLogger(__name__)

#: In Prometheus' list of default ports, no exporter that a fleet is likely to run uses this one.
_PORT: Final = 9808


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 accepts connections from other hosts.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    help="Port to listen on; 0 chooses a free one.",
)
@click.option("--print", "to_stdout", is_flag=True, help="Print the metrics once and exit.")
def metrics(host: str, port: int, to_stdout: bool) -> None:
    """Serve metrics for Prometheus at http://HOST:PORT/metrics.

    Runs until Ctrl-C. The metrics are counted from the database at each request, so a restart does
    not reset them and one process is enough for a fleet. While the database is unreachable,
    cratesort_up is 0.

    Exit code: 0; with --print, 3 if the database is unreachable.
    """
    from cli.metrics.families import CratesortCollector
    from cli.metrics.readings import MetricReader
    from workers.logging_setup import set_up_logging
    from workers.settings import load_settings

    settings = load_settings()
    collector = CratesortCollector(MetricReader(settings))
    if to_stdout:
        set_up_logging(settings.log_level, settings.log_format)
        sys.exit(_print(collector))
    server, thread = _serve(collector, host, port)
    # After `_serve`: an address that cannot be used is reported as text, not as a log record.
    set_up_logging(settings.log_level, settings.log_format)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.DONE))
    log.info("metrics at http://%s:%d/metrics", host, server.server_port)
    thread.join()


def _print(collector: "CratesortCollector") -> Exit:
    from prometheus_client import generate_latest

    print_line(generate_latest(collector).decode().rstrip("\n"))
    return Exit.DONE if collector.database_answered else Exit.UNREACHABLE


def _serve(collector: "CratesortCollector", host: str, port: int) -> "tuple[WSGIServer, Thread]":
    from prometheus_client import CollectorRegistry, start_http_server

    # Not the library's own registry: it adds the memory and threads of this process to the metrics
    # of the fleet.
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        return start_http_server(port, host, registry)
    except OSError as error:
        raise click.UsageError(
            f"cannot listen at {host}:{port}: {error.strerror or error}; --host and --port choose "
            "another address of this host"
        ) from error
