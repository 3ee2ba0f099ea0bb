"""Messages for batches: a Redis that is away, messages that were lost, and those that were not."""

import base64
import json
import socketserver
import threading

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import update

from db.dialects import now
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.tables import batches
from tasks.producer.notifier import Notifier
from tests.support.servers.lifecycle import free_port
from workers.celery_ext.app import build_app
from workers.celery_ext.dispatch import dispatch
from workers.celery_ext.redis_transport import LONGEST_ENTRY_CHARACTERS
from workers.recovery.ledger_sweep import sweep
from workers.settings import Settings


@pytest.fixture
def settings_for(database_url):
    """The settings of a fleet whose Redis has this URL."""
    return lambda url, **more: Settings(
        broker_url=SecretStr(url), database_url=SecretStr(database_url), **more
    )


@pytest.fixture
def deaf_server():
    """A server that hangs up on everybody: its URL, and who called."""
    calls = []

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self):
            calls.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangUp) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0", calls
        server.shutdown()


@pytest.fixture
def stale(redis_url, settings_for, add_batches, database):
    """Three batches whose messages were sent so long ago that they may be lost."""
    settings = settings_for(redis_url)
    add_batches(1, 1, 1)
    with build_app(settings) as app:
        assert dispatch(app, database, settings).published == 3
        with database.begin() as connection:
            connection.execute(update(batches).values(queued_at=now(-2 * settings.stale_seconds)))
        yield app, database, settings


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def test_while_redis_is_unreachable_all_batches_stay_pending(
    settings_for, add_batches, database, states
):
    # Given three batches and no Redis
    add_batches(1, 1, 1)
    settings = settings_for(f"redis://127.0.0.1:{free_port()}/0")

    # When they are to be published
    with build_app(settings) as app:
        dispatched = dispatch(app, database, settings)

    # Then the first failure is the reason, and the ledger keeps them all
    assert dispatched.published == 0
    assert "refused" in dispatched.broker_away
    assert states() == ["pending"] * 3


def test_an_unreachable_redis_is_not_called_again(settings_for, add_batches, database, deaf_server):
    # Given a notifier that found Redis away
    url, calls = deaf_server
    add_batches(1)
    notifier = Notifier(settings_for(url), database)
    why = notifier.notify()
    assert why is not None
    called = len(calls)
    assert called > 0

    # When there is more work
    add_batches(1)

    # Then Redis is not called, and the reason is the same
    assert notifier.notify() == why
    assert len(calls) == called


def test_a_sweep_announces_batches_whose_messages_were_lost(stale, client):
    # Given a Redis that lost all messages
    client.flushall()

    # When a sweep looks for them
    swept = sweep(*stale)

    # Then each batch has one again
    assert swept.republished == 3
    assert client.llen("classify.library:3") == 3


def test_a_sweep_does_not_repeat_messages_still_in_redis(stale, client):
    # Given messages that still wait in Redis, for there is no worker

    # When a sweep looks for lost ones
    swept = sweep(*stale)

    # Then it sends none a second time
    assert swept.republished == 0
    assert client.llen("classify.library:3") == 3


def test_paths_too_long_for_a_message_are_read_from_the_database(
    redis_url, settings_for, database, client
):
    # Given a batch whose paths are as long as paths may be
    entries = [BatchEntry(f"{number:04}" * 1_000, "a pack", "a vendor") for number in range(1_000)]
    with database.begin() as connection:
        ledger.add_batch(connection, ledger.open_ingest(connection, "a test"), "library", entries)
    # When it is announced
    settings = settings_for(redis_url)
    with build_app(settings) as app:
        assert dispatch(app, database, settings).published == 1
    # Then its message is short enough for a worker, which reads the paths in the ledger
    entry = client.rpop("classify.library:3")
    assert len(entry) < LONGEST_ENTRY_CHARACTERS
    _, keywords, _ = json.loads(base64.b64decode(json.loads(entry)["body"]))
    assert keywords == {"version": 1, "batch_id": 1, "root": "library", "paths": []}
