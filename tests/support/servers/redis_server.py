"""A Redis of our own. Not here: how a server is started and ended (`lifecycle`)."""

import shutil
import signal
import subprocess

import redis

from tests.support.servers.lifecycle import Server, ServerUnavailableError


def find_redis() -> str:
    """Return the path of ``redis-server``."""
    path = shutil.which("redis-server")
    if path is None:
        raise ServerUnavailableError("redis-server is not installed: apt-get install redis-server")
    return path


class RedisServer(Server):
    """A Redis that forgets everything when it ends: no snapshots, no append-only file."""

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _launch(self) -> subprocess.Popen[bytes]:
        configuration = self.folder / "redis.conf"
        configuration.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
            f'save ""\nappendonly no\ndir "{self.folder}"\n'
        )
        return self._spawn([find_redis(), str(configuration)], signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:  # not listening yet, or still loading
            return False
