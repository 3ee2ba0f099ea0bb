"""Exit codes, and the errors that are printed as a message instead of a traceback."""

import errno
import os
import shlex
from enum import IntEnum
from typing import Final, NamedTuple

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


class Explanation(NamedTuple):
    """What a user reads about an error, and the exit code.

    - `message`: what went wrong, for most errors one line.
    - `advice`: what to do, as a sentence; empty where the message contains it.
    """

    message: str
    exit_code: Exit
    advice: str = ""

    @property
    def text(self) -> str:
        """The message and the advice, which points at `cratesort doctor` during an outage."""
        if not self.advice:
            return self.message
        doctor = "; `cratesort doctor` shows what is reachable"
        ending = doctor if self.exit_code is Exit.UNREACHABLE else ""
        return f"{self.message}\n{self.advice}{ending}."


def explain(error: Exception) -> Explanation | None:
    """Return what to print about an error, and the exit code; None for a bug."""
    from classifier.errors import CratesortError
    from training.errors import DatabaseUnreachableError
    from workers.errors import LibraryRootAwayError

    if isinstance(error, CratesortError):
        away = isinstance(error, (DatabaseUnreachableError, LibraryRootAwayError))
        away = away or (error.__cause__ is not None and _is_disk_full(error.__cause__))
        return Explanation(str(error), Exit.UNREACHABLE if away else Exit.USAGE)
    if isinstance(error, ModuleNotFoundError):
        return _explain_missing(error)
    return (
        _explain_redis_error(error)
        or _explain_database_error(error)
        or (_explain_system_error(error) if isinstance(error, OSError) else None)
    )


def _explain_redis_error(error: Exception) -> Explanation | None:
    import redis.exceptions

    from db.errors import plain
    from workers.faults import BROKER_AWAY

    if isinstance(error, redis.exceptions.AuthenticationError):
        return Explanation(
            f"Redis rejects the user or password of CRATESORT_BROKER_URL: {plain(error)}",
            Exit.USAGE,
            "Expected redis://:PASSWORD@HOST:6379/0 with the password of that server",
        )
    if isinstance(error, redis.exceptions.ResponseError) and NO_SUCH_DATABASE in str(error):
        return Explanation(
            "Redis has no database with the number in CRATESORT_BROKER_URL",
            Exit.USAGE,
            "Expected redis://:PASSWORD@HOST:6379/NUMBER with a number from 0 to 15, or below the "
            "setting `databases` of that server",
        )
    if isinstance(error, redis.exceptions.ResponseError):
        return Explanation(
            f"Redis rejects a command: {plain(error)}",
            Exit.UNREACHABLE,
            "Check the memory, the permissions and the keys of Redis",
        )
    if isinstance(error, BROKER_AWAY):
        return Explanation(
            f"Redis cannot be reached: {plain(error)}",
            Exit.UNREACHABLE,
            "Check CRATESORT_BROKER_URL",
        )
    return None


def _explain_database_error(error: Exception) -> Explanation | None:
    import sqlalchemy.exc

    from classifier.files.paths import printable
    from db.engine import DatabaseUrlError
    from db.errors import (
        is_too_old,
        is_unreachable,
        lacks_permission,
        missing_database,
        needs_writable,
        plain,
        refuses_user,
    )
    from db.prerequisites import OLDEST_POSTGRES

    if type(error) is sqlalchemy.exc.DatabaseError:
        return Explanation(
            f"the database cannot be used: {plain(error)}",
            Exit.USAGE,
            "Check CRATESORT_DATABASE_URL: it may name a file of another program",
        )
    if isinstance(error, DatabaseUrlError):
        return Explanation(f"CRATESORT_DATABASE_URL: {error}", Exit.USAGE)
    if is_too_old(error):
        return Explanation(
            f"the PostgreSQL server is too old ({plain(error)}); cratesort needs PostgreSQL "
            f"{OLDEST_POSTGRES} or newer",
            Exit.USAGE,
        )
    if name := printable(missing_database(error) or ""):
        return Explanation(
            f'the database "{name}" does not exist on the server of CRATESORT_DATABASE_URL',
            Exit.USAGE,
            "Correct the name, or create the database for the user of that URL "
            f"(`createdb --owner=USER {shlex.quote(name)}`) and run `cratesort db upgrade`",
        )
    if lacks_permission(error):
        return Explanation(
            f"the PostgreSQL user of CRATESORT_DATABASE_URL lacks a permission: {plain(error)}",
            Exit.USAGE,
            "Connect as the owner of the tables, or let the owner run GRANT SELECT, INSERT, "
            "UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO that user, and GRANT USAGE ON ALL "
            "SEQUENCES IN SCHEMA public. Only the owner can run `cratesort db upgrade`",
        )
    if refuses_user(error):
        reason = plain(error).rpartition("failed: ")[2].removeprefix("FATAL: ").strip()
        return Explanation(
            f"PostgreSQL rejects the user or password of CRATESORT_DATABASE_URL: {reason}",
            Exit.USAGE,
        )
    if isinstance(error, sqlalchemy.exc.DBAPIError) and _is_disk_full(error):
        return Explanation(
            f"the disk of the database or of temporary files is full ({plain(error)}): free some "
            "space, or set CRATESORT_DATA_FOLDER or TMPDIR",
            Exit.UNREACHABLE,
        )
    if is_unreachable(error):
        advice = "Check CRATESORT_DATABASE_URL"
        if needs_writable(error):
            advice = (
                "Make it writable (for an SQLite file its folder, too, even to read it), or set "
                "CRATESORT_DATABASE_URL to another database"
            )
        return Explanation(f"the database cannot be used: {plain(error)}", Exit.UNREACHABLE, advice)
    return None


def _is_disk_full(error: BaseException) -> bool:
    from db.errors import is_disk_full  # loads SQLAlchemy

    return is_disk_full(error)


def _explain_system_error(error: OSError) -> Explanation | None:
    from classifier.files.paths import path_text, printable
    from workers.faults import STORAGE_ERRNOS

    if _is_disk_full(error):
        file = "the output or a temporary file"
        if isinstance(error.filename, str | bytes):
            file = printable(path_text(error.filename))
        return Explanation(
            f"{file} could not be written completely: {error.strerror}; free some space there",
            Exit.UNREACHABLE,
        )
    is_storage = isinstance(error, ConnectionError | TimeoutError) or error.errno in STORAGE_ERRNOS
    code = Exit.UNREACHABLE if is_storage or error.errno == errno.EROFS else Exit.USAGE
    if isinstance(error.filename, str | bytes):
        return Explanation(f"{printable(path_text(error.filename))}: {error.strerror}", code)
    if isinstance(error, FileNotFoundError) and _is_current_folder_deleted():
        return Explanation(
            "the current folder does not exist any more; change to another folder", Exit.USAGE
        )
    if is_storage:
        return Explanation(f"the storage of a file fails: {error.strerror or error}", code)
    if "temporary" in str(error.strerror):  # tempfile's message when no folder can be written
        return Explanation(f"{error.strerror}: free some space, or set TMPDIR", Exit.UNREACHABLE)
    return None


def _is_current_folder_deleted() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _explain_missing(error: ModuleNotFoundError) -> Explanation | None:
    from training.extra import TRAINING_PACKAGES

    extras = dict.fromkeys(TRAINING_PACKAGES, "training") | {"pyarrow": "parquet"}
    package = (error.name or "").partition(".")[0]
    if package not in extras:
        return None
    extra = extras[package]
    return Explanation(
        f"this command needs {package}, which the base install does not include; in the clone "
        f"run: pip install '.[{extra}]'",
        Exit.USAGE,
    )
