"""Saving and restoring a database, by the commands of docs/how-to/back-up-and-restore.md."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.support import sounds
from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "docs/how-to/back-up-and-restore.md").read_text()


@pytest.fixture
def commands():
    """The commands of the page for PostgreSQL."""
    blocks = re.findall(r"^ +```sh\n(.*?)^ +```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()]


@pytest.fixture
def superuser(postgres_server):
    """The superuser that the commands of the page name, with the password of the cluster."""
    with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as admin:
        password = sql.Literal(postgres_server.password)
        admin.execute(sql.SQL("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD {}").format(password))
        yield
        admin.execute("DROP ROLE postgres")


@pytest.fixture
def programs(postgres_server):
    """A PATH with PostgreSQL's programs, which Debian keeps elsewhere."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    if shutil.which("pg_dump", path=path) is None:
        pytest.skip("pg_dump is not installed")
    return path


@pytest.mark.usefixtures("superuser")
def test_a_backup_is_restored(run_cli, commands, programs, postgres_server, postgres_url, tmp_path):
    # Given a database that knows a sound and its label
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "kick.wav").write_bytes(sounds.encoded())
    live = {"CRATESORT_DATABASE_URL": postgres_url}
    assert run_cli("ingest", folder, settings=live).code == 0
    assert run_cli("labels", "set", folder / "kick.wav", "bass", settings=live).code == 0
    # When the commands of the page are run
    url = make_url(postgres_url).set(drivername="postgresql")
    environment = {
        **os.environ,
        "PATH": programs,
        "CRATESORT_DATABASE_URL": url.render_as_string(hide_password=False),
        # The page leaves the port at its default, and the programs ask for the password.
        "PGPORT": str(url.port),
        "PGPASSWORD": url.password,
    }
    for command in commands:
        command = command.replace("postgres-host", url.host)
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    # Then the other database knows what the first one did
    copy = {"CRATESORT_DATABASE_URL": postgres_server.database_url("cratesort_restored")}
    rows = [run_cli("results", "--format", "json", settings=one).stdout for one in (live, copy)]
    assert rows[0] == rows[1]
    assert json.loads(rows[1])["label"] == "bass"
    # And the role of the URL owns the tables
    with psycopg.connect(copy["CRATESORT_DATABASE_URL"].replace("+psycopg", "")) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert owners == [(url.username,)]
    postgres_server.drop_database("cratesort_restored")
