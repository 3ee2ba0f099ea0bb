"""The example library of `make ingest` has a database of its own."""

import shutil
import subprocess

import pytest

from tests.support.places import REPOSITORY

STUB = """#!/bin/sh
echo "$(basename $0) $1 ${CRATESORT_DATABASE_URL#sqlite:///}"
"""


@pytest.fixture
def make(tmp_path):
    """Run targets of the Makefile in a folder where every program only tells its database."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    (programs.parent / ".base").touch()
    for name in ("cratesort", "python"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)

    def make(*arguments):
        command = ["env", "-u", "CRATESORT_DATABASE_URL", "-u", "MAKEFLAGS", "make", "-s"]
        done = subprocess.run(
            [*command, "-o", ".venv/.base", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        )
        *_, line = done.stdout.splitlines()
        return line.split()[-1].removeprefix(f"{tmp_path}/")

    return make


def test_the_example_library_uses_a_separate_database(make, tmp_path):
    example, own = ".cratesort/example/cratesort.db", ".cratesort/cratesort.db"
    assert make("ingest") == make("results") == make("status") == example
    assert make("ingest", "DIR=~/Samples") == own
    (tmp_path / own).touch()
    assert make("results") == make("retry") == own
    assert make("ingest") == example
