"""The passwords of Redis and PostgreSQL are said by no command, whatever is wrong with them.

Not here: workers and Flower (`tests.integration.test_secrets_of_workers`).
"""

import pytest

from tests.support import sounds
from tests.support.servers.lifecycle import free_port

#: As it stands in a URL; no part of it may be seen, decoded or not.
SECRET = "unspeakable%40%2Fword"
STEM = "unspeakable"

COMMANDS = (
    ("doctor",),
    ("doctor", "--json"),
    ("health",),
    ("health", "--json"),
    ("status",),
    ("status", "--json"),
    ("metrics", "--print"),
    ("results",),
    ("retry", "--failed", "--no-wait"),
    ("ingest", "sounds", "--no-wait"),
    ("ingest", "sounds", "--no-wait", "--json"),
    ("models", "list"),
    ("db", "upgrade"),
)
#: What needs both servers at once, and so ends when one of them does not let it in.
SERVICES = (("worker",), ("beat",))


@pytest.fixture
def settings(tmp_path, sqlite_url):
    """A fleet that says all it can; the tests add where its servers are."""
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "kick.wav").write_bytes(sounds.encoded())
    return {
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_LIBRARY_ROOTS": f"main={tmp_path}/sounds",
        "CRATESORT_LOG_LEVEL": "DEBUG",
    }


@pytest.fixture
def assert_untold(run_cli, settings):
    """Run a command with more settings, and look for the password in all it says."""

    def check(arguments, code=None, **more):
        done = run_cli(*arguments, settings=settings | more)
        assert STEM not in done.stdout + done.stderr
        assert code is None or done.code == code, done.stderr

    return check


def password_of(server, other=SECRET):
    """The server's URL with another password than its own."""
    return server.url.replace(server.password, other)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_password_of_an_unreachable_redis_is_not_shown(assert_untold, arguments):
    assert_untold(arguments, CRATESORT_BROKER_URL=f"redis://me:{SECRET}@127.0.0.1:{free_port()}/0")


@pytest.mark.parametrize("arguments", [*COMMANDS, *SERVICES], ids=" ".join)
def test_the_password_refused_by_redis_is_not_shown(assert_untold, redis_server, arguments):
    assert_untold(arguments, CRATESORT_BROKER_URL=password_of(redis_server))


@pytest.mark.parametrize("arguments", [*COMMANDS, SERVICES[0]], ids=" ".join)
def test_the_password_of_an_unreachable_postgres_is_not_shown(assert_untold, redis_url, arguments):
    url = f"postgresql://me:{SECRET}@127.0.0.1:{free_port()}/cratesort"
    assert_untold(arguments, 3, CRATESORT_BROKER_URL=redis_url, CRATESORT_DATABASE_URL=url)


@pytest.mark.parametrize("arguments", [*COMMANDS, SERVICES[0]], ids=" ".join)
def test_the_password_refused_by_postgres_is_not_shown(
    assert_untold, redis_url, postgres_server, arguments
):
    url = password_of(postgres_server)
    # Metrics say of a database that does not answer why it does not.
    code = 3 if arguments[0] == "metrics" else 2
    assert_untold(arguments, code, CRATESORT_BROKER_URL=redis_url, CRATESORT_DATABASE_URL=url)


@pytest.mark.parametrize("arguments", [("doctor",), ("db", "upgrade")], ids=" ".join)
def test_a_password_in_the_url_options_is_not_shown(
    run_cli, postgres_url, postgres_server, arguments
):
    secret = postgres_server.password
    url = f"{postgres_url.replace(f':{secret}@', '@')}?password={secret}"
    done = run_cli(*arguments, settings={"CRATESORT_DATABASE_URL": url})
    assert done.code == 0, done.stdout + done.stderr
    assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_passwords_are_not_shown_without_an_error(
    run_cli, settings, redis_server, redis_url, postgres_url, arguments
):
    well = {"CRATESORT_BROKER_URL": redis_url, "CRATESORT_DATABASE_URL": postgres_url}
    done = run_cli(*arguments, settings=settings | well)
    assert done.code in (0, 1), done.stderr
    secrets = (redis_server.password, postgres_url.partition("@")[0].rpartition(":")[2])
    assert not [secret for secret in secrets if secret in done.stdout + done.stderr]


def test_a_misspelt_variable_is_named_without_its_password(run_cli, settings):
    done = run_cli("doctor", settings=settings | {"CRATESORT_BROKERURL": f"redis://:{SECRET}@h"})
    assert done.code == 2
    assert "CRATESORT_BROKERURL" in done.stdout
    assert STEM not in done.stdout + done.stderr
