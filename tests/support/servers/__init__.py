"""Redis and PostgreSQL of our own, which a test may stop, kill, freeze and start again.

    with running(RedisServer()) as server:
        server.freeze()

Every server is a child of the test process and is only ever signalled by the id of that child (or,
for PostgreSQL, of the child's own children), so the machine's servers are out of reach. When the
test process dies, however it dies, the kernel ends its servers (on Linux).

Not here: which test gets which server (`tests/conftest.py`).
"""

from tests.support.servers.lifecycle import Server, ServerUnavailableError, running
from tests.support.servers.network_namespace import NetworkNamespace
from tests.support.servers.postgres_server import PostgresServer
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.tcp_proxy import TcpProxy

__all__ = [
    "NetworkNamespace",
    "PostgresServer",
    "RedisServer",
    "Server",
    "ServerUnavailableError",
    "TcpProxy",
    "running",
]
