"""``cratesort models``: which there are, what one says of itself, which one serves."""

import json
from importlib import resources

import pytest

from classifier.artifact import read_manifest
from classifier.labels import CATEGORIES
from db import bundles
from db.engine import create_engine


@pytest.fixture
def starter():
    return resources.files("classifier").joinpath("starter", "starter.zip").read_bytes()


@pytest.fixture
def settings(sqlite_url):
    return {"CRATESORT_DATABASE_URL": sqlite_url}


@pytest.fixture
def store(sqlite_url):
    """Store these bytes under a version of this name."""

    def store(version, bundle):
        engine = create_engine(sqlite_url)
        with engine.begin() as connection:
            bundles.store(connection, version=version, bundle=bundle, metrics={})
        engine.dispose()

    return store


@pytest.fixture
def listed(run_cli, settings):
    """What ``models list --json`` lists, by version."""

    def read():
        done = run_cli("models", "list", "--json", settings=settings)
        assert done.code == 0, done.stderr
        return {model["version"]: model for model in json.loads(done.stdout)["models"]}

    return read


def test_at_first_there_is_the_starter_and_it_serves(listed, starter):
    (model,) = listed().values()
    assert model == {
        "version": read_manifest(starter).version,
        "serves": True,
        "size_bytes": len(starter),
        "created_at": None,
        "origin": "package",
    }


def test_the_list_for_people_marks_the_one_that_serves(run_cli, starter):
    lines = run_cli("models", "list").stdout.splitlines()
    assert lines[0].startswith(f"* {read_manifest(starter).version} ")
    assert "ships with cratesort" in lines[0]


def test_the_starter_shows_its_manifest(run_cli, starter):
    done = run_cli("models", "show", read_manifest(starter).version)
    assert done.code == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest == json.loads(json.dumps(read_manifest(starter).as_dict()))
    assert manifest["labels"] == list(CATEGORIES)


def test_an_unknown_version_is_said_and_exit_code_2(run_cli):
    done = run_cli("models", "show", "nowhere")
    assert (done.code, done.stdout) == (2, "")
    assert "there is no model 'nowhere'; `cratesort models list` shows" in done.stderr


def test_a_stored_model_is_listed_and_does_not_serve(listed, store, starter):
    store("mine", starter)
    models = listed()
    assert models["mine"]["serves"] is False
    assert models["mine"]["size_bytes"] == len(starter)
    assert models["mine"]["origin"] == "database"
    assert sum(model["serves"] for model in models.values()) == 1


def test_a_promoted_model_serves_until_the_starter_is_promoted(
    run_cli, listed, store, starter, settings
):
    version = read_manifest(starter).version
    store("mine", starter)
    assert run_cli("models", "promote", "mine", settings=settings).code == 0
    assert {name: model["serves"] for name, model in listed().items()} == {
        "mine": True,
        version: False,
    }
    assert run_cli("models", "promote", version, settings=settings).code == 0
    assert listed()[version]["serves"]


def test_a_model_that_does_not_load_is_not_promoted(run_cli, listed, store, settings):
    store("broken", b"not a bundle")
    done = run_cli("models", "promote", "broken", settings=settings)
    assert done.code == 2
    assert "Traceback" not in done.stderr
    assert not listed()["broken"]["serves"]


def test_a_damaged_champion_stops_the_ingest_and_no_sound_is_blamed_for_it(
    run_cli, settings, store, library, sqlite_url
):
    # Given a champion whose bytes are no bundle
    store("broken", b"not a bundle")
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        bundles.promote(connection, "broken")

    # When sounds are ingested
    stopped = run_cli("ingest", library, settings=settings)

    # Then one line says so, and nothing has been written about any sound
    assert stopped.code == 2
    assert "broken" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert run_cli("results", "--format", "json", settings=settings).stdout == ""

    # And when another model serves, the next run classifies them all
    with engine.begin() as connection:
        bundles.promote(connection, None)
    engine.dispose()
    assert run_cli("ingest", library, settings=settings).code == 0
    rows = run_cli("results", "--format", "json", settings=settings).stdout.splitlines()
    assert {json.loads(row)["error_code"] for row in rows} == {None}


def test_a_host_that_does_not_know_a_root_blames_no_sound(run_cli, settings, library, tmp_path):
    # Given work of a root that this host then no longer has
    with_root = settings | {"CRATESORT_LIBRARY_ROOTS": f"packs={library}"}
    without = settings | {"CRATESORT_LIBRARY_ROOTS": f"other={tmp_path}"}
    assert run_cli("ingest", "--no-wait", library, settings=with_root).code == 0

    # When it is asked for something else
    other = run_cli("ingest", tmp_path, settings=without)

    # Then it says which root it misses, and does what it was asked for
    assert other.code == 0
    assert "packs" in other.stderr
    assert "79 of them stay there" in other.stderr

    # And the host that has the root finishes the work at once
    assert run_cli("ingest", library, settings=with_root).code == 0
    status = json.loads(run_cli("status", "--json", settings=with_root).stdout)
    assert {state for state, count in status["batches"].items() if count} == {"done"}


def test_a_champion_that_calls_itself_otherwise_does_not_serve(
    run_cli, settings, store, library, starter, sqlite_url
):
    # Given the starter's bytes stored and promoted under another name
    store("v2", starter)
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        bundles.promote(connection, "v2")
    engine.dispose()

    # When sounds are ingested, then they are refused: their rows would name a third model
    stopped = run_cli("ingest", library, settings=settings)
    assert stopped.code == 2
    assert "v2" in stopped.stderr
    assert "starter-1" in stopped.stderr
