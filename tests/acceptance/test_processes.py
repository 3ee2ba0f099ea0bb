"""Each command as users run it: a process of its own, whose exit code a script can trust."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import sounds
from tests.support.command_line import clean_environment, run_as_process, run_in_process


@pytest.fixture(scope="module")
def run(home):
    """A command as a process, in a home that knows a sound and a file that is none."""
    (home / "sounds").mkdir()
    (home / "sounds" / "kick.wav").write_bytes(sounds.encoded())
    (home / "sounds" / "broken.wav").write_bytes(b"no sound")
    (home / "table.csv").write_text("file_path\nkick.wav\n")
    assert run_in_process(["ingest", "sounds"], home, {}).code == 1
    return lambda *arguments: run_as_process(arguments, home, {})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ingest", "sounds/kick.wav"), 0),
        (("ingest", "sounds"), 1),
        (("ingest", "nowhere"), 2),
        (("status",), 0),
        (("results",), 0),
        (("forget", "--gone"), 0),
        (("retry", "--failed"), 1),
        (("explain", "sounds/kick.wav"), 0),
        (("predict", "--from-csv", "table.csv"), 0),
        (("labels", "stats"), 0),
        (("models", "list"), 0),
        (("train",), 2),
        (("study", "--from-csv", "table.csv"), 2),
        (("worker",), 2),
        (("beat",), 2),
        (("intake",), 2),
        (("flower",), 2),
        (("db", "upgrade"), 0),
        (("doctor",), 0),
        (("health",), 0),
        (("metrics", "--print"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_command_ends_with_its_code_and_without_a_traceback(run, arguments, code):
    done = run(*arguments)
    assert done.code == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout or done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("results",), ("status", "--json"), ("labels", "export")])
def test_output_cut_off_by_a_full_disk_is_reported(run, home, arguments):
    run("labels", "set", "sounds/kick.wav", "drum")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=home,
            env=clean_environment(home, {}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (
        3,
        "cratesort: the output or a temporary file could not be written completely: "
        "No space left on device; free some space there\n",
    )


@pytest.mark.parametrize(
    ("closed", "arguments", "code", "stderr"),
    [
        (">&-", ("status",), 0, ""),
        (">&- 2>&- <&-", ("results",), 0, ""),
        ("<&-", ("ingest", "--manifest", "-"), 2, "standard input is closed"),
    ],
    ids=["output", "everything", "input"],
)
def test_a_closed_output_pipe_is_no_error(home, closed, arguments, code, stderr):
    command = [sys.executable, "-m", "cli", *arguments]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=home,
        env=clean_environment(home, {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert stderr in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(("path", "code"), [("sounds", 1), ("sounds/kick.wav", 0)])
def test_an_ingest_into_a_pipe_that_nobody_reads_keeps_its_exit_code(
    run, home, path, code, options
):
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    done = subprocess.run(
        [sys.executable, "-m", "cli", "ingest", path, *options],
        cwd=home,
        env=clean_environment(home, {}),
        stdout=writing_end,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing_end)
    assert (done.returncode, done.stderr) == (code, "")
