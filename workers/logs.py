"""What a process logs: on standard error, one safe line a record, times in UTC.

What is not here: what a command answers or tells a person (`cli.terminal`).
"""

import logging
import sys
import time
from typing import Any

from classifier.paths import printable


def set_up_logging(level: str) -> None:
    """Send log records to standard error, one safe line each."""
    handler = _StderrHandler()
    handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _StderrHandler(logging.Handler):
    """Writes to what standard error is at the moment: a progress display puts itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201
        except Exception:
            self.handleError(record)


class OneLineFormatter(logging.Formatter):
    """Escapes control characters: a file name must not forge a log line or drive a terminal."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def converter(self, seconds: float | None) -> time.struct_time:
        """Return UTC: hosts of a fleet stand in different places."""
        return time.gmtime(seconds)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        """Return a traceback, its lines indented: none of them can pass for a record."""
        lines = super().formatException(ei).splitlines()
        return "\n".join("    " + printable(line) for line in lines)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Return the line, without the traceback, which keeps its own lines."""
        return printable(" ".join(super().formatMessage(record).splitlines()))
