"""Whether this host is the reason that a batch cannot be read: its mount is missing or empty."""

import os
import posixpath
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.files.extensions import has_audio_extension
from classifier.files.paths import path_bytes, path_text, printable
from workers.library_roots import OpenRoot
from workers.reading.sound_headers import SoundReading, read_sound, storage_failed

#: A batch of which nothing can be read is requeued this many times in a row, for any host. With the
#: back-off that takes at least a quarter of an hour. Then its sounds get error rows, because
#: otherwise the ingest would never end.
HOST_TRIES: Final = 8

_AWAY: Final = frozenset({ErrorCode.MISSING_FILE, ErrorCode.STORAGE_ERROR})

#: Most folders of the batch in which other sounds are tried, and most sounds tried in each.
_FOLDERS_TRIED: Final = 8
_NAMES_TRIED: Final = 16


def host_fault(
    root: OpenRoot,
    paths: Sequence[str],
    readings: Sequence[SoundReading],
    *,
    seen: bool,
    known: Callable[[], Collection[str]],
) -> str | None:
    """Return why this host cannot find or read sounds of a batch; None if the sounds are the cause.

    The sounds are the cause if other sounds of the batch or of its folders can be read, or if their
    folders are gone from a root that is mounted.

    - `seen`: whether the producer found any of the sounds on disk.
    - `known`: returns the names that the database has directly below the root.
    """
    failed = [_is_away(reading) for reading in readings]
    if not all(failed):
        if not any(map(storage_failed, readings)):
            return None
        # Read a good sound again: the storage may have failed in the middle of the batch.
        good = paths[len(failed) - 1 - failed[::-1].index(False)]
        again = read_sound(root, good)
        return _sentence(root, good, again) if _is_away(again) else None
    if not seen and not any(map(storage_failed, readings)):
        return None
    if not root.root.is_absolute:
        names = known()
        if fault := root.root.fault(names):
            return f"the library root {root.root.name!r}: {fault}; is it mounted?"
        if names and folders_are_gone(root, paths, readings):
            return None
    if any(_can_be_read(root, path) for path in _others(root, paths)):
        return None
    return _sentence(root, paths[0], readings[0])


def folders_are_gone(
    root: OpenRoot, paths: Sequence[str], readings: Sequence[SoundReading]
) -> bool:
    """Return whether all sounds are missing because their folders were renamed or removed.

    An unavailable mount leaves an empty folder or a broken link. Always False for absolute paths:
    a removable medium may be missing together with its mount point.
    """
    missing = ErrorCode.MISSING_FILE
    return (
        not root.root.is_absolute
        and all(
            isinstance(reading.outcome, SoundError) and reading.outcome.code is missing
            for reading in readings
        )
        and all(_is_gone(root, folder) for folder in set(map(posixpath.dirname, paths)))
    )


def _is_gone(root: OpenRoot, folder: str) -> bool:
    """Return whether a folder, or one above it, is absent from a folder that is not empty."""
    while folder:
        folder, name = posixpath.split(folder)
        try:
            fd, _ = root.open_folder(folder)
        except (OSError, SoundError):
            continue
        try:
            names = os.listdir(fd)
        except OSError:
            return False
        finally:
            os.close(fd)
        return bool(names) and os.fsdecode(path_bytes(name)) not in names
    return False


def _is_away(reading: SoundReading) -> bool:
    return isinstance(reading.outcome, SoundError) and reading.outcome.code in _AWAY


def _sentence(root: OpenRoot, path: str, reading: SoundReading) -> str:
    where = "" if root.root.is_absolute else f"library root {root.root.name!r}: "
    return (
        f"{where}no sound of the batch can be read on this host, such as {printable(path)}: "
        f"{reading.outcome}; is the folder mounted?"
    )


def _others(root: OpenRoot, paths: Sequence[str]) -> Iterator[str]:
    """Yield paths of other sounds in the same folders."""
    of_batch = set(paths)
    for folder in islice(dict.fromkeys(map(posixpath.dirname, paths)), _FOLDERS_TRIED):
        try:
            fd, _ = root.open_folder(folder)
        except (OSError, SoundError):
            continue
        try:
            with os.scandir(fd) as entries:
                names = (os.fsencode(entry.name) for entry in entries)
                sounds = (path_text(name) for name in names if has_audio_extension(name))
                others = (posixpath.join(folder, name) for name in sounds)
                yield from islice((path for path in others if path not in of_batch), _NAMES_TRIED)
        except OSError:
            continue
        finally:
            os.close(fd)


def _can_be_read(root: OpenRoot, path: str) -> bool:
    try:
        return not _is_away(read_sound(root, path))
    except OSError:
        return False
