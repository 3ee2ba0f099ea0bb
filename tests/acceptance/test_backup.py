"""Saving and restoring a database, by the commands of docs/how-to/back-up-and-restore.md."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.support import sounds
from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "docs/how-to/back-up-and-restore.md").read_text()


@pytest.fixture
def commands():
    """The commands of the page for PostgreSQL."""
    block = re.search(r"^ +```sh\n(.*?)^ +```$", PAGE, re.MULTILINE | re.DOTALL)[1]
    return [line.strip() for line in block.splitlines()]


@pytest.fixture
def programs(postgres_server):
    """A PATH with PostgreSQL's programs, which Debian keeps elsewhere."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    if shutil.which("pg_dump", path=path) is None:
        pytest.skip("pg_dump is not installed")
    return path


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
        # Of the shell of somebody who looks after this server.
        "PGHOST": url.host,
        "PGPORT": str(url.port),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
    }
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    # Then the other database knows what the first one did
    copy = {"CRATESORT_DATABASE_URL": postgres_server.database_url("cratesort_restored")}
    rows = [run_cli("results", "--format", "json", settings=one).stdout for one in (live, copy)]
    assert rows[0] == rows[1]
    assert json.loads(rows[1])["label"] == "bass"
    postgres_server.drop_database("cratesort_restored")
