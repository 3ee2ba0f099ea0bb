"""Ctrl-C, once and twice, in a program that a library in C does not let go of."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import clean_environment
from tests.support.processes import stands_still
from tests.support.servers.lifecycle import die_with_parent, wait_until

#: Stands in C for ever, with the interpreter let go, and answers whoever asks for a sign of life.
_STUCK = """
import ctypes, sys, threading
from cli.console.interrupts import exit_at_second_interrupt

def answer():
    for line in sys.stdin:
        print("alive", flush=True)

threading.Thread(target=answer, daemon=True).start()
lock = ctypes.create_string_buffer(64)
libc = ctypes.CDLL(None)
libc.pthread_mutex_lock(lock)
with exit_at_second_interrupt():
    print("stuck", flush=True)
    libc.pthread_mutex_lock(lock)
"""

#: Is interrupted in Python, tidies up, and is interrupted again behind the block.
_HANDLED = """
import os, signal
from cli.console.interrupts import exit_at_second_interrupt

for _ in range(3):
    try:
        with exit_at_second_interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            print("not interrupted")
    except KeyboardInterrupt:
        print("interrupted")
print(signal.set_wakeup_fd(-1))
"""

#: Is asked to stop in other ways too; those do not count.
_OTHERS = """
import os, signal, threading
from cli.console.interrupts import exit_at_second_interrupt

signal.signal(signal.SIGUSR1, lambda *_: print("told"))
with exit_at_second_interrupt():
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
print("done")
"""

_IN_A_THREAD = """
import threading
from cli.console.interrupts import exit_at_second_interrupt

def work():
    with exit_at_second_interrupt():
        print("worked")

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.fixture
def start(tmp_path):
    """Start programs in Python that end with the test."""
    started = []

    def start(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=clean_environment(tmp_path, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _interrupt_waits(pid):
    """Tell whether a SIGINT is still to be delivered to a process (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    (waiting,) = (line for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(waiting.split()[1], 16) & 1 << (signal.SIGINT - 1))


def test_the_second_ends_a_program_that_is_stuck_in_c_and_the_first_does_not(start):
    # Given a program that stands in a library's code
    process = start(_STUCK)
    assert process.stdout.readline() == "stuck\n"
    wait_until(lambda: stands_still(process.pid), "it is")
    # When it is interrupted once, then it still lives
    process.send_signal(signal.SIGINT)
    process.stdin.write("are you there?\n")
    process.stdin.flush()
    assert process.stdout.readline() == "alive\n"
    assert process.poll() is None
    # (Of two interrupts that wait at once, the kernel delivers one.)
    wait_until(lambda: not _interrupt_waits(process.pid), "the first is delivered")
    # When it is interrupted again, then it ends
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_each_block_counts_anew_and_puts_back_what_was_there(start):
    stdout, stderr = start(_HANDLED).communicate(timeout=60)
    assert stdout.split() == ["interrupted"] * 3 + ["-1"], stderr


def test_other_signals_do_not_count(start):
    process = start(_OTHERS)
    stdout, stderr = process.communicate(timeout=60)
    assert (stdout.split(), process.returncode) == (["told"] * 3 + ["done"], 0), stderr


def test_a_thread_that_may_not_ask_for_signals_works_all_the_same(start):
    stdout, stderr = start(_IN_A_THREAD).communicate(timeout=60)
    assert stdout == "worked\n", stderr
