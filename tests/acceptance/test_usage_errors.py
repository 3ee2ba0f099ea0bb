"""Wrong usage and services that are away: one clear line, and an exit code scripts can trust."""

import os
import re
import sqlite3
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import make_url, text

from classifier.bundle.starter import starter_version
from tests.support import sounds
from tests.support.databases import connected
from tests.support.servers.lifecycle import free_port

PASSWORD = "hunter2-of-the-tests"


@pytest.fixture
def folder(tmp_path):
    """A library root with one sound, and a sound beside it."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "kick.wav").write_bytes(sounds.encoded())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "snare.wav").write_bytes(sounds.encoded())
    return tmp_path / "library"


@pytest.fixture
def nobody():
    """A port on which nobody listens."""
    return free_port()


@pytest.fixture
def fleet(folder, nobody, sqlite_url):
    """The settings of a fleet whose Redis is away."""
    return {
        "CRATESORT_BROKER_URL": f"redis://:{PASSWORD}@127.0.0.1:{nobody}/0",
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_LIBRARY_ROOTS": f"main={folder}",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ingest"], "expected a folder, a file or --manifest"),
        (["ingest", "nowhere"], "nowhere: no such file or folder"),
        (["ingest", "--nonsense", "."], "No such option"),
        (["ingest", ".", "--below", "0.5"], "require --reclassify"),
        (["ingest", ".", "--reclassify", "--below", "7"], "not in the range"),
        (["ingest", ".", "--reclassify", "--below", "0.5", "--model-older"], "cannot be combined"),
        (["results", "--format", "xml"], "Invalid value for '--format'"),
        (["results", "--category", "kazoo"], "Invalid value for '--category'"),
        (["status", "--json", "--watch"], "cannot be combined"),
        (["predict"], "Missing option '--from-csv'"),
        (["predict", "--from-csv", "nowhere.csv"], "nowhere.csv: No such file"),
        (["train", "--from-csv", "nowhere.csv"], "does not exist"),
        (["models", "show", "nowhere"], "there is no model 'nowhere'"),
        (["models", "promote", "nowhere"], "there is no model 'nowhere'"),
        (["nonsense"], "No such command"),
        (["worker"], "set CRATESORT_BROKER_URL"),
        (["beat"], "set CRATESORT_BROKER_URL"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_exit_code_2(run_cli, arguments, said):
    done = run_cli(*arguments)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BATCHSIZE", "8", "there is no such setting; did you mean CRATESORT_BATCH_SIZE?"),
        ("QUALITY", "8", "there is no such setting; .env.example lists the settings"),
        ("BATCH_SIZE", "many", "expected a whole number from 1 to 10000, got 'many'"),
        ("BATCH_SIZE", "0", "expected a whole number from 1 to 10000, got '0'"),
        ("ENGINE", "steam", "expected onnx or keras, got 'steam'"),
        ("LIBRARY_ROOTS", "packs=relative/folder", "expected an absolute folder"),
        ("LIBRARY_ROOTS", "a=/x,a=/y", "got '/x' and '/y'"),
        ("LIBRARY_ROOTS", "a b=/x", "expected the name of a library root"),
        ("BROKER_URL", f"amqp://me:{PASSWORD}@host", "expected a Redis URL"),
        ("DATABASE_URL", f"mysql://me:{PASSWORD}@host/x", "expected sqlite or postgresql"),
        ("DATABASE_URL", f"{PASSWORD}@nonsense", "expected a database URL like"),
        ("DATABASE_URL", "sqlite://", "must name a file"),
    ],
)
@pytest.mark.parametrize("command", [["ingest", "."], ["doctor"]], ids=["ingest", "doctor"])
def test_an_invalid_setting_is_named_with_exit_code_2(run_cli, command, name, value, said):
    done = run_cli(*command, settings={f"CRATESORT_{name}": value})
    assert done.code == 2
    assert f"CRATESORT_{name} (set in the environment): " in done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["ingest", "."], ["doctor"]], ids=["ingest", "doctor"])
def test_all_invalid_settings_are_reported_at_once(run_cli, command):
    settings = {"CRATESORT_BATCH_SIZE": "many", "CRATESORT_ENGINE": "steam", "CRATESORT_ZZZ": "1"}
    done = run_cli(*command, settings=settings)
    assert done.code == 2
    for name in settings:
        assert f"{name} (set in the environment): " in done.stdout + done.stderr


def test_a_path_outside_the_roots_is_refused_with_the_setting_that_would_allow_it(
    run_cli, fleet, folder, tmp_path, read_results
):
    done = run_cli("ingest", folder, tmp_path / "other", settings=fleet)
    assert done.code == 2
    assert f"{tmp_path}/other is in no library root" in done.stderr
    assert f"CRATESORT_LIBRARY_ROOTS=main={folder},library={tmp_path}/other" in done.stderr


def test_the_suggested_setting_works(run_cli, fleet, tmp_path):
    refused = run_cli("ingest", tmp_path / "other", settings=fleet)
    roots = refused.stderr.rpartition("CRATESORT_LIBRARY_ROOTS=")[2].strip()
    settings = {**fleet, "CRATESORT_LIBRARY_ROOTS": roots}
    assert run_cli("ingest", tmp_path / "other", "--no-wait", settings=settings).code == 0


def test_nothing_is_written_when_one_of_the_paths_is_refused(run_cli, fleet, folder, tmp_path):
    run_cli("ingest", folder, tmp_path / "other", settings=fleet)
    status = run_cli("status", settings=fleet)
    assert "0 pending, 0 queued" in status.stdout
    assert "Latest ingests" not in status.stdout


def test_a_broker_without_roots_is_refused_with_the_setting_to_add(run_cli, fleet, folder):
    settings = {**fleet, "CRATESORT_LIBRARY_ROOTS": ""}
    done = run_cli("ingest", folder, settings=settings)
    assert done.code == 2
    assert f"CRATESORT_LIBRARY_ROOTS=library={folder}" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["ingest", "library"], ["status"], ["results"], ["worker"], ["db", "upgrade"], ["doctor"]],
    ids=" ".join,
)
def test_an_unreachable_database_is_exit_code_3(run_cli, fleet, nobody, arguments):
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:{nobody}/cratesort"
    done = run_cli(*arguments, settings={**fleet, "CRATESORT_DATABASE_URL": url})
    assert done.code == 3
    assert "the database cannot be used" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["ingest", "library"], ["worker"], ["status"]], ids=" ".join)
def test_a_wrong_password_is_exit_code_2_and_not_repeated(
    run_cli, fleet, postgres_server, arguments
):
    url = postgres_server.url.replace(postgres_server.password, PASSWORD)
    done = run_cli(*arguments, settings={**fleet, "CRATESORT_DATABASE_URL": url})
    assert done.code == 2
    assert "password authentication failed" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_postgres_without_tables_is_refused_with_the_command_to_run(
    run_cli, fleet, postgres_server
):
    settings = {**fleet, "CRATESORT_DATABASE_URL": postgres_server.url}
    done = run_cli("ingest", "library", settings=settings)
    assert (done.code, done.stdout) == (2, "")
    assert "run `cratesort db upgrade` once" in done.stderr


def test_an_unreachable_redis_is_only_a_warning(run_cli, fleet):
    done = run_cli("ingest", "library", "--no-wait", settings=fleet)
    assert done.code == 0
    assert "warning: Redis is unreachable" in done.stderr
    assert "1 sound queued" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_doctor_reports_an_unreachable_redis(run_cli, fleet):
    done = run_cli("doctor", settings=fleet)
    assert done.code == 3
    assert "Redis cannot be reached" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "--json"],
        ["results"],
        ["forget", "--gone"],
        ["labels", "export"],
        ["labels", "stats"],
        ["health"],
        ["health", "--json"],
    ],
    ids=" ".join,
)
def test_a_mistyped_database_is_reported_and_not_created(run_cli, tmp_path, command):
    url = f"sqlite:///{tmp_path}/mistyped/cratesort.db"
    done = run_cli(*command, settings={"CRATESORT_DATABASE_URL": url})
    assert (done.code, done.stdout) == (2, "")
    assert f"there is no database at {url}; the first `cratesort ingest` creates it" in done.stderr
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["models", "list"],
        ["models", "show", starter_version()],
        ["explain", "kick.wav"],
        ["predict", "--from-csv", "table.csv"],
    ],
    ids=" ".join,
)
def test_a_command_that_needs_only_the_starter_model_creates_no_database(
    run_cli, tmp_path, command
):
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    (tmp_path / "table.csv").write_text("path\nkick.wav\n")
    url = f"sqlite:///{tmp_path}/none/cratesort.db"
    done = run_cli(*command, settings={"CRATESORT_DATABASE_URL": url})
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout
    assert not (tmp_path / "none").exists()


def test_help_and_version_are_exit_code_0(run_cli):
    assert "ingest" in run_cli("--help").stdout
    assert run_cli("--version").stdout.startswith("cratesort, version ")
    assert run_cli("ingest", "--help").code == 0


def test_an_unknown_postgresql_user_is_an_invalid_setting(run_cli, postgres_server):
    url = make_url(postgres_server.database_url("postgres")).set(username="nobody")
    settings = {"CRATESORT_DATABASE_URL": url.render_as_string(hide_password=False)}
    done = run_cli("status", settings=settings)
    assert (done.code, done.stderr) == (
        2,
        "cratesort: PostgreSQL rejects the user or password of CRATESORT_DATABASE_URL: "
        'password authentication failed for user "nobody"\n',
    )


def test_a_postgresql_user_without_privileges_is_told_what_to_grant(
    run_cli, postgres_url, tmp_path
):
    # Given a user who may log in, and tables of another
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    url = make_url(postgres_url).set(username="guest", password="guest")
    settings = {"CRATESORT_DATABASE_URL": url.render_as_string(hide_password=False)}
    with connected(postgres_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE ROLE guest LOGIN PASSWORD 'guest'"))
        try:
            # When the user runs a command, then the error is not about the login
            done = run_cli("status", settings=settings)
            assert done.code == 2
            message, advice = done.stderr.splitlines()
            assert message == (
                "cratesort: the PostgreSQL user of CRATESORT_DATABASE_URL lacks a permission: "
                "permission denied for table alembic_version"
            )

            # And what it advises is enough for an ingest
            grants = re.findall(r"GRANT .*? IN SCHEMA public", advice)
            assert len(grants) == 2
            with engine.begin() as connection:
                for grant in grants:
                    connection.execute(text(f"{grant} TO guest"))
            done = run_cli("ingest", "kick.wav", settings=settings)
            assert (done.code, done.stderr) == (0, "")
        finally:
            with engine.begin() as connection:
                connection.execute(text("DROP OWNED BY guest"))
                connection.execute(text("DROP ROLE guest"))


def test_a_missing_postgresql_database_is_an_invalid_setting(run_cli, postgres_server):
    url = make_url(postgres_server.database_url("postgres")).set(database="nothing")
    settings = {"CRATESORT_DATABASE_URL": url.render_as_string(hide_password=False)}
    done = run_cli("status", settings=settings)
    assert (done.code, done.stderr) == (
        2,
        'cratesort: the database "nothing" does not exist on the server of CRATESORT_DATABASE_URL\n'
        "Correct the name, or create the database for the user of that URL "
        "(`createdb --owner=USER nothing`) and run `cratesort db upgrade`.\n",
    )


def test_doctor_names_the_server_taken_from_libpq_variables(run_cli, postgres_url):
    url = make_url(postgres_url)
    settings = {
        "CRATESORT_DATABASE_URL": url.set(host=None, port=None).render_as_string(False),
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        # These would write names in another encoding, or end each statement at once.
        "PGCLIENTENCODING": "LATIN1",
        "PGOPTIONS": "-c statement_timeout=1ms",
    }
    done = run_cli("doctor", settings=settings)
    assert done.code == 0, done.stdout
    assert f"@{url.host}:{url.port}/{url.database}, revision" in done.stdout


def test_a_libpq_variable_that_contradicts_the_url_is_refused(run_cli, postgres_url):
    settings = {"CRATESORT_DATABASE_URL": postgres_url, "PGHOSTADDR": "127.0.0.9"}
    done = run_cli("status", settings=settings)
    assert (done.code, done.stderr) == (
        2,
        "cratesort: CRATESORT_DATABASE_URL: the environment variable PGHOSTADDR would replace "
        "the host of the URL; unset PGHOSTADDR\n",
    )


def test_a_password_refused_by_redis_is_detected_before_anything_is_written(
    run_cli, fleet, redis_url
):
    """With a warning and exit code 0, a script would never hear of it."""
    wrong = redis_url.replace(make_url(redis_url).password, PASSWORD)
    done = run_cli(
        "ingest", "library", "--no-wait", settings={**fleet, "CRATESORT_BROKER_URL": wrong}
    )
    assert done.code == 2
    assert done.stderr.startswith("cratesort: Redis rejects the user or password")
    assert PASSWORD not in done.stderr
    assert "0 pending, 0 queued" in run_cli("status", settings=fleet).stdout


@pytest.mark.parametrize(
    "command", [["ingest", "library"], ["worker"], ["beat"], ["intake"]], ids=lambda it: it[0]
)
def test_a_redis_database_that_does_not_exist_is_refused_without_waiting(
    run_cli, fleet, redis_url, command
):
    """Without the check, Celery logs a lost connection and connects again, without end."""
    url = redis_url.removesuffix("/0") + "/99"
    done = run_cli(*command, settings={**fleet, "CRATESORT_BROKER_URL": url})
    assert done.code == 2
    assert done.stderr.startswith("cratesort: Redis has no database with the number in CRATESORT_B")


# Databases that cannot hold what cratesort writes, or take no changes


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def database_of_bytes(request, postgres_server):
    """The URL of an empty database that cannot hold every file name."""
    postgres_server.create_database("bytes", "template0", encoding=request.param)
    yield postgres_server.database_url("bytes")
    postgres_server.drop_database("bytes")


def test_a_database_that_is_not_utf8_is_refused_in_one_line(
    run_cli, fleet, redis_url, database_of_bytes
):
    """Without the check batches come back for ever, or their names are bytes."""
    settings = {
        **fleet,
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": database_of_bytes,
    }
    for command in (["db", "upgrade"], ["ingest", "library"], ["worker"], ["intake"], ["status"]):
        done = run_cli(*command, settings={**settings, "CRATESORT_LOG_FORMAT": "text"})
        assert (done.code, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith("cratesort: the database's encoding is ")
    doctor = run_cli("doctor", settings=settings)
    assert doctor.code == 2
    assert "FAIL  database   the database's encoding is " in doctor.stdout


def test_an_sqlite_file_in_another_encoding_or_an_old_sqlite_is_refused(
    run_cli, tmp_path, monkeypatch
):
    with closing(sqlite3.connect(tmp_path / "wide.db")) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE a_table (a_column)")
    wide = {"CRATESORT_DATABASE_URL": f"sqlite:///{tmp_path}/wide.db"}
    done = run_cli("status", settings=wide)
    assert (done.code, done.stdout) == (2, "")
    assert "the database's encoding is UTF16le; expected UTF8" in done.stderr

    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    done = run_cli("db", "upgrade")
    assert done.code == 2
    assert "cratesort needs 3.35.0 or newer" in done.stderr


def test_a_worker_with_more_children_than_connections_is_refused(
    run_cli, fleet, redis_url, postgres_server, postgres_url
):
    postgres_server.alter_database("cratesort", "CONNECTION LIMIT 9")
    settings = {
        **fleet,
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": postgres_url,
    }
    done = run_cli("worker", "--concurrency", "4", settings=settings)
    assert done.code == 2
    assert "this worker needs 10 connections to the database, which allows 9" in done.stderr


@pytest.fixture
def read_only(request, run_cli, folder, database_url):
    """A database with a sound in it, as a standby: it may be read, and takes no changes."""
    settings = {
        "CRATESORT_DATABASE_URL": database_url,
        "CRATESORT_LIBRARY_ROOTS": f"main={folder}",
    }
    assert run_cli("ingest", folder, settings=settings).code == 0
    (folder / "new.wav").write_bytes(sounds.encoded())
    if database_url.startswith("sqlite"):
        file = make_url(database_url).database
        os.chmod(file, 0o444)
    else:
        server = request.getfixturevalue("postgres_server")
        server.alter_database("cratesort", "SET default_transaction_read_only = on")
    return partial(run_cli, settings=settings, obey_permissions=True)


def test_a_read_only_database_can_be_read_and_write_commands_report_it(read_only, folder):
    for command in (
        ["ingest", folder],
        ["ingest", folder, "--no-wait"],
        ["retry", "--failed"],
        ["forget", folder / "kick.wav"],
        ["labels", "set", folder / "kick.wav", "drum"],
    ):
        done = read_only(*command)
        assert (done.code, done.stdout) == (3, ""), command
        assert done.stderr.startswith("cratesort: the database cannot be used: ")
        assert "only" in done.stderr
        assert "Make it writable" in done.stderr
    for command in (["status"], ["results"], ["labels", "export"], ["health"], ["db", "upgrade"]):
        done = read_only(*command)
        assert (done.code, done.stderr) == (0, ""), command
    doctor = read_only("doctor")
    assert doctor.code == 3
    assert "the database is read-only: it is a standby, or configured so" in doctor.stdout
