"""A small disk in memory, which can be filled: seen by this process and its children alone."""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

# From <linux/sched.h> and <linux/mount.h>.
_CLONE_NEWNS: Final = 0x00020000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000
_MNT_DETACH: Final = 2


def mount_memory(folder: Path, mebibytes: int) -> bool:
    """Mount a file system of this size on an empty folder; False where this user may not.

    It goes with the last of the processes that see it.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return False
    nothing = ctypes.c_char_p(None)
    # What is mounted from now on does not come to be seen outside.
    if libc.mount(b"none", b"/", nothing, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), nothing) != 0:
        return False
    size = f"size={mebibytes}m".encode()
    place = os.fsencode(folder)
    return bool(libc.mount(b"tmpfs", place, b"tmpfs", ctypes.c_ulong(0), size) == 0)


def unmount(folder: Path) -> None:
    """Take away what was mounted on a folder, if anything was."""
    ctypes.CDLL(None).umount2(os.fsencode(folder), _MNT_DETACH)
