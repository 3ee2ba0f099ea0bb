"""What a process logs: on standard error, one safe line a record, times in UTC.

For a person text, for a program JSON: one object a line, so that nobody has to take sentences
apart. What a record is about (`batch`, `ingest`, ...) stands in both, in the sentence and as a
member of its own.
"""

import json
import logging
import os
import socket
import sys
import time
from typing import Any, Final, Literal

from classifier.files.paths import printable

#: ``auto``: text where a person reads it, on a terminal; else json.
LogFormat = Literal["auto", "json", "text"]

#: What a record may say of what it is about (``extra=`` of a logging call), in this order. Each is
#: a number or a short name of ours.
FIELDS: Final = (
    "ingest",
    "batch",
    "model_version",
    "classified",
    "failed",
    "headers_seconds",
    "folders_seconds",
    "model_seconds",
    "database_seconds",
)

#: Celery says twice of every message what we say once of every batch. What goes wrong it says
#: elsewhere, or louder.
_TALKATIVE: Final = ("celery.worker.strategy", "celery.app.trace")


def set_up_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send log records to standard error, one safe line each.

    Parameters
    ----------
    level : str
        Of Python's names.
    log_format : {"auto", "json", "text"}
    """
    if log_format == "auto":
        log_format = "text" if sys.stderr is not None and sys.stderr.isatty() else "json"
    handler = _StderrHandler()
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)  # Python would write lines of its own between ours
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)


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


class JsonFormatter(OneLineFormatter):
    """One JSON object a line; whatever is no ASCII is escaped, line ends and terminal codes too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            # Not only as JSON: `jq -r` prints it as it is, on a terminal.
            "message": printable(" ".join(record.getMessage().splitlines())),
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "logger": record.name,
        }
        line.update(
            (name, getattr(record, name))
            for name in FIELDS
            if getattr(record, name, None) is not None
        )
        if record.exc_info:
            line["exception"] = super().formatException(record.exc_info)
        return json.dumps(line, default=str)
