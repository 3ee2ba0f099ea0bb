"""The inbox: taken, committed, removed; by several intakes; past their deaths; counted."""

import json
import os
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from classifier.files.paths import path_bytes
from db.engine import reading
from db.results import labels
from db.results import sounds as sounds_table
from db.tables import ingests, label_history
from tasks.inbox import entries
from tasks.inbox.consumer import INGEST_SECONDS, Intake
from tasks.inbox.entries import read_entries
from tasks.inbox.redis_lists import (
    DEAD_ENTRY_BYTES,
    DEAD_KEPT,
    DEAD_KEY,
    INBOX_KEY,
    INTAKES_KEY,
    LEASE_SECONDS,
    LONGEST_ENTRY_BYTES,
    ROUND_BYTES,
    TAKEN_PREFIX,
    TRIES_KEY,
    BadEntry,
    Inbox,
    InboxCounts,
    InboxUnavailableError,
    count_entries,
)
from tasks.producer.locator import Locator
from tests.support import sounds
from tests.support.servers.lifecycle import free_port, wait_until
from tests.support.sound_results import predicted
from workers.celery_ext.app import build_app
from workers.settings import Settings


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def folder(tmp_path):
    """A library root with ten sounds."""
    folder = tmp_path / "library"
    (folder / "a").mkdir(parents=True)
    for number in range(10):
        (folder / f"a/{number}.wav").write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def settings(database_url, redis_url, folder):
    return Settings(
        broker_url=SecretStr(redis_url),
        database_url=SecretStr(database_url),
        library_roots={"main": folder},
        batch_size=4,
    )


@pytest.fixture
def make_intake(settings, database):
    with build_app(settings) as app:
        yield lambda: Intake(settings, app, database)


@pytest.fixture
def intake(make_intake):
    return make_intake()


@pytest.fixture
def push(client, folder):
    """Push sounds of the library by their numbers."""

    def push(*numbers):
        client.lpush(INBOX_KEY, *(f"{folder}/a/{number}.wav" for number in numbers))

    return push


@pytest.fixture
def ingest_rows(database):
    def read():
        with reading(database) as connection:
            return list(connection.execute(select(ingests).order_by(ingests.c.id)).mappings())

    return read


@pytest.fixture
def lists(client):
    """The names of all lists of the inbox that hold anything."""
    return lambda: {
        key.decode() for key in client.keys("cratesort:*") if client.type(key) == b"list"
    }


def end_all_leases(client):
    """Let time pass."""
    for intake in client.zrange(INTAKES_KEY, 0, -1):
        client.zadd(INTAKES_KEY, {intake: 0})


# A round


def test_a_round_is_moved_from_redis_to_the_database_and_announced(
    intake, push, batch_rows, client, lists
):
    push(0, 1)
    assert intake.round() == 2
    (batch,) = batch_rows()
    assert (batch["root"], batch["paths"]) == ("main", ["a/0.wav", "a/1.wav"])
    assert batch["state"] == "queued"
    assert client.llen("classify.main:3") == 1
    assert lists() == set()


def test_the_oldest_entries_come_first_and_a_round_is_bounded(intake, push, batch_rows):
    push(9, 8, 7)
    push(6, 5, 4)
    assert [intake.round(), intake.round(), intake.round()] == [4, 2, 0]
    assert [row["paths"] for row in batch_rows()] == [
        ["a/6.wav", "a/7.wav", "a/8.wav", "a/9.wav"],
        ["a/4.wav", "a/5.wav"],
    ]


def test_of_two_entries_for_one_sound_in_a_round_the_later_counts(
    intake, client, folder, batch_rows
):
    client.lpush(INBOX_KEY, f"{folder}/a/1.wav")
    client.lpush(INBOX_KEY, json.dumps({"root": "main", "path": "a/1.wav", "vendor": "Acme"}))
    intake.round()
    (batch,) = batch_rows()
    assert (batch["paths"], batch["vendors"]) == (["a/1.wav"], ["Acme"])


def test_the_rounds_of_a_day_are_one_ingest(intake, push, ingest_rows):
    for number in range(3):
        push(number)
        intake.round()
    (row,) = ingest_rows()
    assert (row["source"], row["found"], row["enqueued"]) == (INBOX_KEY, 3, 3)
    assert row["submitted_at"] >= row["started_at"]


def test_the_next_day_begins_another_ingest(intake, push, ingest_rows, take):
    push(0)
    intake.round()
    yesterday = ingest_rows()[0]["started_at"] - timedelta(seconds=INGEST_SECONDS)
    take(lambda connection: connection.execute(update(ingests).values(started_at=yesterday)))
    push(1)
    intake.round()
    assert [row["found"] for row in ingest_rows()] == [1, 1]


def test_an_empty_inbox_writes_nothing(intake, ingest_rows):
    assert intake.round() == 0
    assert ingest_rows() == []


def test_a_label_comes_with_its_sound(intake, client, database):
    client.lpush(INBOX_KEY, json.dumps({"root": "main", "path": "a/1.wav", "label": "drum"}))
    intake.round()
    with reading(database) as connection:
        (row,) = connection.execute(select(label_history)).mappings()
    assert (row["root"], row["path"], row["category"]) == ("main", "a/1.wav", "drum")
    assert (row["source"], row["labelled_by"]) == ("import", "inbox")


def test_an_unchanged_sound_is_skipped_but_labelled(
    settings, intake, client, folder, take, batch_rows, ingest_rows, database
):
    (found,), _ = read_entries([os.fsencode(folder / "a/1.wav")], Locator(settings))
    known = replace(
        predicted("a/1.wav"),
        root="main",
        file_size_bytes=found.sound.file_size_bytes,
        mtime_ns=found.sound.mtime_ns,
    )
    take(sounds_table.save, [known])
    client.lpush(INBOX_KEY, json.dumps({"root": "main", "path": "a/1.wav", "label": "drum"}))
    intake.round()
    assert batch_rows() == []
    assert ingest_rows()[0]["skipped_unchanged"] == 1
    with reading(database) as connection:
        assert [label.category for label in labels.current(connection)] == ["drum"]


@pytest.mark.parametrize(
    "said",
    [
        {"path": "a/\x1b[2J\n\u202e.wav"},
        {"path": "a/caf\udce9.wav"},
        {"path": "a/" + 4000 * "\udce9"},
        {"path": "a/1.wav", "vendor": "\udce9 \x1b \U0001f941"},
        {"path": "a/1.wav", "vendor": 255 * "\U0001f941"},
        {"path": "a/" + 300 * "n", "label": "drum"},
    ],
    ids=lambda said: ascii(said)[:40],
)
def test_any_accepted_entry_can_be_written(intake, client, said, batch_rows):
    client.lpush(INBOX_KEY, json.dumps({"root": "main", **said}))
    intake.round()
    (batch,) = batch_rows()
    assert path_bytes(batch["paths"][0]) == said["path"].encode(errors="surrogateescape")


def test_a_redis_key_of_another_type_is_an_error_until_removed(intake, client, push):
    client.set(INBOX_KEY, "a text")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        intake.round()
    client.delete(INBOX_KEY)
    push(1)
    assert intake.round() == 1


def test_a_bad_entry_goes_to_the_dead_list_with_its_reason(intake, push, client, batch_rows):
    client.lpush(INBOX_KEY, b"{caf\xe9")
    push(1)
    intake.round()
    assert [row["paths"] for row in batch_rows()] == [["a/1.wav"]]
    (put_aside,) = map(json.loads, client.lrange(DEAD_KEY, 0, -1))
    assert "not UTF-8" in put_aside["reason"]
    assert put_aside["entry"].encode("utf-8", "surrogateescape") == b"{caf\xe9"


@pytest.fixture
def rename_batches(take):
    """For the block, the ledger cannot be written."""

    def rename(old, new):
        take(lambda connection: connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}"))

    @contextmanager
    def renamed():
        rename("batches", "away")
        yield
        rename("away", "batches")

    return renamed


def test_a_round_that_cannot_be_written_keeps_its_entries(
    intake, push, rename_batches, batch_rows, client
):
    # Given a ledger that cannot be written
    push(1)
    with rename_batches():
        # When rounds fail for that
        for _ in range(5):
            with pytest.raises(SQLAlchemyError):
                intake.round()

    # Then no try is counted: they are still taken, and are written by the next intake
    assert not client.exists(DEAD_KEY)
    assert intake.round() == 1
    assert [row["paths"] for row in batch_rows()] == [["a/1.wav"]]


# An entry that ends what takes it


@pytest.fixture
def harmful(monkeypatch):
    """Let each entry that holds one of these words do this to the intake."""
    harm: dict[bytes, BaseException] = {}
    read = entries._read

    def reading_or_harm(entry, locator):
        for word, error in harm.items():
            if word in entry:
                raise error
        return read(entry, locator)

    monkeypatch.setattr(entries, "_read", reading_or_harm)
    return harm


class Killed(BaseException):
    """What an intake does not survive."""


@pytest.fixture
def dead(client):
    return lambda: [json.loads(one) for one in client.lrange(DEAD_KEY, 0, -1)]


@pytest.mark.parametrize(
    "error", [RuntimeError("a fault of ours"), MemoryError(), OSError(5, "Input/output error")]
)
def test_an_error_of_one_entry_does_not_stop_the_intake(
    intake, push, harmful, batch_rows, dead, error
):
    harmful[b"/a/2.wav"] = error
    push(1, 2, 3)
    while intake.round():
        pass
    assert [row["paths"] for row in batch_rows()] == [["a/1.wav"], ["a/3.wav"]]
    (put_aside,) = dead()
    assert put_aside["entry"].endswith("/a/2.wav")
    assert put_aside["reason"] == (
        f"an internal error ({type(error).__name__}) when it was processed alone, 3 times; "
        "see the intake's log"
    )
    # And what comes then is taken as ever
    push(4, 5)
    intake.round()
    assert batch_rows()[-1]["paths"] == ["a/4.wav", "a/5.wav"]


def test_an_entry_that_crashes_its_intakes_is_isolated(
    make_intake, push, client, harmful, batch_rows, dead, lists
):
    # Given an entry that no intake survives
    harmful[b"/a/2.wav"] = Killed()
    push(1, 2, 3, 4)
    deaths = 0
    while client.llen(INBOX_KEY) or lists() - {DEAD_KEY}:
        # When one intake after the other takes over what the one before had
        intake = make_intake()
        try:
            while intake.round():
                pass
        except Killed:
            deaths += 1
            assert deaths < 9, "it is not singled out"
            end_all_leases(client)
    # Then it is known after the first death with others, and three alone
    assert deaths == 4
    assert [row["paths"] for row in batch_rows()] == [["a/1.wav"], ["a/3.wav"], ["a/4.wav"]]
    (put_aside,) = dead()
    assert put_aside["entry"].endswith("/a/2.wav")
    assert "3 intakes crashed while they processed only this entry" in put_aside["reason"]
    assert not client.exists(TRIES_KEY)


@pytest.mark.parametrize("deaths", [1, 2])
def test_an_outage_counts_against_no_entry(
    make_intake, push, client, harmful, batch_rows, dead, rename_batches, deaths
):
    # Given entries that a dead intake had, or two
    harmful[b"/a/1.wav"] = Killed()
    push(1, 2)
    for _ in range(deaths):
        with pytest.raises(Killed):
            make_intake().round()
        end_all_leases(client)
    harmful.clear()
    # When the ledger cannot be written while the next one has them
    intake = make_intake()
    with rename_batches():
        for _ in range(5):
            with pytest.raises(SQLAlchemyError):
                intake.round()
    # Then all are taken when it can
    while intake.round():
        pass
    assert [row["paths"] for row in batch_rows()] == [["a/1.wav"], ["a/2.wav"]]
    assert dead() == []


def test_an_invalid_attempt_counter_does_not_stop_the_intake(redis_url, push, client):
    push(1)
    inbox = Inbox(redis_url, "an intake")
    inbox.take(4)
    client.hset(TRIES_KEY, "an intake", "many")
    taken = inbox.take(4)
    assert (taken.tried, len(taken.entries)) == (0, 1)


def test_a_repeated_acknowledgement_deletes_no_other_entry(redis_url, push, lists):
    push(1, 2, 3)
    inbox = Inbox(redis_url, "an intake")
    inbox.take(4)
    inbox.try_alone(0)
    first = inbox.take(4)
    assert (first.tried, len(first.entries), first.remaining) == (0, 1, 2)
    # As where the first answer was lost
    for _ in range(2):
        inbox.acknowledge([], first.remaining)
    assert inbox.take(4).remaining == 1
    for remaining in (1, 0, 0):
        inbox.acknowledge([], remaining)
    assert lists() == set()
    assert inbox.take(4).tried is None


# Bounds


def test_a_round_is_bounded_in_bytes(redis_url, client):
    client.lpush(INBOX_KEY, *(40 * [60_000 * b"a"]))
    inbox = Inbox(redis_url, "an intake")
    sizes = []
    while (taken := inbox.take(1000)).entries:
        sizes.append(sum(map(len, taken.entries)))
        inbox.acknowledge([])
    assert sum(sizes) == 40 * 60_000
    assert max(sizes) < ROUND_BYTES + LONGEST_ENTRY_BYTES


@pytest.mark.parametrize("byte", [b"a", b"\xe9", b"\n", "\U0001f941".encode()], ids=repr)
def test_a_dead_list_entry_is_bounded(redis_url, client, dead, byte):
    inbox = Inbox(redis_url, "an intake")
    entry = 65_000 * byte
    inbox.acknowledge([BadEntry(entry, 1000 * "\U0001f941", "now"), BadEntry(byte, "why", "now")])
    assert all(len(one) < 2 * DEAD_ENTRY_BYTES + 100 for one in client.lrange(DEAD_KEY, 0, -1))
    whole, cut = dead()
    assert (whole["entry"].encode("utf-8", "surrogateescape"), "cut" in whole) == (byte, False)
    assert cut["cut"] is True
    kept = cut["entry"].encode("utf-8", "surrogateescape")
    assert entry.startswith(kept)
    assert len(kept) > DEAD_ENTRY_BYTES // 7


def test_a_huge_entry_is_cut_in_redis(redis_url, client):
    client.lpush(INBOX_KEY, 5_000_000 * b"a")
    (entry,) = Inbox(redis_url, "an intake").take(4).entries
    assert len(entry) == LONGEST_ENTRY_BYTES + 1


def test_the_dead_list_keeps_the_latest(redis_url, client):
    inbox = Inbox(redis_url, "an intake")
    for first in (0, DEAD_KEPT):
        numbers = range(first, first + DEAD_KEPT // 2 + 1)
        inbox.acknowledge(BadEntry(b"%d" % number, "a reason", "now") for number in numbers)
    assert client.llen(DEAD_KEY) == DEAD_KEPT
    assert json.loads(client.lindex(DEAD_KEY, 0))["entry"] == str(numbers[-1])


# Several intakes, dead ones among them


def test_several_intakes_take_each_entry_once(make_intake, client, folder, batch_rows):
    names = [f"{folder}/a/{number}.wav" for number in range(200)]
    client.lpush(INBOX_KEY, *names)
    stop = threading.Event()
    serving = [threading.Thread(target=make_intake().serve, args=(stop,)) for _ in range(3)]
    for thread in serving:
        thread.start()
    try:
        wait_until(lambda: sum(row["sound_count"] for row in batch_rows()) >= 200, "all are in")
    finally:
        stop.set()
        for thread in serving:
            thread.join()
    written = Counter(path for row in batch_rows() for path in row["paths"])
    assert written == Counter({f"a/{number}.wav": 1 for number in range(200)})


def test_entries_of_a_live_intake_are_not_taken_over(redis_url, push):
    push(1)
    first, second = Inbox(redis_url, "first"), Inbox(redis_url, "second")
    assert len(first.take(4).entries) == 1
    assert second.take(4).entries == []
    assert len(first.take(4).entries) == 1


def test_entries_of_an_expired_intake_are_taken_over(redis_url, push, client, lists):
    push(1)
    held = Inbox(redis_url, "expired").take(4).entries
    end_all_leases(client)
    second = Inbox(redis_url, "second")
    assert second.take(4).entries == held
    second.acknowledge([])
    assert lists() == set()
    assert client.zrange(INTAKES_KEY, 0, -1) == [b"second"]


def test_an_intake_that_resumes_deletes_only_its_own_entries(redis_url, push, client):
    push(1)
    sleeper, other = Inbox(redis_url, "sleeper"), Inbox(redis_url, "other")
    sleeper.take(4)
    end_all_leases(client)
    held = other.take(4).entries
    sleeper.acknowledge([])
    assert other.take(4).entries == held


def test_a_stopped_intake_releases_its_entries_at_once(redis_url, push):
    push(1)
    first = Inbox(redis_url, "first")
    held = first.take(4).entries
    first.release()
    assert Inbox(redis_url, "second").take(4).entries == held


def test_an_intake_that_ends_without_entries_leaves_no_keys(redis_url, client):
    inbox = Inbox(redis_url, "first")
    inbox.take(4)
    inbox.release()
    assert client.keys("*") == []


def test_a_lease_expires_by_the_clock_of_redis(redis_url, client):
    Inbox(redis_url, "first").take(4)
    seconds, _ = client.time()
    assert 0 < client.zscore(INTAKES_KEY, "first") - seconds <= LEASE_SECONDS


def test_the_inbox_of_a_full_redis_can_be_emptied(redis_url, push, client, lists):
    push(1)
    inbox = Inbox(redis_url, "first")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    try:
        assert len(inbox.take(4).entries) == 1
        inbox.acknowledge([BadEntry(b"x", "a reason", "now")])
    finally:
        client.config_set("maxmemory", 0)
    assert lists() == {DEAD_KEY}


# Counting


def test_the_lists_are_counted(redis_url, push, client):
    push(*range(5))
    for name in ("first", "second"):
        Inbox(redis_url, name).take(2)
    client.lpush(DEAD_KEY, "{}")
    assert count_entries(redis_url) == InboxCounts(waiting=1, taken=4, dead=1, intakes=2)
    assert client.llen(TAKEN_PREFIX + "first") == 2


def test_entries_of_an_expired_intake_are_counted_but_not_the_intake(redis_url, push, client):
    push(1)
    Inbox(redis_url, "expired").take(4)
    end_all_leases(client)
    assert count_entries(redis_url) == InboxCounts(waiting=0, taken=1, dead=0, intakes=0)


def test_an_unreachable_redis_has_no_counts():
    with pytest.raises(InboxUnavailableError, match=r"Redis cannot be used: .* refused"):
        count_entries(f"redis://127.0.0.1:{free_port()}/0")


def test_a_key_of_another_type_is_named_with_its_type(redis_url, client):
    client.set(INBOX_KEY, "/mnt/packs/kick.wav")
    with pytest.raises(
        InboxUnavailableError, match="the key cratesort:inbox in Redis holds a string, expected a"
    ):
        count_entries(redis_url)


def test_a_frozen_redis_gives_no_counts(redis_url, redis_server):
    redis_server.freeze()
    try:
        with pytest.raises(InboxUnavailableError):
            count_entries(redis_url)
    finally:
        redis_server.thaw()
