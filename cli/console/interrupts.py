"""A second Ctrl-C that ends the program whatever it is doing.

Python runs a signal's handler between two of its own instructions. A library written in C that
does not return therefore cannot be interrupted by KeyboardInterrupt.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

from cli.console.exit_codes import Exit


@contextlib.contextmanager
def exit_at_second_interrupt() -> Iterator[None]:
    """End the process at the second Ctrl-C within the block; the first is KeyboardInterrupt.

    Nothing is lost: the ledger has the work, and a crash marker names the file that was being read.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    # Python's C handler writes each signal's number here at once, whatever the main thread does.
    # The other thread can read it while the C library has released the GIL, as cffi does.
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        interrupts = 0
        with receiver:
            while data := receiver.recv(64):
                interrupts += data.count(signal.SIGINT)
                if interrupts > 1:
                    os._exit(Exit.INTERRUPTED)

    threading.Thread(target=listen, name="second interrupt", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        sender.close()
