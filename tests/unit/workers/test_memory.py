"""The bound on what a child may take, in a process that may be bounded."""

import subprocess
import sys

import pytest

from tests.support.command_line import clean_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and obeys")

_PROGRAM = """
import resource
from workers.memory import memory_limit

def take(mebibytes):
    try:
        return bool(bytearray(mebibytes * 1024**2))
    except MemoryError:
        return False

{lines}
"""


@pytest.fixture
def said(tmp_path):
    """Run lines of Python in a process of their own; return what they print."""

    def run(*lines):
        program = _PROGRAM.format(lines="\n".join(lines))
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=clean_environment(tmp_path, {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_after_the_block_memory_is_limited(said):
    assert said("with memory_limit(256): pass", "print(take(64), take(512))") == ["True", "False"]


def test_memory_allocated_in_the_block_does_not_count(said):
    lines = ["with memory_limit(256):", "    model = bytearray(512 * 1024**2)", "print(take(64))"]
    assert said(*lines) == ["True"]


def test_the_limit_is_lifted_within_the_next_block(said):
    lines = ["with memory_limit(256): pass", "with memory_limit(256): print(take(512))"]
    assert said(*lines, "print(take(512))") == ["True", "False"]


def test_a_process_that_reached_the_limit_continues(said):
    lines = ["with memory_limit(256): pass", "print(take(512), take(64), take(512), take(64))"]
    assert said(*lines) == ["False", "True", "False", "True"]


def test_an_existing_lower_limit_is_never_raised(said):
    lines = [
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
        "with memory_limit(1 << 30): pass",
        "print(resource.getrlimit(resource.RLIMIT_AS) == (1 << 40, 1 << 40))",
    ]
    assert said(*lines) == ["True"]
