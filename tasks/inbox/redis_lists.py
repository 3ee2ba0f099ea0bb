"""The inbox in Redis: three lists and who serves them.

Producers LPUSH to the *inbox*. An intake moves entries to a *taken list* of its own, and deletes
that when the ledger has them; what it cannot take goes to the *dead list* with the reason. An
intake that dies leaves its taken list to the next one that looks, when its lease has ended. So an
entry may be taken twice and is never lost, as long as Redis keeps its data.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

#: Where producers push; part of the contract in docs/inbox.md, as is `DEAD_KEY`.
INBOX_KEY: Final = "cratesort:inbox"
DEAD_KEY: Final = "cratesort:inbox:dead"

#: A sorted set: each intake and when its lease ends, in seconds of Redis' clock.
INTAKES_KEY: Final = "cratesort:inbox:intakes"

#: The intake's name follows.
TAKEN_PREFIX: Final = "cratesort:inbox:taken:"

#: Longer entries are cut by Redis itself when they are taken: nothing that large is ever sent here.
LONGEST_ENTRY_BYTES: Final = 64 * 1024

#: Redis' memory is bounded, and who fills it with nonsense must not stop the fleet.
DEAD_KEPT: Final = 10_000

#: Longer than a round takes, short enough that entries of a killed intake do not wait for long.
LEASE_SECONDS: Final = 20

#: As for Celery's connections: a Redis that stands still is noticed.
_ANSWER_SECONDS: Final = 5.0

#: A person waits for `status`.
_COUNT_SECONDS: Final = 1.0

# One step, so that nothing is ever between two lists, and one that may be repeated: it returns all
# that this intake holds, also what an earlier call took whose answer was lost. Entries move before
# the lease is written, because a Redis that is full allows the former first and then both.
_TAKE: Final = """
local inbox, intakes, taken = KEYS[1], KEYS[2], KEYS[3]
local me, prefix = ARGV[1], ARGV[2]
local limit, longest, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = tonumber(redis.call('TIME')[1])
local held = redis.call('LLEN', taken)
if held == 0 then
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', intakes, '-inf', '(' .. now)) do
    if silent ~= me then
      redis.call('ZREM', intakes, silent)
      held = redis.call('LLEN', prefix .. silent)
      if held > 0 then
        redis.call('RENAME', prefix .. silent, taken)
        break
      end
    end
  end
end
while held < limit do
  local entry = redis.call('RPOP', inbox)
  if not entry then break end
  redis.call('RPUSH', taken, string.sub(entry, 1, longest + 1))
  held = held + 1
end
redis.call('ZADD', intakes, now + lease, me)
return redis.call('LRANGE', taken, 0, -1)
"""

# The deletion first: a Redis that is full allows it, and then what follows in the same script.
_SETTLE: Final = """
redis.call('DEL', KEYS[1])
for i = 2, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[i]) end
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[1]) - 1)
"""

# What is still held can be had by others at once.
_LEAVE: Final = """
if redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], 0, ARGV[1])
end
"""


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that cannot be taken.

    Attributes
    ----------
    entry : bytes
        As it was taken.
    at : str
        When that was found, in UTC by this host's clock: for a person, nothing is decided by it.
    """

    entry: bytes
    reason: str
    at: str


class Inbox:
    """The inbox, as one intake sees it.

    Every method raises `redis.exceptions.RedisError` when Redis does not answer or refuses, and may
    then be called again.

    Parameters
    ----------
    url : str
        Of Redis, as in `Settings.broker_url`.
    intake : str
        A name that no other intake has or had.
    """

    def __init__(self, url: str, intake: str) -> None:
        self._redis = _client(url, _ANSWER_SECONDS)
        self._intake = intake
        self._taken = TAKEN_PREFIX + intake
        self._take = self._redis.register_script(_TAKE)
        self._settle = self._redis.register_script(_SETTLE)
        self._leave = self._redis.register_script(_LEAVE)

    def take(self, limit: int) -> list[bytes]:
        """Take entries in hand, or renew the lease on those that are, and return them.

        Parameters
        ----------
        limit : int
            Most entries to hold. There may be more when they are a dead intake's.

        Returns
        -------
        list of bytes
            Oldest first; an entry that is longer than `LONGEST_ENTRY_BYTES` is cut to one byte
            more than that.
        """
        keys = [INBOX_KEY, INTAKES_KEY, self._taken]
        return cast(
            "list[bytes]",
            self._take(
                keys=keys,
                args=[self._intake, TAKEN_PREFIX, limit, LONGEST_ENTRY_BYTES, LEASE_SECONDS],
            ),
        )

    def settle(self, dead: Iterable[BadEntry]) -> None:
        """Delete what is in hand, for the ledger has it, and put aside what could not be taken."""
        put_aside = [_put_aside(entry) for entry in dead]
        self._settle(keys=[self._taken, DEAD_KEY], args=[DEAD_KEPT, *put_aside])

    def leave(self) -> None:
        """End the lease; what is still in hand is the next intake's."""
        self._leave(keys=[INTAKES_KEY, self._taken], args=[self._intake])

    def close(self) -> None:
        """Return the connection."""
        self._redis.close()


def _put_aside(entry: BadEntry) -> str:
    # ASCII: bytes that are no UTF-8 come back as they were, by Python's surrogate escapes.
    text = entry.entry.decode("utf-8", "surrogateescape")
    return json.dumps({"reason": entry.reason, "at": entry.at, "entry": text})


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """How many entries each list holds, and how many intakes there are.

    Attributes
    ----------
    waiting : int
        Nobody has taken them yet.
    taken : int
        In the hands of intakes, living or dead: in the ledger in a moment.
    dead : int
        Could not be taken; at most `DEAD_KEPT` are kept.
    intakes : int
        How many serve the inbox, as far as their leases tell.
    """

    waiting: int
    taken: int
    dead: int
    intakes: int


def count_entries(url: str) -> InboxCounts | None:
    """Count the entries of the inbox's lists.

    Parameters
    ----------
    url : str
        Of Redis.

    Returns
    -------
    InboxCounts or None
        None when Redis does not answer within a second, or refuses.
    """
    try:
        with _client(url, _COUNT_SECONDS) as client:
            seconds, _ = cast("tuple[int, int]", client.time())
            intakes = cast(
                "list[tuple[bytes, float]]", client.zrange(INTAKES_KEY, 0, -1, withscores=True)
            )
            pipeline = client.pipeline(transaction=True)
            for key in (INBOX_KEY, DEAD_KEY):
                pipeline.llen(key)
            for name, _ in intakes:
                pipeline.llen(cast("Any", TAKEN_PREFIX.encode() + name))
            waiting, dead, *taken = pipeline.execute()
    except (RedisError, OSError, ValueError):
        return None  # ValueError: a URL that Celery reads and this client does not
    living = sum(lease_ends >= seconds for _, lease_ends in intakes)
    return InboxCounts(waiting, sum(taken), dead, living)


def _client(url: str, answer_seconds: float) -> Redis:
    # Kombu's spelling of a socket; redis-py has its own.
    url = url.replace("redis+socket://", "unix://", 1)
    return Redis.from_url(
        url,
        socket_timeout=answer_seconds,
        socket_connect_timeout=answer_seconds,
        # Who calls decides what to do about a Redis that is away; redis-py would keep him waiting.
        retry=Retry(NoBackoff(), 0),
    )
