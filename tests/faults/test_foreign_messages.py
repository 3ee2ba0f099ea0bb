"""Foreign data in Redis: an unknown task, entries that are not messages."""

import base64
import json

import redis

from tests.support.fleet import SUPERVISOR_ALONE, Fleet
from tests.support.servers.lifecycle import wait_until
from workers.celery_ext.app import build_app
from workers.settings import Settings


def send_unknown_task(fleet: Fleet) -> None:
    settings = Settings(broker_url=fleet.broker_url)
    with build_app(settings) as app:
        app.send_task("os.system", args=["id"], queue="classify")


def test_a_message_cannot_give_itself_more_time(fleet):
    """Without LimitedRequest and the supervisor, the child would be stuck for an hour."""
    # Given a batch that never ends, and a message that claims an hour for it
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    message = {"version": 1, "batch_id": 1, "root": "library", "paths": []}
    with redis.Redis.from_url(fleet.broker_url) as client:
        client.delete("classify.library:3")
    with build_app(Settings(broker_url=fleet.broker_url)) as app:
        app.send_task(
            "tasks.classify",
            kwargs=message,
            queue="classify",
            time_limit=3600,
            soft_time_limit=3600,
        )
    # When a worker with a limit of 2 s takes it, then that limit ends it
    with fleet.worker(settings=SUPERVISOR_ALONE | {"CRATESORT_TIME_LIMIT_SECONDS": "2"}) as worker:
        wait_until(lambda: "exceeded its time limit" in worker.log(), "the limit ended it", 60)
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost(failed={"stuck.wav": "timed_out"})


def test_an_unknown_task_is_dropped_and_the_work_goes_on(fleet):
    """Without the registry of tasks, the worker runs what the message names.

    With Celery's remote control, any message could end it.
    """
    fleet.add(count=12)
    with fleet.worker() as worker:
        with build_app(Settings(broker_url=fleet.broker_url)) as app:
            app.control.broadcast("shutdown")
        send_unknown_task(fleet)
        wait_until(lambda: "unregistered task" in worker.log(), "it was read", 60)
        fleet.submit()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def envelope(delivery_info=None, **changed):
    """What kombu writes around a body, with something wrong in it."""
    where = {"exchange": "classify", "routing_key": "classify"}
    properties = {
        "delivery_tag": "a",
        "delivery_info": where if delivery_info is None else delivery_info,
        "body_encoding": "base64",
    }
    whole = {
        "body": "",
        "headers": {},
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "properties": properties,
    }
    return json.dumps({**whole, **changed}).encode()


ENTRIES = (
    b"",
    b"no JSON",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"a": ' + b"1" * 5_000 + b"}",
    b'{"__type__": "datetime", "__value__": 5}',
    b'{"__type__": [], "__value__": 5}',
    envelope(headers=None),
    envelope(properties={}),
    envelope(delivery_info={}),
    envelope(body="\u00e9"),
    envelope(body="a"),
)


def test_entries_that_are_no_messages_are_dropped_and_the_work_goes_on(fleet):
    """Without the careful transport, each entry ends the worker with a traceback."""
    fleet.add(count=4)
    with fleet.worker() as worker, redis.Redis.from_url(fleet.broker_url) as client:
        parent = worker.pid
        for queue in ("classify", "classify.library:3", "housekeeping"):
            before = worker.log().count("dropped a malformed")
            client.lpush(queue, *ENTRIES)
            wait_until(
                lambda before=before: (
                    worker.log().count("dropped a malformed") >= before + len(ENTRIES)
                ),
                f"all in {queue} were read",
                60,
            )
        fleet.submit()
        fleet.wait_until_done()
        assert parent in worker.processes()
    fleet.assert_nothing_is_lost()


def test_malformed_broadcasts_do_not_end_a_worker_with_remote_control(fleet):
    """Without the careful transport, brackets that are published end all workers."""
    fleet.add(count=4)
    bodies = (b"", b"no JSON", b"[" * 100_000, b"5", b"[]", b'{"method": {}}', b'{"method": "x"}')
    with (
        fleet.worker("worker.enable_remote_control=true") as worker,
        redis.Redis.from_url(fleet.broker_url) as client,
        build_app(Settings(broker_url=fleet.broker_url)) as app,
    ):
        wait_until(lambda: app.control.ping(timeout=1), "it answers", 60)
        for entry in (*ENTRIES, *(envelope(body=base64.b64encode(b).decode()) for b in bodies)):
            assert client.publish("/0.celery.pidbox", entry) == 1
        fleet.submit()
        fleet.wait_until_done()
        assert app.control.ping(timeout=5), worker.log()
    fleet.assert_nothing_is_lost()


def test_malformed_unacknowledged_messages_do_not_end_a_starting_worker(fleet):
    """Without the careful QoS, the entries end each worker that starts."""
    fleet.add(count=4)
    with redis.Redis.from_url(fleet.broker_url) as client:
        # Given what a worker that was killed might have left, with something else put there
        for tag, entry in {"a": b"garbage", "b": b"null", "c": b"[1]"}.items():
            client.hset("unacked", tag, entry)
            client.zadd("unacked_index", {tag: 1})
        # When a worker starts
        with fleet.worker():
            fleet.submit()
            # Then it works, and the entries are gone
            fleet.wait_until_done()
            wait_until(lambda: not client.exists("unacked_index"), "they were dropped", 60)
    fleet.assert_nothing_is_lost()
