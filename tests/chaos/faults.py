"""What may happen to a fleet, and the order in which it does.

Each fault is a function that does it to the world and returns what it hit. A fault that lasts says
how it is put right; the next one at the same target ends it early. Not here: the world.
"""

import base64
import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import redis

from tests.chaos.handing_in import HandingIn
from tests.chaos.services import Service
from tests.chaos.world import World
from tests.support.servers.lifecycle import living_processes
from workers.celery_ext.app import HOUSEKEEPING_QUEUE, queue_of

_CLASSIFY_QUEUE: Final = queue_of("library").name

#: Beyond the lease: at test settings about as long as a sweep takes to come.
_PAST_THE_LEASE: Final = (0.5, 3.0)
_TOO_LITTLE_GRACE_SECONDS: Final = 0.5
_AWAKE_ALONE_SECONDS: Final = 0.7
_TWO_HOURS: Final = "7200"


@dataclass(frozen=True)
class Drawn:
    """One fault of the plan: everything about it that chance decides."""

    at_seconds: float
    fault: "Fault"
    #: Which of the two workers or beats.
    which: int
    #: How long it lasts, where it does.
    seconds: float
    #: From 0 up to 1, to choose among what there happens to be.
    pick: float

    @property
    def target(self) -> str:
        """Who is hit, as the world names it; empty: nobody in particular."""
        return _target(self.fault, self.which)


@dataclass(frozen=True)
class Scene:
    """What a fault acts upon."""

    world: World
    handing_in: HandingIn

    @property
    def client(self) -> redis.Redis:
        """A client of the fleet's Redis."""
        return redis.Redis.from_url(self.world.redis.url)


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    name: str
    #: ``worker``, ``beat``, ``redis``, ``postgres``, ``sweeper``, or empty.
    target: str
    strike: Callable[[Scene, Drawn], str]
    lasts: tuple[float, float] = (0.0, 0.0)


def plan(
    seed: int, seconds: float, kinds: tuple[Fault, ...], lease_seconds: float = 3.0
) -> Iterator[Drawn]:
    """Yield the faults of a run in order, decided by the seed alone.

    Dealt from a shuffled deck, so that a short run sees every kind before any comes again; and, as
    far as the deck allows, to those nothing is wrong with yet, so that what is frozen stays frozen
    for its time.
    """
    chance = random.Random(seed)
    deck: list[Fault] = []
    busy_until: dict[str, float] = {}
    moment = 2.0  # the fleet is to have begun
    while moment < seconds:
        if not deck:
            deck = list(kinds)
            chance.shuffle(deck)
        which = chance.randrange(2)
        choices = [(fault, whom) for fault in reversed(deck) for whom in (which, 1 - which)]
        free = [each for each in choices if busy_until.get(_target(*each), 0.0) <= moment]
        fault, which = (free or choices)[0]
        deck.remove(fault)
        lasts = chance.uniform(*fault.lasts)
        if fault.lasts is _PAST_THE_LEASE:
            lasts += lease_seconds
        if lasts:
            busy_until[_target(fault, which)] = moment + lasts + _AWAKE_ALONE_SECONDS
        yield Drawn(moment, fault, which, lasts, chance.random())
        moment += chance.uniform(0.5, 1.5)


def strike(scene: Scene, drawn: Drawn) -> str:
    """Let a fault happen, and return what it hit."""
    # A second fault at one target would else meet it half dead: kill what is frozen, thaw what is
    # killed. It ends the first instead.
    scene.world.put_right(drawn.target)
    return drawn.fault.strike(scene, drawn)


def _target(fault: Fault, which: int) -> str:
    return f"{fault.target} {which + 1}" if fault.target in ("worker", "beat") else fault.target


# Workers and beats


def _worker(scene: Scene, drawn: Drawn) -> Service:
    return scene.world.workers[drawn.which]


def _child(worker: Service, pick: float) -> int | None:
    children = worker.children()
    return children[int(pick * len(children))] if children else None


def _kill_child(scene: Scene, drawn: Drawn) -> str:
    worker = _worker(scene, drawn)
    child = _child(worker, drawn.pick)
    if child is None:
        return f"{worker.name} has no child at the moment"
    os.kill(child, signal.SIGKILL)
    return f"{worker.name}, process {child}"


def _freeze_child(scene: Scene, drawn: Drawn) -> str:
    worker = _worker(scene, drawn)
    child = _child(worker, drawn.pick)
    if child is None:
        return f"{worker.name} has no child at the moment"
    parent = worker.pid
    os.kill(child, signal.SIGSTOP)

    def thaw() -> None:
        # Its parent may have killed it, and its id may be another's by now.
        if any(each.pid == child and each.group == parent for each in living_processes()):
            os.kill(child, signal.SIGCONT)

    scene.world.lasting(drawn.target, drawn.seconds, thaw)
    return f"{worker.name}, process {child}, {drawn.seconds:.1f} s"


def _freeze_worker(scene: Scene, drawn: Drawn) -> str:
    worker = _worker(scene, drawn)
    children = worker.children()
    worker.send_to_group(signal.SIGSTOP)

    def thaw_all() -> None:
        worker.send_to_group(signal.SIGCONT)

    def thaw_children() -> None:
        # Awake together, the parent would kill its children over their time limit before they
        # could write anything: the lease's token would never be put to the test.
        for child in set(children) & set(worker.children()):
            os.kill(child, signal.SIGCONT)
        scene.world.lasting(drawn.target, _AWAKE_ALONE_SECONDS, thaw_all)

    scene.world.lasting(drawn.target, drawn.seconds, thaw_children)
    return f"{worker.name}, {drawn.seconds:.1f} s"


def _kill_worker(scene: Scene, drawn: Drawn) -> str:
    _worker(scene, drawn).kill_group()
    return _worker(scene, drawn).name


def _kill_parent(scene: Scene, drawn: Drawn) -> str:
    _worker(scene, drawn).kill_main()
    return _worker(scene, drawn).name


def _stop_worker(scene: Scene, drawn: Drawn) -> str:
    _worker(scene, drawn).tell_to_stop()
    return _worker(scene, drawn).name


def _stop_in_a_hurry(scene: Scene, drawn: Drawn) -> str:
    worker = _worker(scene, drawn)
    worker.tell_to_stop()
    scene.world.lasting(drawn.target, _TOO_LITTLE_GRACE_SECONDS, worker.kill_group)
    return worker.name


def _set_clock_ahead(scene: Scene, drawn: Drawn) -> str:
    worker = _worker(scene, drawn)
    worker.kill_group()
    worker.next_settings = {"TEST_CLOCK_AHEAD_SECONDS": _TWO_HOURS}
    return f"{worker.name}, from its next start on"


def _kill_beat(scene: Scene, drawn: Drawn) -> str:
    beat = scene.world.beats[drawn.which]
    beat.kill_group()
    return beat.name


def _freeze_beat(scene: Scene, drawn: Drawn) -> str:
    beat = scene.world.beats[drawn.which]
    beat.send_to_group(signal.SIGSTOP)
    scene.world.lasting(drawn.target, drawn.seconds, lambda: beat.send_to_group(signal.SIGCONT))
    return f"{beat.name}, {drawn.seconds:.1f} s"


# Redis and PostgreSQL


def _kill_redis(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.redis
    server.kill()
    scene.world.lasting("redis", drawn.seconds, server.start)
    return f"with all it held, away {drawn.seconds:.1f} s"


def _empty_redis(scene: Scene, drawn: Drawn) -> str:
    with scene.client as client:
        held = client.llen(_CLASSIFY_QUEUE)
        client.flushall()
    return f"{held} messages waited"


def _freeze_redis(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.redis
    server.freeze()
    scene.world.lasting("redis", drawn.seconds, server.thaw)
    return f"{drawn.seconds:.1f} s"


def _fill_redis(scene: Scene, drawn: Drawn) -> str:
    def set_memory(limit: str) -> None:
        with scene.client as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", limit)

    set_memory("1")
    scene.world.lasting("redis", drawn.seconds, lambda: set_memory("0"))
    return f"{drawn.seconds:.1f} s"


def _kill_postgres(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.postgres
    server.kill()
    scene.world.lasting("postgres", drawn.seconds, server.start)
    return f"away {drawn.seconds:.1f} s"


def _stop_postgres(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.postgres
    server.stop()
    scene.world.lasting("postgres", drawn.seconds, server.start)
    return f"away {drawn.seconds:.1f} s"


def _freeze_postgres(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.postgres
    server.freeze()
    scene.world.lasting("postgres", drawn.seconds, server.thaw)
    return f"{drawn.seconds:.1f} s"


# Messages and producers


def _submit_again(scene: Scene, drawn: Drawn) -> str:
    return scene.handing_in.submit_again(drawn.pick)


def _kill_ingest(scene: Scene, drawn: Drawn) -> str:
    return scene.handing_in.kill_one()


def _double_messages(scene: Scene, drawn: Drawn) -> str:
    with scene.client as client:
        waiting = client.lrange(_CLASSIFY_QUEUE, 0, 4)
        # What a worker has in hand: the message, its exchange and its routing key.
        in_hand = [json.dumps(json.loads(held)[0]).encode() for held in client.hvals("unacked")]
        # And of batches that are long done, or pending, or do not exist yet.
        first = 1 + int(drawn.pick * 200)
        stray = [_message(scene, batch_id=batch_id) for batch_id in range(first, first + 5)]
        client.lpush(_CLASSIFY_QUEUE, *4 * (waiting + in_hand + stray))
    return f"{len(waiting)} waiting, {len(in_hand)} in hand, {len(stray)} others; four times"


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


def _sweep_like_mad(scene: Scene, drawn: Drawn) -> str:
    process = scene.world.spawn("sweeper", "tests.chaos.sweeper")

    def end() -> None:
        if process.poll() is not None:
            scene.world.surprises.append(
                f"a sweeper ended by itself, exit code {process.returncode}"
            )
        process.kill()
        process.wait()

    scene.world.lasting("sweeper", drawn.seconds, end)
    return f"{drawn.seconds:.1f} s"


KINDS: Final = (
    Fault("kill -9 a child", "worker", _kill_child),
    Fault("kill -9 a whole worker", "worker", _kill_worker),
    Fault("kill -9 only a parent", "worker", _kill_parent),
    Fault("a child frozen past its lease", "worker", _freeze_child, _PAST_THE_LEASE),
    Fault("a worker frozen past its lease", "worker", _freeze_worker, _PAST_THE_LEASE),
    Fault("SIGTERM", "worker", _stop_worker),
    Fault("SIGTERM, kill -9 0.5 s later", "worker", _stop_in_a_hurry),
    Fault("a worker's clock 2 h ahead", "worker", _set_clock_ahead),
    Fault("kill -9 a beat", "beat", _kill_beat),
    Fault("a beat frozen", "beat", _freeze_beat, (2.0, 5.0)),
    Fault("Redis killed", "redis", _kill_redis, (0.1, 3.0)),
    Fault("FLUSHALL", "redis", _empty_redis),
    Fault("Redis frozen", "redis", _freeze_redis, (2.0, 8.0)),
    Fault("Redis full", "redis", _fill_redis, (2.0, 5.0)),
    Fault("PostgreSQL killed", "postgres", _kill_postgres, (0.1, 3.0)),
    Fault("PostgreSQL stopped", "postgres", _stop_postgres, (0.1, 3.0)),
    Fault("PostgreSQL frozen", "postgres", _freeze_postgres, (3.0, 6.0)),
    Fault("a second submission", "", _submit_again),
    Fault("kill -9 an ingest", "", _kill_ingest),
    Fault("messages doubled", "redis", _double_messages),
    Fault("an unknown task", "redis", _send_unknown_task),
    Fault("malformed messages", "redis", _send_malformed),
    Fault("an entry that is no JSON", "redis", _send_non_json),
    Fault("a sweeper in a loop", "sweeper", _sweep_like_mad, (2.0, 6.0)),
)
