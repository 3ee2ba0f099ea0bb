"""What the acceptance tests share: one line each to ingest, and to read the results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.processes import CliResult


def parsed(stdout: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines; split at newlines only, for a name may hold U+2028."""
    return [json.loads(line) for line in stdout.split("\n") if line]


@pytest.fixture
def read_results(run_cli) -> Callable[..., list[dict[str, Any]]]:
    """The rows of ``cratesort results --format json``."""

    def read(*options: str, settings: dict[str, str] | None = None) -> list[dict[str, Any]]:
        done = run_cli("results", "--format", "json", *options, settings=settings)
        assert done.code == 0, done.stderr
        return parsed(done.stdout)

    return read


@pytest.fixture
def ingest_json(run_cli) -> Callable[..., dict[str, Any]]:
    """What ``cratesort ingest ... --json`` printed, when it could work at all."""

    def ingest(*arguments: Any, **options: Any) -> dict[str, Any]:
        done = run_cli("ingest", *arguments, "--json", **options)
        assert done.code in (0, 1), done.stderr
        return dict(json.loads(done.stdout))

    return ingest


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home that all tests of a module share."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run_at_home(home) -> Callable[..., CliResult]:
    """``cratesort`` in the module's shared home."""

    def run(*arguments: Any, **options: Any) -> CliResult:
        return processes.run_cli(arguments, home, options.pop("settings", {}), **options)

    return run
