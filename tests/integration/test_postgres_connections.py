"""A connection to PostgreSQL that answers nothing: noticed, and replaced where it was idle."""

import math

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from db import postgres_connection
from db.dialects import unlimited
from db.engine import COMMAND, SERVICE, Timeouts, create_engine, reading
from db.errors import is_unreachable, plain
from tests.support.servers import TcpProxy
from workers import child_process
from workers.celery_ext.app import CLASSIFY_QUEUE, TRAINING_QUEUE
from workers.faults import Fault

#: What fails here mostly never ends.
pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def proxy(postgres_server):
    """A proxy in front of PostgreSQL."""
    with TcpProxy(postgres_server.port) as proxy:
        yield proxy


@pytest.fixture
def database(proxy, postgres_url, monkeypatch):
    """An engine behind the proxy whose connections time out after a second and a half."""
    monkeypatch.setattr(postgres_connection, "_MARGIN_SECONDS", 0.5)
    engine = create_engine(proxy.redirected(postgres_url), Timeouts(1, 1, 1))
    yield engine
    engine.dispose()


def query(connection, statement="SELECT 1"):
    return connection.execute(text(statement)).scalar_one()


def freeze_in_mid_transaction(database, proxy):
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE batches"))
        proxy.freeze()
        query(connection)


def test_a_connection_that_hangs_in_a_statement_is_a_transient_error(database, proxy):
    """Without the client's own limit, the statement never ends."""
    with pytest.raises(OperationalError) as caught:
        freeze_in_mid_transaction(database, proxy)
    assert plain(caught.value) == "the server sent no data for 1.5 s"
    assert is_unreachable(caught.value)
    assert Fault.of(caught.value) is Fault.TRANSIENT
    # And the next transaction has another one
    with reading(database) as connection:
        assert query(connection) == 1


def test_a_connection_that_hangs_while_it_is_idle_is_replaced_without_an_error(database, proxy):
    with reading(database) as connection:
        query(connection)
    proxy.freeze()
    with reading(database) as connection:
        assert query(connection) == 1


def test_the_locks_of_a_hanging_connection_are_released_when_it_is_closed(
    database, proxy, postgres_url
):
    """Without the server's limit for idle transactions, another worker waits for the lock."""
    with pytest.raises(OperationalError):
        freeze_in_mid_transaction(database, proxy)
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE batches NOWAIT"))


def test_a_slow_response_is_waited_for(database, proxy):
    """Without counting from the last bytes, a model is never loaded over a slow line."""
    with reading(database) as connection:
        # For the server, which is done sooner
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        proxy.bytes_per_second = 40_000
        assert len(query(connection, "SELECT repeat('x', 100000)")) == 100_000


def test_a_migration_takes_as_long_as_it_needs(database):
    with database.begin() as connection:
        unlimited(connection)
        query(connection, "SELECT 1 FROM pg_sleep(2)")


def test_a_slow_statement_is_cancelled_by_the_server(database):
    with (
        pytest.raises(OperationalError, match="statement timeout"),
        reading(database) as connection,
    ):
        query(connection, "SELECT 1 FROM pg_sleep(10)")


@pytest.mark.parametrize("timeouts", [COMMAND, SERVICE], ids=["command", "service"])
def test_the_timeouts_of_the_server_are_shorter_than_the_clients(postgres_url, timeouts):
    engine = create_engine(postgres_url, timeouts)
    with reading(engine) as connection:
        limits = dict(
            connection.execute(
                text("SELECT name, setting::int / 1000 FROM pg_settings WHERE name LIKE '%timeout'")
            ).all()
        )
        response_timeout_seconds = connection.connection.dbapi_connection.response_timeout_seconds
        assert (
            0
            < limits["lock_timeout"]
            < limits["statement_timeout"]
            < response_timeout_seconds
            < math.inf
        )
    engine.dispose()


def test_options_of_the_url_are_merged_with_ours(postgres_url):
    """A search_path that is dropped has the tables made elsewhere."""
    url = make_url(postgres_url).update_query_dict(
        {"options": "-c search_path=mine -c timezone=cet"}
    )
    engine = create_engine(url.render_as_string(hide_password=False), COMMAND)
    with reading(engine) as connection:
        assert query(connection, "SHOW search_path") == "mine"
        assert query(connection, "SHOW timezone").lower() == "utc"
    engine.dispose()


@pytest.mark.parametrize(
    ("queue", "seconds"), [(CLASSIFY_QUEUE, 15), (TRAINING_QUEUE, 65)], ids=["worker", "trainer"]
)
def test_a_worker_waits_less_than_a_trainer_which_reads_large_tables(
    postgres_url, monkeypatch, queue, seconds
):
    monkeypatch.setenv("CRATESORT_DATABASE_URL", postgres_url)
    monkeypatch.setattr(child_process, "_served", {queue})
    engine = child_process._database_of.__wrapped__(0)
    with reading(engine) as connection:
        assert connection.connection.dbapi_connection.response_timeout_seconds == seconds
    engine.dispose()


def test_lost_packets_are_detected_on_idle_and_busy_connections(postgres_url):
    engine = create_engine(postgres_url)
    with reading(engine) as connection:
        driver: psycopg.Connection = connection.connection.dbapi_connection
        parameters = driver.info.get_parameters()
        idle, interval, count = (
            int(parameters[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
        )
        assert idle + interval * count < int(parameters["tcp_user_timeout"]) / 1000 <= 20
    engine.dispose()
