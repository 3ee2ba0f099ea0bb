"""``cratesort models``: which there are, what one says of itself, which one serves."""

import json
import shutil
from collections import Counter
from importlib import resources

import pytest
from sqlalchemy import update

from classifier.bundle import load
from classifier.bundle.load import read_manifest
from classifier.bundle.starter import starter_version
from classifier.categories import CATEGORIES
from db.engine import create_engine
from db.registry import bundles, training_runs
from db.states import RunTrigger, RunVerdict
from db.tables import models as models_table
from tests.support import sounds
from tests.support.bundles import called, endless


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
def run_made(sqlite_url):
    """Let a training run with this end have made a model of this version."""

    def run_made(version, verdict, metrics):
        engine = create_engine(sqlite_url)
        with engine.begin() as connection:
            run = training_runs.open_run(
                connection, slot=None, trigger=RunTrigger.HAND, lease_seconds=60, holder="h:1",
                seed=0, libraries={},
            )  # fmt: skip
            training_runs.close_done(
                connection, run.id, run.token, verdict=verdict, reason="macro F1 falls",
                model_version=version, sizes={}, metrics=metrics, report=None, last_label_id=0,
            )  # fmt: skip
        engine.dispose()

    return run_made


@pytest.fixture
def listed(run_cli, settings):
    """What ``models list --json`` lists, by version."""

    def read():
        done = run_cli("models", "list", "--json", settings=settings)
        assert done.code == 0, done.stderr
        return {model["version"]: model for model in json.loads(done.stdout)["models"]}

    return read


def test_at_first_the_starter_is_in_use(listed, starter):
    (model,) = listed().values()
    assert model == {
        "version": read_manifest(starter).version,
        "serves": True,
        "size_bytes": len(starter),
        "created_at": None,
        "origin": "package",
    }


def test_the_list_marks_the_model_in_use(run_cli, starter):
    lines = run_cli("models", "list").stdout.splitlines()
    assert lines[0].startswith(f"* {read_manifest(starter).version} ")
    assert "ships with cratesort" in lines[0]


def test_show_json_prints_the_manifest_of_the_starter(run_cli, starter):
    done = run_cli("models", "show", read_manifest(starter).version, "--json")
    assert done.code == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest == json.loads(json.dumps(read_manifest(starter).as_dict()))
    assert manifest["labels"] == list(CATEGORIES)


def test_a_model_is_shown_in_80_columns(run_cli, starter):
    manifest = read_manifest(starter)
    done = run_cli("models", "show", manifest.version, settings={"COLUMNS": "80"})
    assert done.code == 0, done.stderr
    assert f"{manifest.version}, ships with cratesort, in use" in done.stdout
    assert f"{manifest.training['sounds']:,} sounds of" in done.stdout
    assert f"macro F1 {manifest.metrics['by_vendor']['macro_f1']:.3f}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_an_unknown_version_is_exit_code_2(run_cli):
    done = run_cli("models", "show", "nowhere")
    assert (done.code, done.stdout) == (2, "")
    assert "there is no model 'nowhere'; `cratesort models list` shows" in done.stderr


def test_a_stored_model_is_listed_but_not_in_use(listed, store, starter):
    store("mine", starter)
    models = listed()
    assert models["mine"]["serves"] is False
    assert models["mine"]["size_bytes"] == len(starter)
    assert models["mine"]["origin"] == "database"
    assert sum(model["serves"] for model in models.values()) == 1


def test_a_promoted_model_is_in_use_until_the_starter_is_promoted(
    run_cli, listed, store, starter, settings
):
    version = read_manifest(starter).version
    store("mine", called("mine"))
    assert run_cli("models", "promote", "mine", "--yes", settings=settings).code == 0
    assert {name: model["serves"] for name, model in listed().items()} == {
        "mine": True,
        version: False,
    }
    assert run_cli("models", "promote", version, "--yes", settings=settings).code == 0
    assert listed()[version]["serves"]


@pytest.mark.parametrize(
    ("verdict", "metrics"), [(RunVerdict.PROMOTED, {}), (RunVerdict.STORED, {"passed_gate": True})]
)
def test_a_model_that_was_found_better_is_promoted_at_once(
    run_cli, listed, store, run_made, settings, verdict, metrics
):
    store("mine", called("mine"))
    run_made("mine", verdict, metrics)
    assert run_cli("models", "promote", "mine", settings=settings).code == 0
    assert listed()["mine"]["serves"]


@pytest.mark.parametrize(
    ("has_run", "reason"), [(True, "macro F1 falls"), (False, "no training run in this database")]
)
def test_a_model_that_passed_no_gate_is_promoted_only_with_yes(
    run_cli, listed, store, run_made, settings, has_run, reason
):
    # Given a model that no comparison found better
    store("mine", called("mine"))
    if has_run:
        run_made("mine", RunVerdict.KEPT, {"passed_gate": False})
    # When it is promoted, then that is refused with the reason
    done = run_cli("models", "promote", "mine", settings=settings)
    assert done.code == 2
    assert f"mine was not found better than the model in use: {reason}" in done.stderr
    assert "cratesort models promote mine --yes" in done.stderr
    assert not listed()["mine"]["serves"]
    # Unless the user confirms it
    assert run_cli("models", "promote", "mine", "--yes", settings=settings).code == 0
    assert listed()["mine"]["serves"]


def test_a_model_that_does_not_load_is_not_promoted(run_cli, listed, store, settings):
    store("broken", b"not a bundle")
    done = run_cli("models", "promote", "broken", "--yes", settings=settings)
    assert done.code == 2
    assert "Traceback" not in done.stderr
    assert not listed()["broken"]["serves"]


def test_a_model_that_computes_endlessly_is_not_promoted(
    run_cli, listed, store, settings, monkeypatch
):
    # Given a champion, and a bundle with the right hashes whose model loops
    store("good", called("good"))
    assert run_cli("models", "promote", "good", "--yes", settings=settings).code == 0
    store("endless", endless("endless"))
    # When it is promoted, then loading ends with one line that has the reason
    monkeypatch.setattr(load, "GOLDEN_SECONDS", 0.2)
    done = run_cli("models", "promote", "endless", "--yes", settings=settings)
    assert done.code == 2
    assert "bundle endless did not predict its golden vectors within 0.2 s" in done.stderr
    assert listed()["good"]["serves"]


def test_a_bundle_with_another_version_inside_is_not_promoted(run_cli, listed, store, settings):
    store("mine", called("another"))
    done = run_cli("models", "promote", "mine", "--yes", settings=settings)
    assert done.code == 2
    assert "the bundle stored as 'mine' has the version 'another' inside" in done.stderr
    assert not listed()["mine"]["serves"]


def test_a_damaged_model_is_not_promoted(run_cli, listed, store, settings, sqlite_url):
    # Given a champion, and another model whose bytes a disk has changed
    store("good", called("good"))
    store("damaged", called("damaged"))
    assert run_cli("models", "promote", "good", "--yes", settings=settings).code == 0
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(
            update(models_table)
            .where(models_table.c.version == "damaged")
            .values(bundle=called("damaged")[:-40] + bytes(40))
        )
    engine.dispose()
    # When it is promoted, then one line has the reason why not
    done = run_cli("models", "promote", "damaged", "--yes", settings=settings)
    assert done.code == 2
    assert "model damaged in the database is damaged: its SHA-256" in done.stderr
    assert listed()["good"]["serves"]


# Rollback


def test_rollbacks_go_back_step_by_step_to_the_starter(run_cli, listed, store, settings, starter):
    # Given two promotions
    first = read_manifest(starter).version
    for version in ("v2", "v3"):
        store(version, called(version))
        assert run_cli("models", "promote", version, "--yes", settings=settings).code == 0

    # When they are rolled back, then each time the model before is in use again
    for restored, replaced in (("v2", "v3"), (first, "v2")):
        done = run_cli("models", "rollback", settings=settings)
        assert (done.code, done.stdout) == (
            0,
            f"{restored} is in use from the next batch on, instead of {replaced}\n",
        )
        assert [name for name, model in listed().items() if model["serves"]] == [restored]

    # And where nothing is left, one line reports it
    done = run_cli("models", "rollback", settings=settings)
    assert (done.code, done.stdout) == (2, "")
    assert "there is no promotion to undo" in done.stderr
    assert listed()[first]["serves"]


def test_without_any_promotion_there_is_nothing_to_roll_back(run_cli, settings):
    done = run_cli("models", "rollback", settings=settings)
    assert done.code == 2
    assert "there is no promotion to undo" in done.stderr


def test_a_rollback_to_a_model_that_does_not_load_is_refused(
    run_cli, listed, store, settings, sqlite_url
):
    for version in ("v2", "v3"):
        store(version, called(version))
        assert run_cli("models", "promote", version, "--yes", settings=settings).code == 0
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(
            update(models_table).where(models_table.c.version == "v2").values(bundle=b"broken")
        )
    engine.dispose()
    done = run_cli("models", "rollback", settings=settings)
    assert done.code == 2
    assert "model v2 in the database is damaged" in done.stderr
    assert listed()["v3"]["serves"]


def test_after_a_promotion_reclassify_model_older_visits_exactly_the_old_rows(
    run_cli, settings, store, library, tmp_path, starter
):
    # Given sounds of the starter's, and others of the model that was promoted since
    def ingest(folder, *options):
        done = run_cli("ingest", folder, *options, "--json", settings=settings)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    def versions():
        rows = run_cli("results", "--format", "json", settings=settings).stdout.splitlines()
        return Counter(json.loads(row)["model_version"] for row in rows)

    folder = tmp_path / "mine"
    shutil.copytree(library / "free stuff", folder / "old")
    old = ingest(folder)["classified"]
    store("v2", called("v2"))
    assert run_cli("models", "promote", "v2", "--yes", settings=settings).code == 0
    (folder / "new").mkdir()
    (folder / "new" / "kick.wav").write_bytes(sounds.encoded())
    assert ingest(folder)["enqueued"] == 1
    assert versions() == {read_manifest(starter).version: old, "v2": 1}

    # When sounds of an older model are selected, then they are visited once
    assert ingest(folder, "--reclassify", "--model-older")["enqueued"] == old
    assert versions() == {"v2": old + 1}
    assert ingest(folder, "--reclassify", "--model-older")["enqueued"] == 0


def test_a_damaged_champion_stops_the_ingest_without_failing_sounds(
    run_cli, settings, store, library, sqlite_url
):
    # Given a champion whose bytes are no bundle
    store("broken", b"not a bundle")
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        bundles.promote(connection, "broken")

    # When sounds are ingested
    stopped = run_cli("ingest", library, settings=settings)

    # Then one line reports it, and no sound has a row
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


def test_a_root_unknown_to_this_host_fails_no_sound(run_cli, settings, library, tmp_path):
    # Given work of a root that this host then no longer has
    with_root = settings | {"CRATESORT_LIBRARY_ROOTS": f"packs={library}"}
    without = settings | {"CRATESORT_LIBRARY_ROOTS": f"other={tmp_path}"}
    assert run_cli("ingest", "--no-wait", library, settings=with_root).code == 0

    # When something else is ingested
    other = run_cli("ingest", tmp_path, settings=without)

    # Then the message names the missing root, and the ingest is done
    assert other.code == 0
    assert "packs" in other.stderr
    assert "79 sounds of the earlier run could not be finished yet" in other.stderr

    # And the host that has the root finishes the work at once
    assert run_cli("ingest", library, settings=with_root).code == 0
    status = json.loads(run_cli("status", "--json", settings=with_root).stdout)
    assert {state for state, count in status["batches"].items() if count} == {"done"}


def test_a_champion_with_another_version_in_its_manifest_is_not_used(
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
    assert starter_version() in stopped.stderr
