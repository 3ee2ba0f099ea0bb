"""Every form of a Redis URL leads both clients, Celery's and ours, to the same Redis."""

import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack
from urllib.parse import quote

import pytest
import redis
from pydantic import SecretStr

from tasks.inbox.redis_lists import count_entries
from tests.support.servers import RedisServer, ServerUnavailableError, running
from tests.support.servers.lifecycle import free_port, wait_until
from tests.support.servers.redis_server import find_redis
from workers.broker_url import parse_broker_url
from workers.celery_ext.app import build_app
from workers.celery_ext.dispatch import queue_lengths
from workers.settings import Settings


class OpenServer(RedisServer):
    """A Redis that is also reached through TLS and a socket, and by a sentinel."""

    def __init__(self) -> None:
        super().__init__()
        self.password = "a;b/c%@#?"
        self.tls_port, self.sentinel_port = free_port(), free_port()

    @property
    def url(self):
        return f"redis://:{quote(self.password, '')}@127.0.0.1:{self.port}/0"

    def _launch(self):
        self._write_certificate()
        (self.folder / "sentinel.conf").write_text(
            f"bind 127.0.0.1\nport {self.sentinel_port}\nrequirepass for-sentinels\n"
            f"sentinel monitor main 127.0.0.1 {self.port} 1\n"
            f'sentinel auth-pass main "{self.password}"\ndir "{self.folder}"\n'
        )
        configuration = self.folder / "redis.conf"
        configuration.write_text(
            f"bind 127.0.0.1\nport {self.port}\nunixsocket {self.folder}/socket\n"
            f"tls-port {self.tls_port}\ntls-auth-clients no\ntls-ca-cert-file {self.folder}/cert\n"
            f"tls-cert-file {self.folder}/cert\ntls-key-file {self.folder}/key\n"
            f'requirepass "{self.password}"\nsave ""\ndir "{self.folder}"\n'
        )
        return self._spawn([find_redis(), str(configuration)], signal.SIGKILL)

    def _write_certificate(self):
        if shutil.which("openssl") is None:
            raise ServerUnavailableError("openssl is not installed: it makes the certificate")
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", f"{self.folder}/key", "-out", f"{self.folder}/cert"]
        subprocess.run(
            ["openssl", "req", "-x509", *key, *names, *files], check=True, capture_output=True
        )


def answers(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


@pytest.fixture(scope="module")
def server():
    with ExitStack() as stack:
        try:
            one = stack.enter_context(running(OpenServer()))
        except ServerUnavailableError as missing:
            pytest.skip(str(missing))
        sentinel = subprocess.Popen(
            [find_redis(), f"{one.folder}/sentinel.conf", "--sentinel"], stdout=subprocess.DEVNULL
        )
        stack.callback(sentinel.wait)
        stack.callback(sentinel.kill)
        with redis.Redis(port=one.sentinel_port, password="for-sentinels") as client:
            wait_until(lambda: answers(client), "the sentinel answers")
        yield one


@pytest.mark.parametrize(
    "form",
    [
        "redis://:{password}@localhost:{port}/1",
        "redis+socket://:{password}@{folder}/socket?virtual_host=1",
        "unix://{folder}/socket?db=1&password={password}",
        "rediss://:{password}@localhost:{tls}/1?ssl_cert_reqs=CERT_NONE",
        "rediss://:{password}@localhost:{tls}/1?ssl_cert_reqs=required&ssl_ca_certs={folder}/cert",
        # The first sentinel is away
        "sentinel://:{password}@localhost:{unused}/1;sentinel://localhost:{sentinel}"
        "?master_name=main&sentinel_password=for-sentinels",
    ],
    ids=["plain", "socket", "unix", "tls-unchecked", "tls-checked", "sentinels"],
)
def test_both_clients_reach_redis(server, form):
    url = form.format(
        password=quote(server.password, ""),
        port=server.port,
        tls=server.tls_port,
        sentinel=server.sentinel_port,
        unused=free_port(),
        folder=server.folder,
    )
    # When both ask, then both have an answer
    settings = Settings(broker_url=SecretStr(url))
    assert queue_lengths(build_app(settings), ["main"])["classify.main"] == 0
    assert count_entries(url).dead == 0


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not an option of this system")
def test_both_clients_detect_lost_packets(redis_url):
    """Without the options, an idle connection is kept for two hours, another for 16 minutes."""
    settings = Settings(broker_url=SecretStr(redis_url))
    with (
        parse_broker_url(redis_url).client(answer_seconds=1) as ours,
        build_app(settings).connection_for_read() as celerys,
    ):
        for client in (ours, celerys.default_channel.client):
            connection = client.connection_pool.get_connection()
            options = [
                connection._sock.getsockopt(level, option)
                for level, option in (
                    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                )
            ]
            assert options == [1, 10_000, 4]
            client.connection_pool.release(connection)
