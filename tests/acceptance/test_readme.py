"""The README's commands for a fleet work, in their order."""

import re
import shlex
import time

import pytest

from tests.support.places import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


@pytest.fixture
def fleet(redis_url, postgres_server, library):
    """Values for the README's variables, with a database that has no tables yet."""
    postgres_server.create_database("readme")
    yield {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": postgres_server.database_url("readme"),
        "CRATESORT_LIBRARY_ROOTS": f"packs={library}",
    }
    postgres_server.drop_database("readme")


def test_the_fleet_of_the_readme_works(run_cli, fleet, library, worker_process):
    # Given the README's commands for a fleet, in their order
    (block,) = re.findall(r"^```\n(export CRATESORT_BROKER_URL.*?)^```$", README, re.M | re.S)
    lines = [line for line in block.splitlines() if line]
    exports = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
    assert {line.partition("=")[0] for line in exports} == set(fleet)
    services, codes = [], {}
    try:
        for line in lines[len(exports) :]:
            _, *words = shlex.split(line.replace("/mnt/packs", str(library)), comments=True)
            if words[0] == "worker":
                # When the worker is started, and the other commands are run to their end
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
