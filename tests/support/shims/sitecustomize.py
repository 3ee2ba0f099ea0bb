"""Makes the header reader misbehave, in every process that finds this folder on its PYTHONPATH.

A file named ``abort*`` ends the process as libsndfile's asserts do. ``memory*`` finds no memory and
``exit*`` raises what ends a process. ``endless*`` is never read to
its end; ``stuck*`` neither, and no signal handler of Python's runs meanwhile; ``gate*`` is not
while the file that TEST_GATE names exists, beside which each process that comes to it leaves a file
with its id. Each read leaves the names of all loaded modules in the
folder that TEST_MODULES names, in a file called like the process, and takes TEST_READ_SECONDS
longer. TEST_CLOCK_AHEAD_SECONDS sets the process's wall clock wrong.

With TEST_TRAINING there are enough labels for a training run, whose work is that of
`tests.support.held_training` in the folder it names.
"""

import ctypes
import os
import sys
import time
import types
from pathlib import Path

_time, _ahead = time.time, float(os.environ.get("TEST_CLOCK_AHEAD_SECONDS", "0"))
if _ahead:
    # Before anything else is imported, which may keep the function under a name of its own.
    time.time = lambda: _time() + _ahead

from classifier.headers import reader  # noqa: E402

_read_header = reader.read_header


def read_header(fd: int, size_bytes: int, name: str) -> reader.HeaderReading:
    name = os.path.basename(name)
    gate, modules = os.environ.get("TEST_GATE"), os.environ.get("TEST_MODULES")
    if modules is not None:
        Path(modules, str(os.getpid())).write_text("\n".join(sorted(sys.modules)))
    time.sleep(float(os.environ.get("TEST_READ_SECONDS", "0")))
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

if "TEST_TRAINING" in os.environ:
    from db.results import training_rows
    from tests.support.held_training import held_work

    training_rows.labels_since = lambda *_: 1_000_000
    # In place of the module that loads TensorFlow, which takes as long as all the rest.
    retrain = types.ModuleType("training.runs.from_labels")
    retrain.retrain_labels = held_work(os.environ["TEST_TRAINING"])
    sys.modules["training.runs.from_labels"] = retrain
