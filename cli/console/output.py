"""Output: a command's results on standard output, everything else on standard error."""

import contextlib
import json
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import Any

import click


def say(message: str = "") -> None:
    """Print a line of a command's results to standard output."""
    click.echo(message)


def tell(message: str) -> None:
    """Print a line about the work to standard error, and ignore a closed pipe there."""
    with contextlib.suppress(BrokenPipeError):
        # Named: click's own takes the stream below, and would write into a display of progress.
        click.echo(message, file=sys.stderr)


def discard_output() -> None:
    """Redirect standard output to /dev/null; otherwise Python's flush at exit prints an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 sound``, ``1,200 sounds``, ``2 batches``.

    - `plural`: by default the singular with an s.
    """
    noun = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {noun}"


def print_json(value: Any) -> None:
    """Print one JSON object on one line, the only thing on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def utc(moment: datetime) -> datetime:
    """Return a time from the database in UTC with its zone; SQLite returns UTC without one."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso_time(moment: datetime, timespec: str = "milliseconds") -> str:
    """Return a time from the database as ISO 8601 in UTC."""
    return utc(moment).isoformat(timespec=timespec)


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def output_width() -> int | None:
    """Return the columns of the terminal on standard output; None in a pipe, which has no width."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return shutil.get_terminal_size((80, 24)).columns
    return None
