"""The laboratory itself: our own servers die, freeze and come back as the fault tests need it."""

import os
import signal
import subprocess
import sys
import textwrap

import psycopg
import pytest
import redis

from tests.support.places import REPOSITORY
from tests.support.servers import PostgresServer, RedisServer, TcpProxy
from tests.support.servers.lifecycle import is_alive, wait_until


@pytest.fixture
def server(request):
    """Each of the session's two servers, running again when the test is over."""
    server = request.getfixturevalue(request.param)
    yield server
    server.restart()


both_servers = pytest.mark.parametrize("server", ["redis_server", "postgres_server"], indirect=True)


def ask(server):
    """Ask for an answer and wait a second for it at most."""
    if isinstance(server, RedisServer):
        with redis.Redis.from_url(server.url, socket_timeout=1, retry=None) as client:
            return client.ping()
    with psycopg.connect(server.url.replace("+psycopg", ""), connect_timeout=2) as connection:
        return connection.execute("SELECT 1").fetchone()


unanswered = pytest.raises((redis.RedisError, psycopg.OperationalError))


@both_servers
def test_a_killed_server_responds_after_a_restart_at_the_same_url(server):
    url = server.url
    server.kill()
    with unanswered:
        ask(server)
    server.restart()
    assert server.url == url
    assert ask(server)


@both_servers
def test_a_frozen_server_does_not_answer_until_it_is_thawed(server):
    server.freeze()
    with unanswered:
        ask(server)
    server.thaw()
    assert ask(server)


@both_servers
def test_a_frozen_server_can_be_restarted(server):
    server.freeze()
    server.restart()
    assert ask(server)


def test_a_killed_redis_loses_its_data(redis_server, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.set("doorbell", 1)
    redis_server.kill()
    redis_server.restart()
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_a_killed_postgres_keeps_committed_data(postgres_server):
    with psycopg.connect(postgres_server.url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE kept ()")
    postgres_server.kill()
    postgres_server.restart()
    with psycopg.connect(postgres_server.url.replace("+psycopg", "")) as connection:
        connection.execute("DROP TABLE kept")


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
@pytest.mark.parametrize("server_class", [RedisServer, PostgresServer])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_no_server_outlives_a_test_process_that_is_killed(
    server_class, frozen, redis_server, postgres_server
):
    owner = f"""
        import os, signal
        from tests.support.servers import {server_class.__name__}
        server = {server_class.__name__}()
        server.start()
        if {frozen}:
            server.freeze()
        print(server.pid, server.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(owner)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, folder = done.stdout.split()
    wait_until(lambda: not is_alive(int(pid)), "the server followed its owner")
    subprocess.run(["rm", "-r", folder], check=True)


@pytest.fixture
def proxy(redis_server):
    """A proxy in front of Redis."""
    with TcpProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy, redis_url):
    """Clients behind the proxy, with one connection each, which wait half a second."""
    clients = []

    def connect():
        client = redis.Redis.from_url(
            proxy.redirected(redis_url),
            socket_timeout=0.5,
            retry=None,
            single_connection_client=True,
        )
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


def test_a_frozen_connection_hangs_while_new_ones_work(proxy, connect):
    before = connect()
    assert before.ping()
    proxy.freeze()
    with pytest.raises(redis.TimeoutError):
        before.ping()
    assert connect().ping()


def test_all_connections_may_be_frozen_and_go_on_when_they_are_thawed(proxy, connect):
    before = connect()
    assert before.ping()
    proxy.freeze(new=True)
    with pytest.raises(redis.TimeoutError):
        connect().ping()
    proxy.thaw()
    assert before.ping()


def test_the_server_does_not_notice_that_the_client_of_a_frozen_connection_is_gone(
    proxy, connect, redis_server
):
    with redis.Redis.from_url(redis_server.url) as direct:
        client = connect()
        client.client_setname("gone")
        proxy.freeze()
        client.close()
        assert "gone" in {each["name"] for each in direct.client_list()}
        proxy.cut()
        wait_until(
            lambda: "gone" not in {each["name"] for each in direct.client_list()}, "it is cut"
        )


def test_a_cut_connection_is_reset(proxy, connect):
    client = connect()
    assert client.ping()
    proxy.cut()
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_responses_can_be_delayed_or_throttled(proxy, connect):
    connect().set("large", bytes(100_000))
    proxy.latency_seconds = 0.3  # in each direction
    with pytest.raises(redis.TimeoutError):
        connect().ping()
    proxy.latency_seconds, proxy.bytes_per_second = 0, 10_000
    with pytest.raises(redis.TimeoutError):
        connect().get("large")
    assert connect().ping()


def test_a_stopped_server_refuses_through_the_proxy_too(connect, redis_server):
    redis_server.stop()
    with pytest.raises(redis.ConnectionError):
        connect().ping()
    redis_server.start()
    assert connect().ping()


def test_a_process_that_is_gone_is_not_alive():
    child = subprocess.Popen(["true"])
    child.wait()
    assert not is_alive(child.pid)
    assert is_alive(os.getpid())
