"""The line that a user reads about an error, and the exit code."""

import errno

import pytest

from cli.console.exit_codes import Exit, explain


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EIO, "Input/output error", "/a/list.txt"), "/a/list.txt: Input/output"),
        (OSError(errno.ETIMEDOUT, "Timed out", b"/a/\x1b.wav"), r"/a/\x1b.wav: Timed out"),
        (OSError(errno.ECONNRESET, "Reset"), "the storage of a file does not answer: Reset"),
        (OSError(errno.EIO, "Input/output error"), "the storage of a file does not answer: Input"),
        (TimeoutError("slow"), "the storage of a file does not answer: slow"),
    ],
)
def test_an_error_of_storage_is_no_error_of_redis(error, message):
    told, code = explain(error)
    assert told.startswith(message)
    assert code is Exit.UNREACHABLE
