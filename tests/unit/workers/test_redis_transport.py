"""Which entries of a Redis list kombu is given, and which would end the worker."""

import base64
import json

import kombu
import pytest
from kombu.transport import redis as kombu_redis

from workers.celery_ext.redis_transport import (
    LONGEST_ENTRY_CHARACTERS,
    envelope_fault,
    install,
)


@pytest.fixture
def envelope():
    """What kombu itself writes on a list, read back from the JSON."""
    with kombu.Connection("memory://") as connection, connection.channel() as channel:
        queue = kombu.Queue("a queue", channel=channel)
        queue.declare()
        producer = kombu.Producer(channel, serializer="json", routing_key="a queue")
        producer.publish([[1], {}, {}], headers={"task": "tasks.classify"})
        return json.loads(json.dumps(channel._get("a queue")))


PROPERTIES = ("delivery_tag", "delivery_info", "body_encoding")


def test_an_envelope_written_by_kombu_is_valid(envelope):
    assert envelope_fault(envelope) is None


@pytest.mark.parametrize("entry", [None, 5, "text", [], [1, 2], True])
def test_an_envelope_that_is_not_an_object_is_refused(entry):
    assert envelope_fault(entry) == "it is not an object"


@pytest.mark.parametrize(
    "name", ["body", "headers", "properties", "content-type", "content-encoding"]
)
@pytest.mark.parametrize("wrong", ["missing", None, 5, []])
def test_a_missing_or_mistyped_field_is_named(envelope, name, wrong):
    if wrong == "missing":
        del envelope[name]
    else:
        envelope[name] = wrong
    assert envelope_fault(envelope) == f"its {name} is missing or has the wrong type"


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("wrong", ["missing", None, 5, []])
def test_a_missing_or_mistyped_property_is_named(envelope, name, wrong):
    if wrong == "missing":
        del envelope["properties"][name]
    else:
        envelope["properties"][name] = wrong
    assert envelope_fault(envelope) == f"its {name} is missing or has the wrong type"


@pytest.mark.parametrize("body", ["x", "ä", "\ud800"])
def test_a_body_that_is_not_base64_is_refused(envelope, body):
    assert envelope_fault(envelope | {"body": body}) == "its body is not valid base64"


@pytest.mark.parametrize("form", ["application/text", "application/x-python-serialize", "text/x"])
def test_a_body_that_is_not_json_is_refused(envelope, form):
    assert "content-type is not" in envelope_fault(envelope | {"content-type": form})


@pytest.mark.parametrize("encoding", ["bz2", "zlib", "binary", "rot13", "utf-7", ""])
def test_a_body_in_a_python_codec_is_refused(envelope, encoding):
    assert "content-encoding is not" in envelope_fault(envelope | {"content-encoding": encoding})


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "no JSON",
        "[" * 100_000,
        '{"__type__": "decimal", "__value__": "x"}',
        '{"__type__": "bytes", "__value__": 5}',
        '{"__type__": [], "__value__": 5}',
        f'"{"x" * LONGEST_ENTRY_CHARACTERS}"',
    ],
    ids=lambda entry: entry[:30],
)
def test_an_entry_that_is_not_json_or_too_long_is_dropped_without_an_error(entry):
    install()
    assert envelope_fault(kombu_redis.loads(entry)).startswith(("it is not JSON", "it is longer"))


def test_the_content_of_a_valid_envelope_is_not_checked(envelope):
    body = base64.b64encode(b"neither JSON nor \xff text").decode()
    assert envelope_fault(envelope | {"body": body}) is None


# What is wrong


@pytest.mark.parametrize("encoding", ["rot13", "BASE64"])
def test_a_body_encoding_unknown_to_kombu_is_refused(envelope, encoding):
    envelope["properties"]["body_encoding"] = encoding
    assert envelope_fault(envelope) is not None


@pytest.mark.parametrize("name", ["exchange", "routing_key"])
def test_a_delivery_without_routing_is_refused(envelope, name):
    del envelope["properties"]["delivery_info"][name]
    assert envelope_fault(envelope) is not None


def test_an_unusable_delivery_tag_is_refused(envelope):
    envelope["properties"]["delivery_tag"] = "\ud800"
    assert envelope_fault(envelope) is not None
