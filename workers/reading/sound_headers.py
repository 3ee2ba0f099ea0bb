"""Reading the headers of a batch's sounds. Where storage is slow, files are opened ahead."""

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from classifier.errors import ErrorCode, SoundError
from classifier.files.safe_open import mtime_ns
from classifier.headers.reader import HeaderReading, read_header
from classifier.model.header_features import SAMPLE_TYPES
from workers.faults import MACHINE_ERRNOS
from workers.library_roots import Opened, OpenRoot
from workers.reading.prefetch import opened_ahead

#: Storage counts as slow if the median wait for the first files reaches this threshold: a local
#: disk takes a tenth of it, a network mount five times as much.
_FILES_TIMED: Final = 16
_SLOW_STORAGE_SECONDS: Final = 0.001

#: A sound whose storage failed is tried again after each of these pauses, after all other sounds.
_PAUSES_SECONDS: Final = (0.1, 0.5)
#: Time limit of a batch's further tries: storage may take seconds to fail.
_RETRY_SECONDS: Final = 5.0

_KNOWN_SAMPLE_TYPES: Final = frozenset({None, *SAMPLE_TYPES})


class SoundReading(NamedTuple):
    """A sound's header, or why it has none."""

    #: This and `mtime_ns` are None if the file could not be opened or its storage failed.
    file_size_bytes: int | None
    mtime_ns: int | None
    outcome: HeaderReading | SoundError


def read_headers(
    root: OpenRoot, paths: Sequence[str], before_each: Callable[[int], None]
) -> list[SoundReading]:
    """Read the headers of sounds one by one; call `before_each` with the index before each read.

    A sound whose storage fails is read again, after all others. Raises OSError when the machine
    fails (it has no memory, or too many files are open).
    """
    readings = _read_each(root, paths, before_each)
    failed = [index for index, reading in enumerate(readings) if storage_failed(reading)]
    deadline = time.monotonic() + _RETRY_SECONDS
    for pause_seconds in _PAUSES_SECONDS if failed else ():
        time.sleep(pause_seconds)
        for index in failed:
            if storage_failed(readings[index]) and time.monotonic() < deadline:
                before_each(index)
                readings[index] = read_sound(root, paths[index])
    return readings


def storage_failed(reading: SoundReading) -> bool:
    """Whether a sound could not be read because of its storage."""
    outcome = reading.outcome
    return isinstance(outcome, SoundError) and outcome.code is ErrorCode.STORAGE_ERROR


def _read_each(
    root: OpenRoot, paths: Sequence[str], before_each: Callable[[int], None]
) -> list[SoundReading]:
    readings: list[SoundReading] = []
    waited_seconds: list[float] = []
    for path in paths[:_FILES_TIMED]:
        before_each(len(readings))
        began, used = time.perf_counter(), time.thread_time()
        readings.append(read_sound(root, path))
        waited_seconds.append(time.perf_counter() - began - (time.thread_time() - used))
    rest = paths[_FILES_TIMED:]
    # The median: on a busy host some files wait for a processor, on slow storage all wait.
    if not rest or sorted(waited_seconds)[_FILES_TIMED // 2] < _SLOW_STORAGE_SECONDS:
        for path in rest:
            before_each(len(readings))
            readings.append(read_sound(root, path))
        return readings
    with opened_ahead(root.open_file, rest) as files:
        for path, opened in zip(rest, files, strict=True):
            before_each(len(readings))
            readings.append(_read_opened(opened, path))
    return readings


def read_sound(root: OpenRoot, path: str) -> SoundReading:
    """Open a sound and read its header, once; errors as for `read_headers`."""
    return _read_opened(lambda: root.open_file(path), path)


def _read_opened(opened: Callable[[], Opened], path: str) -> SoundReading:
    try:
        fd, status = opened()
    except SoundError as error:
        return SoundReading(None, None, error)
    except OSError as error:
        return SoundReading(None, None, _storage_error(error))
    outcome: HeaderReading | SoundError
    try:
        outcome = read_header(fd, status.st_size, path.rpartition("/")[2])
    except SoundError as error:
        outcome = error
    except OSError as error:
        # Without size and mtime the next ingest reads the file again.
        return SoundReading(None, None, _storage_error(error))
    finally:
        os.close(fd)
    if isinstance(outcome, HeaderReading):
        sample_type = outcome.header.sample_type
        if sample_type not in _KNOWN_SAMPLE_TYPES:
            # A type of a newer libsndfile: the model, and so the whole batch, would fail on it.
            outcome = SoundError(
                ErrorCode.UNSUPPORTED_FORMAT,
                f"its sample type {sample_type} is not supported by this version",
            )
    return SoundReading(status.st_size, mtime_ns(status), outcome)


def _storage_error(error: OSError) -> SoundError:
    """Return the outcome of a storage failure; re-raise errors of the machine or of our code."""
    if error.errno is None or error.errno == errno.EBADF or error.errno in MACHINE_ERRNOS:
        raise error
    name = errno.errorcode.get(error.errno, error.errno)
    return SoundError(
        ErrorCode.STORAGE_ERROR, f"the storage failed: {os.strerror(error.errno)} ({name})"
    )
