"""Exit codes, and the errors that are shown as one line instead of a traceback."""

import errno
from enum import IntEnum
from typing import Final

from classifier.errors import CratesortError
from training.errors import DatabaseAwayError
from training.extra import TRAINING_PACKAGES
from workers.errors import LibraryRootAwayError


class Exit(IntEnum):
    """The command line's contract with scripts."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    #: As a shell reports a program ended by Ctrl-C.
    INTERRUPTED = 130


DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def explain(error: Exception) -> tuple[str, Exit] | None:
    """Return the message for the user and the exit code; None for a bug."""
    if isinstance(error, CratesortError):
        away = isinstance(error, (DatabaseAwayError, LibraryRootAwayError))
        return str(error), Exit.UNREACHABLE if away else Exit.USAGE
    if isinstance(error, ModuleNotFoundError):
        return _explain_missing(error)

    import redis.exceptions
    import sqlalchemy.exc

    from db.engine import DatabaseUrlError
    from db.errors import is_away, plain
    from workers.faults import BROKER_AWAY

    if isinstance(error, redis.exceptions.AuthenticationError):
        return (
            "Redis refuses the password (or user) of CRATESORT_BROKER_URL; expected "
            "redis://:PASSWORD@HOST:6379/0",
            Exit.USAGE,
        )
    if type(error) is sqlalchemy.exc.DatabaseError:
        return (
            f"the database cannot be used: {plain(error)}\n"
            "Look at CRATESORT_DATABASE_URL; does it name another program's file?",
            Exit.USAGE,
        )
    if isinstance(error, DatabaseUrlError):
        return f"CRATESORT_DATABASE_URL: {error}", Exit.USAGE
    if is_away(error):
        return (
            f"the database cannot be used: {plain(error)}\n"
            "Look at CRATESORT_DATABASE_URL; `cratesort doctor` says what is reachable.",
            Exit.UNREACHABLE,
        )
    if isinstance(error, BROKER_AWAY):
        return (
            f"Redis cannot be reached: {plain(error)}\n"
            "Look at CRATESORT_BROKER_URL; `cratesort doctor` says what is reachable.",
            Exit.UNREACHABLE,
        )
    if isinstance(error, OSError):
        return _explain_system_error(error)
    return None


def _explain_system_error(error: OSError) -> tuple[str, Exit] | None:
    from classifier.files.paths import path_text, printable
    from workers.faults import STORAGE_ERRNOS

    is_storage = isinstance(error, ConnectionError | TimeoutError) or error.errno in STORAGE_ERRNOS
    code = Exit.UNREACHABLE if is_storage else Exit.USAGE
    if isinstance(error.filename, str | bytes):
        return f"{printable(path_text(error.filename))}: {error.strerror}", code
    if is_storage:
        return f"the storage of a file does not answer: {error.strerror or error}", code
    if error.errno in DISK_FULL:
        return f"the output could not be written whole: {error.strerror}", code
    return None


def _explain_missing(error: ModuleNotFoundError) -> tuple[str, Exit] | None:
    extras = dict.fromkeys(TRAINING_PACKAGES, "training") | {"pyarrow": "parquet"}
    package = (error.name or "").partition(".")[0]
    if package not in extras:
        return None
    extra = extras[package]
    return (
        f"this needs {package}, which the base install leaves out. In the clone: "
        f"pip install '.[{extra}]'",
        Exit.USAGE,
    )
