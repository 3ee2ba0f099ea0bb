"""kombu's Redis transport, made tolerant of malformed entries and of a Redis that refuses commands.

An entry that is not JSON, or lacks a part of the envelope, raises in kombu's event loop and ends
the worker. A compressed entry of a few kilobytes may decode to gigabytes. Here both are dropped
with one line in the log; the ledger still has the work. This covers lists and pub/sub.

To kombu, an error reply of Redis (it is full, a replica now, or its disk is gone) is a program
error, which ends the worker. Here it is a connection error: the worker reconnects until Redis
works.
"""

import base64
import binascii
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import kombu.transport
from kombu.transport import redis, virtual
from kombu.utils import json
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import ResponseError

log = logging.getLogger(__name__)

#: The longest entry that is parsed. Ours are shorter (`workers.celery_ext.dispatch`); parsed, one
#: may take 25 times as much memory.
LONGEST_ENTRY_CHARACTERS: Final = 4 * 1024 * 1024

#: The only form of a body that is decoded. Another one may name a Python codec that decompresses it
#: (``bz2``), or a serialiser.
_CONTENT: Final = {"content-type": "application/json", "content-encoding": "utf-8"}

#: What kombu raises when an unacknowledged entry is malformed.
_UNREADABLE: Final = (ValueError, TypeError, AttributeError)

#: The parts of an envelope that kombu and Celery read without a check.
_ENVELOPE: Final = {
    "body": str,
    "headers": dict,
    "content-type": str,
    "content-encoding": str,
    "properties": {
        "delivery_tag": str,
        "body_encoding": str,
        "delivery_info": {"exchange": str, "routing_key": str},
    },
}


@dataclass(frozen=True, slots=True)
class _Unparsed:
    """Stands for an entry that is not parsed."""

    reason: str

    def __iter__(self) -> Iterator[Any]:
        """Raise the reason when kombu unpacks an unacknowledged entry."""
        raise ValueError(self.reason)


def _loads(entry: str) -> Any:
    if len(entry) > LONGEST_ENTRY_CHARACTERS:
        return _Unparsed(f"it is longer than {LONGEST_ENTRY_CHARACTERS:,} characters")
    try:
        return json.loads(entry)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever a parser, or a decoder of kombu's types, may raise
        return _Unparsed(f"it is not JSON: {error}")


def envelope_fault(message: Any) -> str | None:
    """Return what is wrong with the envelope of a parsed entry; None when nothing is."""
    if isinstance(message, _Unparsed):
        return message.reason
    fault = _missing_part(message, _ENVELOPE)
    if fault is not None:
        return fault
    for name, expected in _CONTENT.items():
        if message[name] != expected:
            return f"its {name} is not {expected}"
    headers, properties = message["headers"], message["properties"]
    if not isinstance(headers.get("task", ""), str):
        return "its task name is not a string"
    if headers.get("compression") is not None:
        return "it is compressed, and may decompress to a thousand times its size"
    if not properties["delivery_tag"].isascii():
        return "its delivery_tag is not ASCII"
    if properties["body_encoding"] != "base64":
        return "its body_encoding is not base64, the only one that kombu knows"
    try:
        base64.b64decode(message["body"])
    except (binascii.Error, ValueError):
        return "its body is not valid base64"
    return None


def _missing_part(value: Any, expected: dict[str, Any]) -> str | None:
    if not isinstance(value, dict):
        return "it is not an object"
    for name, kind in expected.items():
        part = value.get(name)
        if not isinstance(part, dict if isinstance(kind, dict) else kind):
            return f"its {name} is missing or has the wrong type"
        fault = _missing_part(part, kind) if isinstance(kind, dict) else None
        if fault is not None:
            return fault
    return None


class _TolerantDelivery:
    """Mixin for a transport: drops malformed entries; an error reply is a connection error."""

    connection_errors = (*redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        fault = envelope_fault(message)
        if fault is None:
            super()._deliver(message, queue)  # type: ignore[misc]  # the other base has it
        else:
            log.error(
                "dropped a malformed message of the queue %s: %.500s; no batch is lost",
                queue,
                fault,
            )


class TolerantQoS(redis.QoS):
    """Tracks unacknowledged messages; tolerates malformed entries among them, and error replies."""

    def ack(self, delivery_tag: Any) -> None:
        """Stop tracking a message as unacknowledged, even if Redis is lost or refuses to delete it.

        Otherwise a few such messages would use up the prefetch limit. The worker would read nothing
        any more, and so not even notice that its connection is lost. Redis delivers the message
        again later; its batch can then no longer be claimed.
        """
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except Exception:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Requeue a message or drop it; if Redis is lost or refuses, as `ack`."""
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        except Exception:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put an unacknowledged message back on its list, or drop a malformed entry."""
        try:
            super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]
        except _UNREADABLE as error:
            log.error("dropped a malformed unacknowledged message: %s; no batch is lost", error)
            with self.channel.conn_or_acquire(client) as connection:
                connection.zrem(self.unacked_index_key, tag)
                connection.hdel(self.unacked_key, tag)


class _ChannelOfALostConnection:
    """Mixin for a channel: handling its messages after it was closed raises a connection error.

    kombu raises an AttributeError, which ends the worker.
    """

    connection: Any

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection is None:
            raise LostConnectionError("the connection over which the message came was lost")
        return super()._connparams(asynchronous)  # type: ignore[misc]  # the other base has it


class Channel(_ChannelOfALostConnection, redis.Channel):
    """A channel of redis:// and rediss://."""

    QoS = TolerantQoS


class Transport(_TolerantDelivery, redis.Transport):
    """The transport of redis:// and rediss://."""

    Channel = Channel


class SentinelChannel(_ChannelOfALostConnection, redis.SentinelChannel):
    """A channel of sentinel://."""

    QoS = TolerantQoS


class SentinelTransport(_TolerantDelivery, redis.SentinelTransport):
    """The transport of sentinel://."""

    Channel = SentinelChannel


def install() -> None:
    """Register these transports with kombu in this process."""
    classes = {"redis": "Transport", "rediss": "Transport", "sentinel": "SentinelTransport"}
    for scheme, name in classes.items():
        kombu.transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:{name}"
    # The function with which kombu parses entries of lists and of pub/sub.
    setattr(redis, "loads", _loads)  # noqa: B010
