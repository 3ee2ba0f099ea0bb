"""PostgreSQL and Redis as the compose file sets them up, without an engine."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
import redis
import yaml
from sqlalchemy.engine import make_url

from tests.support import sounds
from tests.support.places import REPOSITORY
from tests.support.servers import RedisServer, running
from tests.support.servers.redis_server import find_redis

COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
ROLE, ROLE_PASSWORD = "cratesort_app", "the-applications"


def interpolated(text, variables):
    """The text as Compose makes it of these variables, none of which is empty."""

    def value(found):
        name, operator, other = found.groups()
        if operator == ":+":
            return other if name in variables else ""
        return variables.get(name, other if operator == ":-" else None)

    return re.sub(r"\$\{(\w+)(:[-+?])?([^}]*)\}", value, text).replace("$$", "$")


@pytest.fixture
def run_roles(postgres_server):
    """Run the command of the service ``roles`` on a database with the name that it has there."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    if shutil.which("psql", path=path) is None:
        pytest.skip("psql is not installed")
    service = SERVICES["roles"]
    passwords = {"POSTGRES_PASSWORD": postgres_server.password, "DATABASE_PASSWORD": ROLE_PASSWORD}
    environment = {
        name: interpolated(value, passwords) for name, value in service["environment"].items()
    }
    here = {"PATH": path, "PGHOST": "127.0.0.1", "PGPORT": str(postgres_server.port)}

    def run():
        command = [interpolated(word, passwords) for word in service["command"]]
        done = subprocess.run(
            command, env={**environment, **here}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def role_url(postgres_url):
    """The address of the same database for the application's role."""
    url = make_url(postgres_url).set(username=ROLE, password=ROLE_PASSWORD)
    return url.render_as_string(hide_password=False)


def test_the_application_works_in_a_new_database_without_a_superuser(
    run_cli, run_roles, postgres_server, role_url, postgres_url, tmp_path
):
    # Given a new volume's database, in which there is nothing
    postgres_server.drop_database("cratesort")
    postgres_server.create_database("cratesort")
    run_roles()
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    settings = {"CRATESORT_DATABASE_URL": role_url}
    # When the tables are made and used, then all of it can be done
    assert run_cli("db", "upgrade", settings=settings).code == 0
    assert run_cli("ingest", tmp_path / "kick.wav", settings=settings).code == 0
    # And a superuser's rights are not there
    with (
        psycopg.connect(role_url.replace("+psycopg", "")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("COPY sounds TO PROGRAM 'cat'")


def test_the_application_role_becomes_owner_of_older_tables(
    run_cli, run_roles, postgres_url, role_url, tmp_path
):
    # Given tables that the superuser made and used
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    older = {"CRATESORT_DATABASE_URL": postgres_url}
    assert run_cli("ingest", tmp_path / "kick.wav", settings=older).code == 0
    # When the service runs, at each `docker compose up` again
    run_roles()
    run_roles()
    # Then all tables are the application's, which reads and writes what is in them
    with psycopg.connect(role_url.replace("+psycopg", "")) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' UNION"
            " SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        ).fetchall()
        assert owners == [(ROLE,)]
        connection.execute("ALTER TABLE sounds ADD COLUMN later integer")
        connection.rollback()
    newer = {"CRATESORT_DATABASE_URL": role_url}
    assert run_cli("labels", "set", tmp_path / "kick.wav", "bass", settings=newer).code == 0
    # And programs of the older version go on until they are exchanged
    (tmp_path / "snare.wav").write_bytes(sounds.encoded())
    assert run_cli("ingest", tmp_path / "snare.wav", settings=older).code == 0


class ComposeRedis(RedisServer):
    """A Redis with the compose file's command."""

    def __init__(self, **passwords: str) -> None:
        super().__init__()
        self._variables = {"REDIS_PASSWORD": self.password, **passwords}

    def _launch(self):
        name, *options = (
            interpolated(one, self._variables) for one in SERVICES["redis"]["command"]
        )
        assert name == "redis-server"
        here = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return self._spawn([find_redis(), *options, *here], signal.SIGKILL)


def test_the_inbox_user_can_only_push_to_the_inbox():
    with (
        running(ComposeRedis(INBOX_PASSWORD="only-pushes")) as server,
        redis.Redis.from_url(server.url) as application,
        redis.Redis(port=server.port, username="inbox", password="only-pushes") as producer,
    ):
        # What it may
        assert producer.lpush("cratesort:inbox", "/library/kick.wav") == 1
        rights = application.acl_getuser("inbox")
        assert (rights["commands"], rights["categories"]) == (["+lpush"], ["-@all"])
        assert (rights["keys"], rights["channels"]) == (["~cratesort:inbox"], [])
        # What it may not
        for command in (
            ["LPUSH", "cratesort:inbox:dead", "x"],
            ["LRANGE", "cratesort:inbox", "0", "-1"],
            ["DEL", "cratesort:inbox"],
            ["PUBLISH", "/0.celery.pidbox", "x"],
            ["CONFIG", "GET", "*"],
            ["ACL", "WHOAMI"],
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                producer.execute_command(*command)
        # The application's own user may do all of it
        assert application.acl_getuser("default")["categories"] == ["+@all"]
        assert application.rpop("cratesort:inbox") == b"/library/kick.wav"


def test_without_a_password_there_is_no_inbox_user():
    with running(ComposeRedis()) as server:
        for password in ("", "resetpass", server.password):
            with (
                redis.Redis(port=server.port, username="inbox", password=password) as producer,
                pytest.raises(redis.exceptions.AuthenticationError),
            ):
                producer.lpush("cratesort:inbox", "/library/kick.wav")
        with (
            redis.Redis(port=server.port) as stranger,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            stranger.ping()
