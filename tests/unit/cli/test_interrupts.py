"""Ctrl-C: in a command, while a library loads, in one that does not return, and at the end."""

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


#: A command of our own in place of one of cratesort's; what it prints comes before `BODY`.
_COMMAND = """
import os, signal, sys
import click
import cli.commands
from cli.__main__ import main

def press():
    os.kill(os.getpid(), signal.SIGINT)

@click.command()
def command():
    BODY

sys.modules["ours"] = sys.modules["__main__"]
cli.commands.COMMANDS["status"] = "ours:command"
code = main(["status"])
AFTER
print("ended with", code)
"""


@pytest.fixture
def run_command(start):
    """Run a command with this body to its end: its exit code, and what it printed."""

    def run(body, after=""):
        body = body.replace("\n", "\n    ")
        process = start(_COMMAND.replace("BODY", body).replace("AFTER", after))
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout.strip(), stderr.strip()

    return run


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


def test_the_second_interrupt_ends_a_program_stuck_in_c_code(start):
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


def test_each_block_counts_from_zero_and_restores_the_previous_handler(start):
    stdout, stderr = start(_HANDLED).communicate(timeout=60)
    assert stdout.split() == ["interrupted"] * 3 + ["-1"], stderr


def test_other_signals_do_not_count(start):
    process = start(_OTHERS)
    stdout, stderr = process.communicate(timeout=60)
    assert (stdout.split(), process.returncode) == (["told"] * 3 + ["done"], 0), stderr


def test_a_block_works_in_a_thread_without_signal_handling(start):
    stdout, stderr = start(_IN_A_THREAD).communicate(timeout=60)
    assert stdout == "worked\n", stderr


@pytest.mark.parametrize(
    "library",
    [
        "try:\n    press()\nexcept BaseException:\n    pass",
        "try:\n    press()\nexcept BaseException:\n    raise ImportError('numpy says so')",
        "press()",
    ],
    ids=["swallows", "renames", "lets through"],
)
def test_an_interrupt_during_an_import_ends_the_program_at_once(run_command, tmp_path, library):
    """Without a handler for it, a library that swallows it has the command go on."""
    (tmp_path / "library.py").write_text(f"from ours import press\n{library}\n")
    body = f"sys.path.insert(0, {str(tmp_path)!r})\nimport library\nprint('goes on')"
    assert run_command(body) == (130, "", "")


def test_an_interrupt_in_a_command_is_an_exception_and_the_second_ends_the_program(run_command):
    """What the command has open is closed in order, unless that takes too long."""
    body = "try:\n    press()\nfinally:\n    print('closed')"
    assert run_command(body) == (0, "closed\nended with 130", "")
    body = "try:\n    press()\nfinally:\n    press()\n    print('closed')"
    assert run_command(body) == (130, "", "")


def test_an_interrupt_that_python_would_ignore_ends_the_program_at_once(run_command):
    """In a finaliser, and where a weak reference is told; other errors there are still shown."""
    body = (
        "class Ours:\n    def __del__(self):\n        {}\nours = Ours()\ndel ours\nprint('goes on')"
    )
    assert run_command(body.format("press()")) == (130, "", "")
    code, stdout, stderr = run_command(body.format("raise ValueError('of a finaliser')"))
    assert (code, stdout) == (0, "goes on\nended with 0")
    assert "ValueError: of a finaliser" in stderr


def test_an_interrupt_that_a_library_turns_into_another_error_is_no_bug(run_command):
    """The driver of PostgreSQL does so: it then cannot roll back what it was doing."""
    body = "try:\n    press()\nexcept KeyboardInterrupt:\n    raise RuntimeError('autocommit')"
    assert run_command(body) == (0, "ended with 130", "")


def test_an_interrupt_after_the_command_ends_the_program_without_a_traceback(run_command):
    code, _, stderr = run_command("print('done')", "press()")
    assert (code, stderr) == (130, "")


def test_a_bug_gives_a_traceback_and_an_exit_code_of_its_own(run_command):
    code, stdout, stderr = run_command("raise RuntimeError('a bug')")
    assert (code, stdout) == (0, "ended with 70")
    assert stderr.startswith("Traceback")
    assert stderr.endswith(
        "RuntimeError: a bug\n"
        "cratesort: this is a bug in cratesort; please report it with the lines above"
    )


def test_a_wrong_option_is_exit_code_2(run_command):
    code, stdout, _ = run_command("raise click.ClickException('wrong')")
    assert (code, stdout) == (0, "ended with 2")
