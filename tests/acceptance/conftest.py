"""What the acceptance tests share: one line each to ingest, and to read the results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier.files.paths import path_text
from db.engine import create_engine
from db.results import labels as labels_table
from db.results import sounds as sounds_table
from db.results import training_rows
from db.results.sounds import Failure, Prediction, SoundResult
from tests.support.command_line import CliResult, parsed, run_in_process
from tests.support.sounds import encoded


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


@pytest.fixture
def folder(tmp_path) -> Path:
    """A library of one good sound, where a module has none of its own."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "kick.wav").write_bytes(encoded())
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home that all tests of a module share."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run_at_home(home) -> Callable[..., CliResult]:
    """``cratesort`` in the module's shared home."""

    def run(*arguments: Any, **options: Any) -> CliResult:
        return run_in_process(arguments, home, options.pop("settings", {}), **options)

    return run


# Labels: rows and labels are looked at in the database, which is quicker than by the command line.


@pytest.fixture
def label_settings(sqlite_url, tmp_path) -> dict[str, str]:
    """The settings of a host that has the root packs; tests may turn them to another database."""
    (tmp_path / "packs").mkdir()
    return {
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_LIBRARY_ROOTS": f"packs={tmp_path}/packs",
    }


@pytest.fixture
def labels(run_cli, label_settings) -> Callable[..., CliResult]:
    """Run ``cratesort labels ...`` there."""

    def run(*arguments: Any, stdin: bytes = b"", **more: str) -> CliResult:
        return run_cli("labels", *arguments, stdin=stdin, settings=label_settings | more)

    return run


@pytest.fixture
def save(label_settings) -> Callable[..., None]:
    """Write rows as a worker does: ``save("a.wav", b"caf\\xe9.wav", root="packs")``."""

    def save(*paths: str | bytes, root: str = "packs", failure: Failure | None = None) -> None:
        outcome = failure or Prediction((0.45, *[0.05] * 11), "model-1")
        results = [
            SoundResult(root, path_text(path), "a pack", "a vendor", 1, 1, None, outcome)
            for path in paths
        ]
        engine = create_engine(label_settings["CRATESORT_DATABASE_URL"])
        with engine.begin() as connection:
            sounds_table.save(connection, results)
        engine.dispose()

    return save


@pytest.fixture
def labelled(label_settings) -> Callable[[], dict[str, tuple[str, str]]]:
    """The current labels: path to category and source."""

    def read() -> dict[str, tuple[str, str]]:
        engine = create_engine(label_settings["CRATESORT_DATABASE_URL"])
        with engine.begin() as connection:
            found = {
                label.path: (label.category, str(label.source))
                for label in labels_table.current(connection)
            }
        engine.dispose()
        return found

    return read


@pytest.fixture
def given(label_settings) -> Callable[[], int]:
    """How many labels were ever given."""

    def count() -> int:
        engine = create_engine(label_settings["CRATESORT_DATABASE_URL"])
        with engine.begin() as connection:
            number = training_rows.labels_since(connection, 0)
        engine.dispose()
        return number

    return count


@pytest.fixture
def fleet(redis_url, sqlite_url, folder) -> dict[str, str]:
    """The settings of a fleet whose one library root is the module's `folder`, by its name."""
    return {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_LIBRARY_ROOTS": f"{folder.name}={folder}",
    }
