"""Open files and folders beneath a library root, and nothing outside it.

Paths in the ledger are untrusted, because any producer may write them. A path may be
``../../etc/shadow``, a FIFO that blocks forever, or a link that leads out of the root. On Linux the
kernel checks and opens in one step (`openat2` with RESOLVE_BENEATH), so no link can be swapped in
between. Elsewhere the path is resolved, checked, and opened component by component without
following links.
"""

import ctypes
import errno
import functools
import os
import stat
import sys
from collections.abc import Callable
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.files.extensions import has_audio_extension
from classifier.files.paths import path_bytes, printable

#: Larger files are rejected without reading. 64 GiB is some 30 hours of 32-bit stereo at 96 kHz.
MAX_FILE_SIZE_BYTES: Final = 64 * 1024**3

# include/uapi/linux/openat2.h; the system call has the same number on every architecture.
_SYS_OPENAT2: Final = 437
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08

# O_NONBLOCK: opening a FIFO does not wait for a writer. O_NOCTTY: a terminal must not become ours.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_NO_SUCH_CALL: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})

_REASONS: Final[dict[int, tuple[ErrorCode, str]]] = {
    errno.ENOENT: (ErrorCode.MISSING_FILE, "the file does not exist"),
    errno.ENOTDIR: (ErrorCode.MISSING_FILE, "a component of its path is not a folder"),
    errno.EACCES: (ErrorCode.PERMISSION_DENIED, "permission to read it was denied"),
    errno.EPERM: (ErrorCode.PERMISSION_DENIED, "permission to read it was denied"),
    errno.EXDEV: (ErrorCode.OUTSIDE_ROOT, "its path leads outside its library root"),
    errno.ELOOP: (ErrorCode.SYMLINK_LOOP, "its symbolic links form a loop"),
    errno.ENAMETOOLONG: (ErrorCode.INVALID_PATH, "its path is longer than the file system allows"),
    errno.EISDIR: (ErrorCode.NOT_A_FILE, "it is a folder, not a sound"),
    # From opening a socket, or a device without a driver. ENODEV is not listed: it means that the
    # storage is gone.
    errno.ENXIO: (ErrorCode.NOT_A_FILE, "it is a socket or a device, not a sound"),
    errno.EOPNOTSUPP: (ErrorCode.NOT_A_FILE, "it is a socket or a device, not a sound"),
}

_BROKEN_LINK: Final = (
    ErrorCode.MISSING_FILE,
    "it is a broken symbolic link: its target does not exist",
)

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def mtime_ns(status: os.stat_result) -> int:
    """Return a file's modification time in nanoseconds, clamped to a signed 64-bit integer.

    File systems can hold dates after the year 2262; databases and other programs cannot.
    """
    return max(-(2**63), min(status.st_mtime_ns, 2**63 - 1))


def open_root(root_path: str) -> int:
    """Open a library root, an absolute folder path; the caller closes the descriptor.

    Raises OSError: the root is missing or not readable. This is a transient error (such as an
    unmounted volume), not a `SoundError`.
    """
    return os.open(root_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_beneath(
    root_fd: int, path: str, *, follow_links: bool = True
) -> tuple[int, os.stat_result]:
    """Open a regular file beneath a root for reading, without following links out of the root.

    The caller closes the descriptor; the status is of the opened file itself.

    - `path`: relative to the root, as `classifier.files.paths.path_text` writes it.
    - `follow_links`: whether links that stay beneath the root are followed. False for paths that
      are already resolved: a link in such a path was added later, or leads to a target that the
      owner did not submit.

    Raises SoundError: the file is at fault. It is missing, not readable, not a regular file,
    outside the root or too large, its links form a loop, or its path is invalid.
    Raises OSError: any other error, such as an I/O error or too many open files.
    """
    fd = _open_or_raise(root_fd, path, follow_links)
    return fd, _required_status(fd, _require_regular)


def open_folder_beneath(
    root_fd: int, path: str, *, follow_links: bool = True
) -> tuple[int, os.stat_result]:
    """Open a folder beneath a root for listing, with the arguments and errors of `open_beneath`.

    An empty path is the root itself.
    """
    if path:
        fd = _open_or_raise(root_fd, path, follow_links)
    else:
        fd = os.open(b".", _FLAGS | os.O_DIRECTORY, dir_fd=root_fd)
    return fd, _required_status(fd, _require_folder)


def _required_status(fd: int, require: Callable[[os.stat_result], None]) -> os.stat_result:
    try:
        status = os.fstat(fd)
        require(status)
    except BaseException:
        os.close(fd)
        raise
    return status


def _open_or_raise(root_fd: int, path: str, follow_links: bool) -> int:
    """Open a path of any file type; the errors in `_REASONS` become a `SoundError`."""
    try:
        raw = path_bytes(path)
    except ValueError as error:
        raise SoundError(ErrorCode.INVALID_PATH, f"invalid path: {error}") from error
    if not raw or raw.startswith(b"/"):
        raise SoundError(
            ErrorCode.INVALID_PATH,
            f"expected a path relative to its library root, got {printable(path)!r}",
        )
    try:
        if _kernel_opens_beneath():
            return _openat2(root_fd, raw, _FLAGS, follow_links)
        return _open_checked(root_fd, raw, follow_links)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_links:
            raise _refused_link(root_fd, raw) from error
        reason = _reason_of(error, root_fd, raw)
        if reason is None:
            raise
        raise SoundError(*reason) from error


def _reason_of(error: OSError, root_fd: int, raw: bytes) -> tuple[ErrorCode, str] | None:
    if error.errno == errno.ENOENT and _is_link(root_fd, raw):
        return _BROKEN_LINK
    return _REASONS.get(error.errno or 0)


def _is_link(root_fd: int, raw: bytes) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(raw, dir_fd=root_fd).st_mode)
    except OSError:
        return False


def _require_folder(status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise SoundError(*_REASONS[errno.ENOTDIR])


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
        raise SoundError(ErrorCode.NOT_A_FILE, f"it is {kind}, not a sound")
    if status.st_size > MAX_FILE_SIZE_BYTES:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"it has {status.st_size:,} bytes; at most {MAX_FILE_SIZE_BYTES:,} are read",
        )


def _refused_link(root_fd: int, raw: bytes) -> SoundError:
    """Return the error for a link that was not followed: dangling, circular, or leading out."""
    try:
        os.stat(raw, dir_fd=root_fd)
    except OSError as error:
        reason = _reason_of(error, root_fd, raw)
        if reason is not None and reason[0] is not ErrorCode.PERMISSION_DENIED:
            return SoundError(*reason)
    target = (
        "to a file without an audio extension"
        if _lacks_audio_extension(root_fd, raw)
        else "outside the folder"
    )
    return SoundError(
        ErrorCode.OUTSIDE_ROOT,
        "its path contains a symbolic link that was not followed, because the link leads "
        f"{target}; ingest the target of the link instead",
    )


def _lacks_audio_extension(root_fd: int, raw: bytes) -> bool:
    """Whether a path leads to a file, not a folder, whose name has no audio extension."""
    try:
        target = os.path.realpath(os.path.join(_path_of(root_fd), raw), strict=True)
        return not os.path.isdir(target) and not has_audio_extension(os.path.basename(target))
    except (OSError, RecursionError):  # RecursionError: a long chain of links
        return False


@functools.cache
def _kernel_opens_beneath() -> bool:
    """Whether openat2 works here: from Linux 5.6, unless an older seccomp profile forbids it."""
    if not sys.platform.startswith("linux"):
        return False
    root_fd = open_root("/")
    try:
        os.close(_openat2(root_fd, b".", os.O_RDONLY | os.O_DIRECTORY, True))
    except OSError as error:
        if error.errno in _NO_SUCH_CALL:
            return False
        raise
    finally:
        os.close(root_fd)
    return True


def _openat2(root_fd: int, raw: bytes, flags: int, follow_links: bool) -> int:
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS
    if not follow_links:
        resolve |= _RESOLVE_NO_SYMLINKS
    how = _OpenHow(flags=flags | os.O_CLOEXEC, mode=0, resolve=resolve)
    # EAGAIN: a rename raced with the lookup. Retries are limited, so that endless renaming cannot
    # block a worker.
    for _ in range(16):
        fd: int = _libc().syscall(_SYS_OPENAT2, root_fd, raw, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _open_checked(root_fd: int, raw: bytes, follow_links: bool) -> int:
    """Open without openat2: resolve, check, then open each resolved component with O_NOFOLLOW.

    If a link is swapped in between the check and the open, O_NOFOLLOW makes the open fail.
    """
    root = os.path.realpath(_path_of(root_fd))
    path = os.path.join(root, raw)
    try:
        resolved = os.path.realpath(path, strict=True)
    except RecursionError:  # a long chain of links
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    if not follow_links and resolved != os.path.normpath(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not resolved.startswith(root.rstrip(b"/") + b"/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    *folders, name = os.path.relpath(resolved, root).split(b"/")
    fd = os.dup(root_fd)
    try:
        for folder in folders:
            below = os.open(
                folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd
            )
            os.close(fd)
            fd = below
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=fd)
    finally:
        os.close(fd)


def _path_of(fd: int) -> bytes:
    if sys.platform == "darwin":
        import fcntl

        # F_GETPATH fills a buffer of MAXPATHLEN (1,024 on macOS).
        return fcntl.fcntl(fd, 50, b"\0" * 1024).rstrip(b"\0")
    return os.readlink(f"/proc/self/fd/{fd}").encode(errors="surrogateescape")
