"""Exit codes, and the errors that are shown as one line instead of a traceback."""

import errno
from enum import IntEnum
from typing import Final

#: Part of the error that Redis returns for a database number beyond its setting `databases`.
NO_SUCH_DATABASE: Final = "DB index"


class Exit(IntEnum):
    """The exit codes of all commands, on which scripts rely."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    #: A service or a storage is unreachable, full or read-only.
    UNREACHABLE = 3
    #: A bug, printed with its traceback. EX_SOFTWARE of <sysexits.h>; Python's own code would be 1.
    CRASHED = 70
    #: As a shell reports a program ended by Ctrl-C.
    INTERRUPTED = 130


def explain(error: Exception) -> tuple[str, Exit] | None:
    """Return the message for the user and the exit code; None for a bug."""
    from classifier.errors import CratesortError
    from training.errors import DatabaseAwayError
    from workers.errors import LibraryRootAwayError

    if isinstance(error, CratesortError):
        away = isinstance(error, (DatabaseAwayError, LibraryRootAwayError))
        away = away or (error.__cause__ is not None and _is_disk_full(error.__cause__))
        return str(error), Exit.UNREACHABLE if away else Exit.USAGE
    if isinstance(error, ModuleNotFoundError):
        return _explain_missing(error)

    import redis.exceptions

    from db.errors import plain
    from workers.faults import BROKER_AWAY

    if isinstance(error, redis.exceptions.AuthenticationError):
        return (
            "Redis refuses the password (or user) of CRATESORT_BROKER_URL; expected "
            "redis://:PASSWORD@HOST:6379/0",
            Exit.USAGE,
        )
    if isinstance(error, redis.exceptions.ResponseError) and NO_SUCH_DATABASE in str(error):
        return (
            "Redis has no database of the number in CRATESORT_BROKER_URL; expected 0 to 15 "
            "(its setting `databases`): redis://:PASSWORD@HOST:6379/0",
            Exit.USAGE,
        )
    if explained := _explain_database_error(error):
        return explained
    if isinstance(error, BROKER_AWAY):
        return (
            f"Redis cannot be reached: {plain(error)}\n"
            "Look at CRATESORT_BROKER_URL; `cratesort doctor` says what is reachable.",
            Exit.UNREACHABLE,
        )
    if isinstance(error, OSError):
        return _explain_system_error(error)
    return None


def _explain_database_error(error: Exception) -> tuple[str, Exit] | None:
    import sqlalchemy.exc

    from db.engine import DatabaseUrlError
    from db.errors import is_away, is_too_old, needs_writable, plain, refuses_user
    from db.prerequisites import OLDEST_POSTGRES

    if type(error) is sqlalchemy.exc.DatabaseError:
        return (
            f"the database cannot be used: {plain(error)}\n"
            "Look at CRATESORT_DATABASE_URL; does it name another program's file?",
            Exit.USAGE,
        )
    if isinstance(error, DatabaseUrlError):
        return f"CRATESORT_DATABASE_URL: {error}", Exit.USAGE
    if is_too_old(error):
        return (
            f"the database is too old ({plain(error)}); cratesort needs PostgreSQL "
            f"{OLDEST_POSTGRES} or newer",
            Exit.USAGE,
        )
    if refuses_user(error):
        said = plain(error).rpartition("failed: ")[2].removeprefix("FATAL: ")
        return f"the database refuses the login of CRATESORT_DATABASE_URL: {said}", Exit.USAGE
    if isinstance(error, sqlalchemy.exc.DBAPIError) and _is_disk_full(error):
        return (
            f"the disk of the database or of temporary files is full ({plain(error)}): free some "
            "space, or set CRATESORT_DATA_FOLDER or TMPDIR",
            Exit.UNREACHABLE,
        )
    if is_away(error):
        advice = "Look at CRATESORT_DATABASE_URL; `cratesort doctor` says what is reachable."
        if needs_writable(error):
            advice = (
                "Make it writable (of an SQLite file the folder too, even to read it),\n"
                "or set CRATESORT_DATABASE_URL to one that is."
            )
        return f"the database cannot be used: {plain(error)}\n{advice}", Exit.UNREACHABLE
    return None


def _is_disk_full(error: BaseException) -> bool:
    from db.errors import is_disk_full  # loads SQLAlchemy

    return is_disk_full(error)


def _explain_system_error(error: OSError) -> tuple[str, Exit] | None:
    from classifier.files.paths import path_text, printable
    from workers.faults import STORAGE_ERRNOS

    if _is_disk_full(error):
        file = error.filename or "the output or a temporary file"
        return (
            f"{file} could not be written whole: {error.strerror}; free some space there",
            Exit.UNREACHABLE,
        )
    is_storage = isinstance(error, ConnectionError | TimeoutError) or error.errno in STORAGE_ERRNOS
    code = Exit.UNREACHABLE if is_storage or error.errno == errno.EROFS else Exit.USAGE
    if isinstance(error.filename, str | bytes):
        return f"{printable(path_text(error.filename))}: {error.strerror}", code
    if is_storage:
        return f"the storage of a file does not answer: {error.strerror or error}", code
    if "temporary" in str(error.strerror):  # tempfile's message when no folder can be written
        return f"{error.strerror}: free some space, or set TMPDIR", Exit.UNREACHABLE
    return None


def _explain_missing(error: ModuleNotFoundError) -> tuple[str, Exit] | None:
    from training.extra import TRAINING_PACKAGES

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
