"""The inbox in Redis: three lists, and the leases of the intakes.

Producers LPUSH to the *inbox*. An intake moves entries to its own *taken list*, and deletes that
list after the ledger's commit. Invalid entries go to the *dead list* with the reason. When an
intake's lease expires, another intake takes its list over and processes the entries one by one,
because one of them may have crashed the intake. So an entry may be processed twice, but is never
lost as long as Redis keeps its data.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, cast

from redis.exceptions import RedisError

from classifier.errors import CratesortError
from db.errors import plain
from workers.broker_url import parse_broker_url

#: Where producers push; part of the contract in docs/reference/inbox.md, as is `DEAD_KEY`.
INBOX_KEY: Final = "cratesort:inbox"
DEAD_KEY: Final = "cratesort:inbox:dead"

#: A sorted set: each intake and when its lease expires, in seconds of Redis' clock.
INTAKES_KEY: Final = "cratesort:inbox:intakes"

#: The intake's name follows.
TAKEN_PREFIX: Final = "cratesort:inbox:taken:"

#: A hash of the intakes that take entries one by one: how often each tried its first entry.
TRIES_KEY: Final = "cratesort:inbox:tries"

#: Longer entries are cut in Redis when they are taken.
LONGEST_ENTRY_BYTES: Final = 64 * 1024

#: No entry is added to a round that already has this many bytes.
ROUND_BYTES: Final = 1024 * 1024

#: Most entries of the dead list: a faulty producer must not fill Redis' memory.
DEAD_KEPT: Final = 10_000

#: Most bytes of an entry in the dead list, and of its reason, as JSON.
DEAD_ENTRY_BYTES: Final = 1024
_REASON_BYTES: Final = 1024

#: Longer than a round takes; entries of a killed intake wait this long.
LEASE_SECONDS: Final = 20

#: Timeout of each command, as for Celery's connections: detects a frozen Redis.
_ANSWER_SECONDS: Final = 5.0

#: Redis' names of types, as a message has them.
_TYPES: Final = {"zset": "sorted set"}

#: Timeout of `count_entries`: a user waits for `status`.
_COUNT_SECONDS: Final = 1.0

# Atomic, so that no entry is ever between two lists. Repeatable: it returns all entries in this
# intake's taken list, including those of an earlier call whose reply was lost. It begins with a
# write that needs no memory and changes nothing: a full Redis refuses a script that begins with any
# other write.
_TAKE: Final = """
local inbox, intakes, taken, tries = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local me, prefix = ARGV[1], ARGV[2]
local limit, longest, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = tonumber(redis.call('TIME')[1])
redis.call('LTRIM', taken, 0, -1)
local held = redis.call('LLEN', taken)
if held == 0 then
  for _, expired in ipairs(redis.call('ZRANGEBYSCORE', intakes, '-inf', '(' .. now)) do
    if expired ~= me then
      local tried = redis.call('HGET', tries, expired) or 0
      redis.call('ZREM', intakes, expired)
      redis.call('HDEL', tries, expired)
      held = redis.call('LLEN', prefix .. expired)
      if held > 0 then
        redis.call('RENAME', prefix .. expired, taken)
        redis.call('HSET', tries, me, tried)
        break
      end
    end
  end
end
local bytes, is_more = 0, held > 0
if held == 0 then
  is_more = true
  while held < limit and bytes < most_bytes do
    local entry = redis.call('RPOP', inbox)
    if not entry then is_more = false break end
    entry = string.sub(entry, 1, longest + 1)
    redis.call('RPUSH', taken, entry)
    held, bytes = held + 1, bytes + #entry
  end
end
redis.call('ZADD', intakes, now + tonumber(ARGV[6]), me)
local tried = redis.call('HGET', tries, me)
if tried then
  return {tonumber(tried) or 0, held - 1, 1, redis.call('LRANGE', taken, 0, 0)}
end
return {-1, 0, is_more and 1 or 0, redis.call('LRANGE', taken, 0, -1)}
"""

# Repeatable: the taken list keeps as many entries as followed the settled ones. The deletion comes
# first: a full Redis allows it, and then also the script's other writes.
_ACKNOWLEDGE: Final = """
local taken, dead, tries = KEYS[1], KEYS[2], KEYS[3]
local me, remaining = ARGV[1], tonumber(ARGV[2])
if remaining == 0 then
  redis.call('DEL', taken)
  redis.call('HDEL', tries, me)
else
  redis.call('LTRIM', taken, -remaining, -1)
  if redis.call('EXISTS', taken) == 1 then redis.call('HSET', tries, me, 0) end
end
for i = 4, #ARGV do redis.call('LPUSH', dead, ARGV[i]) end
redis.call('LTRIM', dead, 0, tonumber(ARGV[3]) - 1)
"""

# Entries that are still taken can be taken over at once.
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

    - `at`: when it was rejected, in UTC by this host's clock; for information only.
    """

    entry: bytes
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A round: entries in the order in which they were pushed.

    - `remaining`: how many further entries the intake has taken.
    - `tried`: how often the single entry was tried alone before; None for a round of many.
    - `is_more`: whether more entries may be waiting.
    """

    entries: list[bytes]
    remaining: int
    tried: int | None
    is_more: bool


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

    def take(self, limit: int) -> Taken:
        """Renew the lease; return the entries that are taken, or take new ones if there are none.

        Entries of another intake, and all after `try_alone`, are returned one by one.

        - `limit`: most entries to take. None is added once they have `ROUND_BYTES`. An entry that
          is longer than `LONGEST_ENTRY_BYTES` is cut to one byte more than that.
        """
        tried, remaining, is_more, entries = self._take(
            keys=[INBOX_KEY, INTAKES_KEY, self._taken, TRIES_KEY],
            args=[
                self._intake,
                TAKEN_PREFIX,
                limit,
                LONGEST_ENTRY_BYTES,
                ROUND_BYTES,
                LEASE_SECONDS,
            ],
        )
        return Taken(entries, remaining, None if tried < 0 else tried, bool(is_more))

    def try_alone(self, tried: int) -> None:
        """Return the taken entries one by one from now on.

        - `tried`: how often the first of them was tried alone, this time included.
        """
        self._redis.hset(TRIES_KEY, self._intake, str(tried))

    def acknowledge(self, bad: Iterable[BadEntry], remaining: int = 0) -> None:
        """Delete the entries of this round, committed by now; add bad ones to the dead list.

        - `remaining`: as in `Taken`.
        """
        dead = map(dead_text, bad)
        self._acknowledge(
            keys=[self._taken, DEAD_KEY, TRIES_KEY],
            args=[self._intake, remaining, DEAD_KEPT, *dead],
        )

    def release(self) -> None:
        """End the lease; another intake gets the entries that are still taken."""
        self._release(keys=[INTAKES_KEY, self._taken], args=[self._intake])

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def dead_text(bad: BadEntry) -> str:
    """Return an entry as JSON for the dead list."""
    # ASCII: Python's surrogate escapes keep bytes that are not UTF-8.
    entry = bad.entry[:DEAD_ENTRY_BYTES].decode("utf-8", "surrogateescape")
    beginning = _cut(entry, DEAD_ENTRY_BYTES)
    reason = _cut(bad.reason, _REASON_BYTES)
    record: dict[str, str | bool] = {"reason": reason, "at": bad.at, "entry": beginning}
    if len(beginning.encode("utf-8", "surrogateescape")) < len(bad.entry):
        record["cut"] = True
    return json.dumps(record)


def _cut(text: str, most_bytes: int) -> str:
    """Return the beginning of a text that takes at most this many bytes as JSON."""
    text = text[:most_bytes]
    if len(json.dumps(text)) - 2 <= most_bytes:  # without the quotation marks
        return text
    ends = list(accumulate(len(json.dumps(character)) - 2 for character in text))
    return text[: bisect_right(ends, most_bytes)]


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """How many entries each list holds.

    - `waiting`: not taken yet.
    - `taken`: taken by intakes, alive or dead, and not acknowledged.
    - `dead`: invalid entries; at most `DEAD_KEPT` are kept.
    - `intakes`: intakes whose lease has not expired.
    """

    waiting: int
    taken: int
    dead: int
    intakes: int


class InboxUnavailableError(CratesortError):
    """The entries of the inbox cannot be counted: Redis does not answer, or a key is no list."""


def count_entries(url: str) -> InboxCounts:
    """Count the entries of each list.

    Raises InboxUnavailableError, also when Redis does not answer within a second.
    """
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
    except (RedisError, OSError) as error:
        reason = _wrong_type(url) if "WRONGTYPE" in str(error) else None
        raise InboxUnavailableError(reason or f"Redis cannot be used: {plain(error)}") from error
    living = sum(lease_ends >= seconds for _, lease_ends in intakes)
    return InboxCounts(waiting, sum(taken), dead, living)


def _wrong_type(url: str) -> str | None:
    """Return which key of the inbox holds another type than it must, and what to do."""
    expected = {INTAKES_KEY: "zset", INBOX_KEY: "list", DEAD_KEY: "list"}
    try:
        with parse_broker_url(url).client(answer_seconds=_COUNT_SECONDS) as client:
            for key, kind in expected.items():
                held = cast("bytes", client.type(key)).decode()
                if held not in (kind, "none"):
                    return (
                        f"the key {key} in Redis holds a {_TYPES.get(held, held)}, expected a "
                        f"{_TYPES.get(kind, kind)}: rename or delete it"
                    )
    except (RedisError, OSError):
        pass
    return None
