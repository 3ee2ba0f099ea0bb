"""Messages that come twice, name unknown tasks, or are malformed."""

import base64
import json
from typing import Any, Final

from tests.chaos.faults import Drawn, Fault, Scene
from workers.celery_ext.app import HOUSEKEEPING_QUEUE, queue_of

_CLASSIFY_QUEUE: Final = queue_of("library").name


def _double_messages(scene: Scene, drawn: Drawn) -> str:
    with scene.client as client:
        waiting = client.lrange(_CLASSIFY_QUEUE, 0, 4)
        # What a worker has not acknowledged: the message, its exchange and its routing key.
        unacknowledged = [
            json.dumps(json.loads(held)[0]).encode() for held in client.hvals("unacked")
        ]
        # And of batches that are long done, or pending, or do not exist yet.
        first = 1 + int(drawn.pick * 200)
        stray = [_message(scene, batch_id=batch_id) for batch_id in range(first, first + 5)]
        client.lpush(_CLASSIFY_QUEUE, *4 * (waiting + unacknowledged + stray))
    counts = f"{len(waiting)} waiting, {len(unacknowledged)} unacknowledged, {len(stray)} others"
    return f"{counts}; four times"


def _message(scene: Scene, **changed: int) -> bytes:
    template = scene.world.template
    arguments, keywords, embedded = json.loads(base64.b64decode(template["body"]))
    body = json.dumps([arguments, {**keywords, **changed}, embedded]).encode()
    return json.dumps({**template, "body": base64.b64encode(body).decode()}).encode()


def _send_unknown_task(scene: Scene, drawn: Drawn) -> str:
    _push(scene, _changed(scene.world.template, headers={"task": "tasks.of_another_program"}))
    return "one message in each queue"


def _send_malformed(scene: Scene, drawn: Drawn) -> str:
    template = scene.world.template
    for body in (None, 5, [1, 2], {"task": "x"}, ["x", {}, {}], [[], {"surprise": 1}, {}]):
        encoded = base64.b64encode(json.dumps(body).encode()).decode()
        _push(scene, {**template, "body": encoded})
    forged: tuple[dict[str, Any], ...] = (
        {"id": {}},
        {"expires": {}},
        {"stamped_headers": 5},
        {"timelimit": [9e9, 1]},
    )
    for headers in forged:
        _push(scene, _changed(template, headers=headers))
    with scene.client as client:
        client.lpush(_CLASSIFY_QUEUE, _message(scene, version=99, batch_id=1))
    return "ten in each queue, and one of version 99"


def _send_non_json(scene: Scene, drawn: Drawn) -> str:
    with scene.client as client:
        client.lpush(_CLASSIFY_QUEUE, b"\xff no JSON")
    return "one entry"


def _push(scene: Scene, message: dict[str, Any]) -> None:
    with scene.client as client:
        for queue in (_CLASSIFY_QUEUE, HOUSEKEEPING_QUEUE):
            client.lpush(queue, json.dumps(message))


def _changed(template: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    return {**template, "headers": {**template["headers"], **headers}}


MESSAGE_KINDS: Final = (
    Fault("messages doubled", "redis", _double_messages),
    Fault("an unknown task", "redis", _send_unknown_task),
    Fault("malformed messages", "redis", _send_malformed),
    Fault("an entry that is no JSON", "redis", _send_non_json),
)
