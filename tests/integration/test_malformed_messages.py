"""Messages that no producer of ours writes: a worker drops them and goes on."""

import base64
import bz2
import json

import pytest
import redis

BODIES = {
    "null": None,
    "a number": 5,
    "two of three": [1, 2],
    "an object": {"task": "tasks.classify"},
    "arguments as text": ["x", {}, {}],
    "a task to call afterwards": [[], {}, {"callbacks": [{"task": "tasks.sweep"}]}],
}
HEADERS = {
    "an id that is an object": {"id": {}},
    "an expiry that is an object": {"expires": {}},
    "stamps": {"stamped_headers": 5},
    "no expiry, as zero": {"expires": 0},
    "no expiry, as text": {"expires": ""},
    "a task that is a list": {"task": [1]},
    "a compression": {"compression": "application/x-bz2"},
    "a time in the next millennium": {"eta": "2999-01-01T00:00:00+00:00"},
}
#: A gigabyte of zeros in a kilobyte, for Python's codec of this name.
ENVELOPES = {
    "text in a codec of Python": {"content-type": "application/text", "content-encoding": "bz2"},
    "an unknown form": {"content-type": "application/x-python-serialize"},
}
PACKED = base64.b64encode(bz2.compress(bytes(2**30 // 8)) * 8).decode()


@pytest.fixture
def message(fleet, app, run_cli, library):
    """The one message of the library's one batch, taken off its list."""
    settings = {**fleet, "CRATESORT_BATCH_SIZE": "1000"}
    assert run_cli("ingest", library, "--no-wait", settings=settings).code == 0
    with redis.Redis.from_url(fleet["CRATESORT_BROKER_URL"]) as client:
        return json.loads(client.rpop("classify.library:3"))


def forged(message):
    for body in BODIES.values():
        yield message | {"body": base64.b64encode(json.dumps(body).encode()).decode()}
    for headers in HEADERS.values():
        yield message | {"headers": message["headers"] | headers}
    for envelope in ENVELOPES.values():
        yield message | envelope | {"body": PACKED}


def test_a_worker_survives_every_malformed_message(message, worker_process, fleet, wait_for_rows):
    # Given a queue of malformed messages, and a valid one after them
    with redis.Redis.from_url(fleet["CRATESORT_BROKER_URL"]) as client:
        for bad in forged(message):
            client.lpush("classify", json.dumps(bad))
        client.lpush("classify", json.dumps(message))

    # When a worker reads them
    with worker_process(settings=fleet) as worker:
        wait_for_rows(fleet["CRATESORT_DATABASE_URL"])

        # Then it has dropped each with a line in its log, and done the work
        assert worker.log().count("dropped a malformed") == len(BODIES) + len(HEADERS) + len(
            ENVELOPES
        )
        assert worker.pid in worker.processes()
