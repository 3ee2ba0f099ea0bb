"""Errors of sounds and bundles.

A `SoundError` becomes a row of the results, never a traceback. A `BundleError` stops the worker.
"""

from enum import StrEnum
from typing import Final


class ErrorCode(StrEnum):
    """Why a sound has no category; `docs/reference/error-codes.md` explains each code."""

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
    STORAGE_ERROR = "storage_error"
    TIMED_OUT = "timed_out"
    CRASHED_READER = "crashed_reader"
    INTERNAL_ERROR = "internal_error"


#: Codes of files that could not be opened: their current size and modification time are unknown.
NOT_OPENED: Final = frozenset(
    {
        ErrorCode.MISSING_FILE,
        ErrorCode.PERMISSION_DENIED,
        ErrorCode.NOT_A_FILE,
        ErrorCode.OUTSIDE_ROOT,
        ErrorCode.SYMLINK_LOOP,
        ErrorCode.INVALID_PATH,
    }
)

#: Failures of the reader rather than of the file; its contents are still unknown.
READER_FAILURES: Final = frozenset(
    {ErrorCode.CRASHED_READER, ErrorCode.TIMED_OUT, ErrorCode.INTERNAL_ERROR}
)


class CratesortError(Exception):
    """Base of every error that this project raises on purpose; its message is for the user."""


class SoundError(CratesortError):
    """A fault of the file, recorded as a row with `code` and `message` and never retried.

    The message states what was expected and what was found, in words the user can act on.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnknownSampleTypeError(CratesortError):
    """A libsndfile subtype that `header_features.SAMPLE_TYPES` does not list."""


class BundleError(CratesortError):
    """A model bundle that cannot be trusted: wrong hash, format, labels or golden vectors."""
