"""``cratesort db copy``: from one machine to a fleet, as an operator does it."""

import json

import pytest

from tests.support import sounds


@pytest.fixture(params=["Samples", "S\udcffmples"], ids=["plain", "undecodable"])
def folder(request, tmp_path):
    folder = tmp_path / request.param
    folder.mkdir()
    (folder / "kick.wav").write_bytes(sounds.encoded())
    return folder


def test_a_fleet_continues_with_the_copied_database_of_one_machine(
    run_cli, worker_process, read_results, redis_url, postgres_server, sqlite_url, folder
):
    # Given a folder that was sorted on one machine
    assert run_cli("ingest", folder, settings={"CRATESORT_DATABASE_URL": sqlite_url}).code == 0
    # When its database is copied to PostgreSQL, with the folder as a library root
    postgres_server.create_database("a_fleet")
    url = postgres_server.database_url("a_fleet")
    done = run_cli("db", "copy", sqlite_url, url, "--root", f"packs={folder}", "--json")
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["sounds"] == 1
    assert json.loads(done.stdout)["without_root"] == 0
    # Then a fleet on it knows the file, and does nothing for what it knows
    fleet = {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": url,
        "CRATESORT_LIBRARY_ROOTS": f"packs={folder}",
    }
    again = run_cli("ingest", folder, "--no-wait", "--json", settings=fleet)
    assert json.loads(again.stdout)["skipped_unchanged"] == 1
    assert [row["path"] for row in read_results(settings=fleet)] == ["kick.wav"]
    # And labels find it also where no library is mounted
    labelled = run_cli(
        "labels", "set", "kick.wav", "drum", settings={"CRATESORT_DATABASE_URL": url}
    )
    assert labelled.stdout == "kick.wav: labelled drum (human)\n"
    postgres_server.drop_database("a_fleet")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["sqlite:////nowhere/a.db", "{there}"],
            "the database sqlite:////nowhere/a.db does not exist",
        ),
        (["{there}", "mysql://me:secret@host/x"], "value for TO: expected sqlite or"),
        (["{there}", "{there}"], "the source and the target are the same database"),
        (
            ["{there}", "sqlite:////tmp/x.db", "--root", "packs"],
            "expected NAME=/an/absolute/folder",
        ),
        (
            ["{there}", "sqlite:////tmp/x.db", "--root", "a=/x", "--root", "a=/y"],
            "the root 'a' is given twice",
        ),
    ],
)
def test_a_refused_copy_is_reported_in_one_line(run_cli, sqlite_url, arguments, said):
    done = run_cli("db", "copy", *(word.format(there=sqlite_url) for word in arguments))
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_an_unreachable_target_is_exit_code_3(run_cli, sqlite_url):
    done = run_cli("db", "copy", sqlite_url, "postgresql://me:secret@127.0.0.1:1/x")
    assert done.code == 3
    assert "secret" not in done.stderr
