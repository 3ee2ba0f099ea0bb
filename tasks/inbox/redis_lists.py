"""The inbox in Redis: three lists, and the leases of the intakes.

Producers LPUSH to the *inbox*. An intake moves entries to a *taken list* of its own, and deletes
that when the ledger has them; what cannot be taken goes to the *dead list* with the reason. When an
intake's lease has expired, another one takes its list over. So an entry may be taken twice, and is
never lost as long as Redis keeps its data.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.exceptions import RedisError

from workers.broker_url import parse_broker_url

#: Where producers push; part of the contract in docs/inbox.md, as is `DEAD_KEY`.
INBOX_KEY: Final = "cratesort:inbox"
DEAD_KEY: Final = "cratesort:inbox:dead"

#: A sorted set: each intake and when its lease expires, in seconds of Redis' clock.
INTAKES_KEY: Final = "cratesort:inbox:intakes"

#: The intake's name follows.
TAKEN_PREFIX: Final = "cratesort:inbox:taken:"

#: Redis itself cuts longer entries when they are taken.
LONGEST_ENTRY_BYTES: Final = 64 * 1024

#: Redis' memory is bounded: a producer of nonsense must not stop the fleet.
DEAD_KEPT: Final = 10_000

#: Longer than a round takes; entries of a killed intake wait so long.
LEASE_SECONDS: Final = 20

#: As for Celery's connections: a frozen Redis is noticed.
_ANSWER_SECONDS: Final = 5.0

#: A user waits for `status`.
_COUNT_SECONDS: Final = 1.0

# Atomic, so that no entry is ever between two lists. Repeatable: it returns all that this intake
# holds, also what an earlier call took whose answer was lost. Entries move before the lease is
# written: a full Redis refuses a script that begins with a write which needs memory.
_TAKE: Final = """
local inbox, intakes, taken = KEYS[1], KEYS[2], KEYS[3]
local me, prefix = ARGV[1], ARGV[2]
local limit, longest, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = tonumber(redis.call('TIME')[1])
local held = redis.call('LLEN', taken)
if held == 0 then
  for _, expired in ipairs(redis.call('ZRANGEBYSCORE', intakes, '-inf', '(' .. now)) do
    if expired ~= me then
      redis.call('ZREM', intakes, expired)
      held = redis.call('LLEN', prefix .. expired)
      if held > 0 then
        redis.call('RENAME', prefix .. expired, taken)
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

# The deletion first: a full Redis allows it, and then what follows in the same script.
_ACKNOWLEDGE: Final = """
redis.call('DEL', KEYS[1])
for i = 2, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[i]) end
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[1]) - 1)
"""

# What is still held can be taken over at once.
_RELEASE: Final = """
if redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], 0, ARGV[1])
end
"""


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that cannot be taken.

    - `at`: when that was found, in UTC by this host's clock; for information only.
    """

    entry: bytes
    reason: str
    at: str


class Inbox:
    """The inbox, as one intake sees it.

    Every method raises `redis.exceptions.RedisError` when Redis does not answer or refuses, and may
    then be called again.

    - `url`: as `Settings.broker_url`.
    - `intake`: a name that no other intake has or had.
    """

    def __init__(self, url: str, intake: str) -> None:
        self._redis = parse_broker_url(url).client(answer_seconds=_ANSWER_SECONDS)
        self._intake = intake
        self._taken = TAKEN_PREFIX + intake
        self._take = self._redis.register_script(_TAKE)
        self._acknowledge = self._redis.register_script(_ACKNOWLEDGE)
        self._release = self._redis.register_script(_RELEASE)

    def take(self, limit: int) -> list[bytes]:
        """Take entries, oldest first, or renew the lease on those that are taken; return them all.

        - `limit`: most entries to hold; a dead intake's list may have more. An entry that is longer
          than `LONGEST_ENTRY_BYTES` is cut to one byte more than that.
        """
        entries = self._take(
            keys=[INBOX_KEY, INTAKES_KEY, self._taken],
            args=[self._intake, TAKEN_PREFIX, limit, LONGEST_ENTRY_BYTES, LEASE_SECONDS],
        )
        return cast("list[bytes]", entries)

    def acknowledge(self, bad: Iterable[BadEntry]) -> None:
        """Delete the taken entries, which the ledger has; move bad ones to the dead list."""
        dead = [
            # ASCII: Python's surrogate escapes keep bytes that are not UTF-8.
            json.dumps(
                {
                    "reason": entry.reason,
                    "at": entry.at,
                    "entry": entry.entry.decode("utf-8", "surrogateescape"),
                }
            )
            for entry in bad
        ]
        self._acknowledge(keys=[self._taken, DEAD_KEY], args=[DEAD_KEPT, *dead])

    def release(self) -> None:
        """End the lease; another intake gets the entries that are still taken."""
        self._release(keys=[INTAKES_KEY, self._taken], args=[self._intake])

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """How many entries each list holds.

    - `waiting`: not taken yet.
    - `taken`: by intakes, living or dead.
    - `dead`: that cannot be taken; at most `DEAD_KEPT`.
    - `intakes`: intakes whose lease has not expired.
    """

    waiting: int
    taken: int
    dead: int
    intakes: int


def count_entries(url: str) -> InboxCounts | None:
    """Count the entries of each list; None when Redis does not answer within a second."""
    try:
        with parse_broker_url(url).client(answer_seconds=_COUNT_SECONDS) as client:
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
    except (RedisError, OSError):
        return None
    living = sum(lease_ends >= seconds for _, lease_ends in intakes)
    return InboxCounts(waiting, sum(taken), dead, living)
