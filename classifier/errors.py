"""What can go wrong with a sound or a bundle, as a closed list.

A fault of the *sound* is a `SoundError`: it carries an `ErrorCode` and becomes a row in the
results, never a traceback. A fault of a *bundle* is a `BundleError`: it is loud and stops the
worker from serving with a model nobody can vouch for. Faults of the world (database away,
broker away) live where the world is touched: `workers.errors`.
"""

from enum import StrEnum
from typing import Final


class ErrorCode(StrEnum):
    """Why a sound has no category. The list is closed: `docs/error-codes.md` explains each."""

    MISSING_FILE = "missing_file"
    PERMISSION_DENIED = "permission_denied"
    NOT_A_FILE = "not_a_file"
    OUTSIDE_ROOT = "outside_root"
    SYMLINK_LOOP = "symlink_loop"
    INVALID_PATH = "invalid_path"
    EMPTY_FILE = "empty_file"
    TRUNCATED = "truncated"
    NOT_AUDIO = "not_audio"
    UNSUPPORTED_FORMAT = "unsupported_format"
    INVALID_HEADER = "invalid_header"
    LIMIT_EXCEEDED = "limit_exceeded"
    TIMED_OUT = "timed_out"
    CRASHED_READER = "crashed_reader"
    INTERNAL_ERROR = "internal_error"


#: A sound that was tried in vain: it is not known what is in it. The others were looked at, and
#: their rows say what is wrong with them.
GIVEN_UP: Final = frozenset(
    {ErrorCode.CRASHED_READER, ErrorCode.TIMED_OUT, ErrorCode.INTERNAL_ERROR}
)


class CratesortError(Exception):
    """Base of every error this project raises on purpose; its message is for a person."""


class SoundError(CratesortError):
    """The sound's own fault: recorded as a row with `code` and the message, never retried.

    Parameters
    ----------
    code : ErrorCode
        Which of the closed list.
    message : str
        What was expected and what came, in words a person can act on.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnknownSampleTypeError(CratesortError):
    """A libsndfile subtype that `features.SAMPLE_TYPES` does not list."""


class BundleError(CratesortError):
    """A model bundle that cannot be trusted: wrong hash, format, labels or golden vectors."""
