"""The README's sessions, run: what they print is what stands there, but for times."""

import re
import shlex
import subprocess
import sys
import time

import pytest

from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(start):
    (found,) = [one for one in BLOCKS if one.startswith(start)]
    return found.splitlines()


def without_times(lines):
    """Lines as they are on any machine: no seconds and no pace."""
    plain = "\n".join(line.rstrip() for line in lines if line.strip())
    return re.sub(r"in [\d.]+ s \([\d,]+ files/s\)", "in some time", plain)


def test_the_first_minute_looks_as_it_says(run_cli, tmp_path):
    # Given what `make ingest` does without a folder
    _, _, *shown, how_to_call_it = block("$ make ingest\n")
    assert how_to_call_it.startswith("To type cratesort in this shell: export PATH=")
    make = [sys.executable, REPOSITORY / "examples" / "make_library.py", ".cratesort/library"]
    made = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=True)
    done = run_cli("ingest", ".cratesort/library")
    # Then it prints what the README shows
    assert done.code == 0
    printed = [*made.stdout.splitlines(), *done.stdout.splitlines()]
    assert without_times(printed) == without_times(shown)


def test_a_folder_of_broken_files_looks_as_it_says(run_cli, shared_audio):
    _, *shown = block("$ make ingest DIR=~/broken\n")
    done = run_cli("ingest", shared_audio / "unreadable")
    assert done.code == 1
    printed = without_times(done.stdout.splitlines())
    before, after = without_times(shown).split("\n...\n")
    assert printed.startswith(before)
    assert after in printed


@pytest.fixture
def fleet(redis_url, postgres_server, library):
    """What the README's variables stand for, with a database that has no tables yet."""
    postgres_server.create_database("readme")
    yield {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": postgres_server.database_url("readme"),
        "CRATESORT_LIBRARY_ROOTS": f"packs={library}",
    }
    postgres_server.drop_database("readme")


def test_the_fleet_does_what_it_says(run_cli, fleet, library, tmp_path, worker_process):
    # Given the README's commands for a fleet without Docker, in their order
    lines = block("export CRATESORT_BROKER_URL")
    exported = dict(line.removeprefix("export ").split("=", 1) for line in lines[:3])
    assert set(exported) == set(fleet)
    services, codes = [], {}
    try:
        for line in filter(None, lines[3:]):
            _, *words = shlex.split(line.replace("/mnt/packs", str(library)), comments=True)
            if words[0] == "worker":
                # When those that go on are started, and the others are run to their end
                services.append(worker_process(*words[1:], settings=fleet))
                services[-1].__enter__()
            elif words[0] == "beat":
                continue  # `tests.integration.test_beat`
            elif "--watch" in words:
                codes[line] = run_cli("status", settings=fleet).code
            else:
                done = run_cli(*words, settings=fleet)
                codes[line] = done.code
                assert "Traceback" not in done.stderr
        deadline = time.monotonic() + 60
        while '"finished": true' not in run_cli("status", "--json", settings=fleet).stdout:
            assert time.monotonic() < deadline
    finally:
        for service in services:
            service.__exit__(None, None, None)
    # Then each of them succeeds
    assert set(codes.values()) == {0}, codes
