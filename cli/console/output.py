"""Output: a command's results on standard output, everything else on standard error."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import click

from cli.console.wrapping import wrapped

#: The width of a terminal that does not know it.
_DEFAULT_COLUMNS: Final = 80
#: A longer COLUMNS is ignored: no terminal is that wide, and Python limits the digits of a number.
_MOST_DIGITS: Final = 5

#: What the second and further lines of a message begin with.
_HANGING_INDENT: Final = "  "


def say(message: str = "") -> None:
    """Print sentences of a command's results to standard output, wrapped for a terminal."""
    print_line(_laid_out(message, sys.stdout))


def print_line(line: str) -> None:
    """Print a line to standard output as it is: a row of a table, JSON, text that is laid out."""
    click.echo(line)


def tell(message: str) -> None:
    """Print an error, a warning or a hint to standard error, wrapped for a terminal.

    A closed pipe there is ignored.
    """
    with contextlib.suppress(BrokenPipeError):
        # Named: click's own takes the stream below, and would write into a display of progress.
        click.echo(_laid_out(message, sys.stderr), file=sys.stderr)


def _laid_out(message: str, stream: TextIO) -> str:
    width = output_width(stream)
    lines = message.split("\n")
    return "\n".join(part for line in lines for part in wrapped(line, width, _HANGING_INDENT))


@contextlib.contextmanager
def closed_pipe_ignored() -> Iterator[None]:
    """End the block early if standard output is a closed pipe, and discard further output."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


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


def output_width(stream: TextIO | None = None) -> int | None:
    """Return the columns of the terminal that a stream is; None for a pipe or a file.

    - `stream`: by default standard output.

    The variable COLUMNS, if it is a usable number, is the width of any stream.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and len(columns) <= _MOST_DIGITS and int(columns) > 0:
        return int(columns)
    stream = stream or sys.stdout
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS
