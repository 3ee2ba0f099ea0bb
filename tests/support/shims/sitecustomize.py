"""Makes the header reader misbehave, in every process that finds this folder on its PYTHONPATH.

A file named ``abort*`` ends the process as libsndfile's asserts do. ``memory*`` finds no memory and
``exit*`` raises what ends a process. ``endless*`` is never read to
its end; ``stuck*`` neither, and no signal handler of Python's runs meanwhile; ``gate*`` is not
while the file that TEST_GATE names exists, beside which each process that comes to it leaves a file
with its id. Each read leaves the names of all loaded modules in the
folder that TEST_MODULES names, in a file called like the process, and takes TEST_READ_SECONDS
longer. TEST_CLOCK_AHEAD_SECONDS sets the process's wall clock wrong.

The file that TEST_STORAGE names says in which condition storage is. ``EIO`` or another error's
name: every file and folder of a library fails with it; ``EIO 3``: a third of the files do, when
they are read; ``slow 0.1``: each takes so many seconds to open.

With TEST_TRAINING there are enough labels for a training run, whose work is that of
`tests.support.held_training` in the folder it names.
"""

import ctypes
import errno
import os
import sys
import time
import types
import zlib
from pathlib import Path

_time, _ahead = time.time, float(os.environ.get("TEST_CLOCK_AHEAD_SECONDS", "0"))
if _ahead:
    # Before anything else is imported, which may keep the function under a name of its own.
    time.time = lambda: _time() + _ahead

from classifier.files import safe_open  # noqa: E402
from classifier.headers import reader  # noqa: E402

_read_header, _openat2 = reader.read_header, safe_open._openat2


def storage_condition() -> tuple[str, str]:
    """What is wrong with the storage, and how much; twice nothing where it is well."""
    file = os.environ.get("TEST_STORAGE")
    said = Path(file).read_text().split() if file is not None else []
    condition, amount, *_ = [*said, "", ""]
    return condition, amount


def fail(condition: str) -> None:
    number = getattr(errno, condition)
    raise OSError(number, os.strerror(number))


def openat2(root_fd: int, raw: bytes, flags: int, follow_links: bool) -> int:
    condition, amount = storage_condition()
    if condition == "slow":
        time.sleep(float(amount))
    elif condition and not amount:
        fail(condition)
    return _openat2(root_fd, raw, flags, follow_links)


def read_header(fd: int, size_bytes: int, name: str) -> reader.HeaderReading:
    name = os.path.basename(name)
    gate, modules = os.environ.get("TEST_GATE"), os.environ.get("TEST_MODULES")
    if modules is not None:
        Path(modules, str(os.getpid())).write_text("\n".join(sorted(sys.modules)))
    time.sleep(float(os.environ.get("TEST_READ_SECONDS", "0")))
    condition, amount = storage_condition()
    if (
        condition not in ("", "slow")
        and amount
        and zlib.crc32(os.fsencode(name)) % int(amount) == 0
    ):
        fail(condition)
    if name.startswith("abort"):
        os.abort()
    if name.startswith("memory"):
        raise MemoryError
    if name.startswith("exit"):
        raise SystemExit(1)
    if name.startswith("stuck"):
        # Taken twice, a lock waits for ever within the C library, as a decoder's loop would.
        lock = ctypes.create_string_buffer(64)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(lock)
    if name.startswith("gate") and gate is not None:
        Path(f"{gate}-{os.getpid()}").touch()
    while name.startswith("endless") or (name.startswith("gate") and Path(gate or "").is_file()):
        time.sleep(0.02)
    return _read_header(fd, size_bytes, name)


reader.read_header = read_header
if "TEST_STORAGE" in os.environ:
    safe_open._openat2 = openat2

if "TEST_TRAINING" in os.environ:
    from db.results import training_rows
    from tests.support.held_training import held_work

    training_rows.labels_since = lambda *_: 1_000_000
    # In place of the module that loads TensorFlow, which takes as long as all the rest.
    retrain = types.ModuleType("training.runs.from_labels")
    retrain.retrain_labels = held_work(os.environ["TEST_TRAINING"])
    sys.modules["training.runs.from_labels"] = retrain
