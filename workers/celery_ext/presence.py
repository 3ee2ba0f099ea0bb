"""Which queues each worker takes messages from; its parent publishes them in Redis regularly.

The ledger only shows workers that claimed work. This also shows idle workers.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from classifier.files.paths import printable

if TYPE_CHECKING:
    from redis import Redis

#: The worker's name follows.
_PREFIX: Final = "cratesort:worker:"
#: Longer than a parent waits for a Redis that does not answer.
_VALID_SECONDS: Final = 10


def announce(channel: Any, worker: str, queues: Iterable[str]) -> None:
    """Publish which queues this worker takes messages from; `channel` is kombu's.

    Raises the channel's connection errors.
    """
    try:
        with channel.conn_or_acquire() as client:
            client.set(_PREFIX + worker, ",".join(queues), ex=_VALID_SECONDS)
    except ResponseError:
        pass  # Redis is full, or a replica now: it delivers no work either


def announced(client: "Redis") -> dict[str, set[str]]:
    """Return the queues of each live worker; raises `redis.exceptions.RedisError`."""
    keys: list[Any] = list(client.scan_iter(match=f"{_PREFIX}*", count=1000))
    values: Any = client.mget(keys) if keys else []
    return {
        printable(key.decode(errors="replace").removeprefix(_PREFIX)): set(
            value.decode(errors="replace").split(",")
        )
        - {""}
        for key, value in zip(keys, values, strict=True)
        if value is not None  # it expired between the two commands
    }
