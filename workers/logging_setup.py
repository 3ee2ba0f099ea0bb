"""Logging: to standard error, one safe line a record, times in UTC; text or JSON.

The subject of a record (`batch`, `ingest`, ...) is in its message and, in JSON, also a member.
"""

import contextlib
import io
import json
import logging
import os
import socket
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

from classifier.files.paths import printable

#: ``auto``: text on a terminal, else JSON.
LogFormat = Literal["auto", "json", "text"]

#: The members that a JSON record may have of its own (``extra=`` of a logging call), in this order:
#: numbers and short names.
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

#: Celery logs two lines a message, where we log one a batch. It logs failures elsewhere.
_VERBOSE_LOGGERS: Final = ("celery.worker.strategy", "celery.app.trace")


def set_up_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send log records to standard error."""
    if log_format == "auto":
        log_format = "text" if sys.stderr is not None and sys.stderr.isatty() else "json"
    if log_format == "json":
        stream = sys.stderr.stream if isinstance(sys.stderr, _JsonLines) else sys.stderr
        handler = _StderrHandler(stream)
        handler.setFormatter(JsonFormatter())
        # Direct writes to standard error (tracebacks, libraries) become records, too.
        sys.stderr = sys.__stderr__ = _JsonLines(stream, handler)  # type: ignore[assignment,misc]
    else:
        handler = _StderrHandler()
        handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # For loggers that do not propagate and have no handler, such as billiard's.
    logging.lastResort = handler
    logging.captureWarnings(True)  # Python would write them itself, in its own format
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)


class BatchLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs about one batch: its id begins the sentence and is a member of the record."""

    def __init__(self, logger: logging.Logger, batch_id: int) -> None:
        super().__init__(logger, {"batch": batch_id})
        self._prefix = f"batch {batch_id}: "

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        """Add the id."""
        return super().process(self._prefix + msg, kwargs)


def log_from_signal(message: str) -> None:
    """Log from a signal handler, which may interrupt Python while it writes another record."""
    record = logging.LogRecord("signal", logging.WARNING, "", 0, message, (), None)
    for handler in logging.getLogger().handlers:
        with contextlib.suppress(OSError):  # standard error is closed
            os.write(2, (handler.format(record) + "\n").encode())


class _StderrHandler(logging.Handler):
    """Writes to a stream, or to the current `sys.stderr`, which a progress display replaces."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            print(self.format(record), file=self._stream or sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _JsonLines(io.TextIOBase):
    """A replacement for standard error that turns each line into a log record."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO, handler: logging.Handler) -> None:
        self.stream = stream
        self._handler = handler
        self._line = ""

    def write(self, text: str) -> int:
        """Log each complete line, and keep the rest."""
        *lines, self._line = (self._line + text).split("\n")
        for line in filter(str.strip, lines):
            self._handler.handle(
                logging.LogRecord("stderr", logging.WARNING, "", 0, line, (), None)
            )
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.stream.fileno()


class OneLineFormatter(logging.Formatter):
    """Escapes control characters: a file name must not forge a log line or drive a terminal."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        """Return a traceback with indented lines, which cannot look like records."""
        lines = super().formatException(ei).splitlines()
        return "\n".join("    " + printable(line) for line in lines)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Return the record as one line, without its traceback."""
        return printable(" ".join(super().formatMessage(record).splitlines()))


class JsonFormatter(OneLineFormatter):
    """One JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            # Escaped before JSON does it, too: `jq -r` prints the message raw on a terminal.
            "message": printable(" ".join(record.getMessage().splitlines())),
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "logger": record.name,
        }
        for name in FIELDS:
            if getattr(record, name, None) is not None:
                line[name] = getattr(record, name)
        if record.exc_info:
            line["exception"] = super().formatException(record.exc_info)
        return json.dumps(line, default=str)
