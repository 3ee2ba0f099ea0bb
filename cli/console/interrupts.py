"""Ctrl-C raises KeyboardInterrupt in a command's own code, and ends the process everywhere else.

Python runs a signal's handler between two bytecode instructions, so KeyboardInterrupt cannot
interrupt a C library that does not return. A library that is being imported may swallow the
exception or replace it by another.

Ending at once loses nothing: the ledger has the work, and a crash marker names the file that was
being read.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from cli.console.exit_codes import Exit

_LOADER = "<frozen importlib"
_has_come = False


def has_come() -> bool:
    """Whether Ctrl-C was pressed since `raise_keyboard_interrupt`."""
    return _has_come


def end_the_process() -> None:
    """From now on, end the process at once on Ctrl-C: for start-up and after the command."""
    _handle_with(_end)


def raise_keyboard_interrupt() -> None:
    """From now on, raise KeyboardInterrupt at the first Ctrl-C unless a library is being loaded."""
    global _has_come
    _has_come = False
    _handle_with(_raise)
    sys.unraisablehook = _end_if_ignored


def _handle_with(handler: "signal._HANDLER") -> None:
    in_main_thread = threading.current_thread() is threading.main_thread()
    # A shell makes its background jobs ignore SIGINT; they keep ignoring it.
    if in_main_thread and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(Exit.INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> None:
    global _has_come
    if _has_come or _is_loading(frame):
        os._exit(Exit.INTERRUPTED)
    _has_come = True
    signal.default_int_handler(number, frame)


def _end_if_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """End the process at an interrupt that Python would ignore, as in a finaliser."""
    if ignored.exc_type is KeyboardInterrupt:
        os._exit(Exit.INTERRUPTED)
    sys.__unraisablehook__(ignored)


def _is_loading(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_LOADER):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def exit_at_second_interrupt() -> Iterator[None]:
    """End the process at the second Ctrl-C within the block, whatever the main thread does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    import socket

    # Python's C handler writes each signal's number here at once, whatever the main thread does.
    # The thread below reads it if the main thread's C library has released the GIL, as cffi does.
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
