"""Workers and beats are killed, frozen, stopped, set to a wrong time; impatient sweepers."""

import os
import signal
from typing import Final

from tests.chaos.faults import AWAKE_ALONE_SECONDS, PAST_THE_LEASE, Drawn, Fault, Scene
from tests.chaos.services import Service
from tests.support.servers.lifecycle import living_processes

_TOO_LITTLE_GRACE_SECONDS: Final = 0.5
_TWO_HOURS: Final = "7200"


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
        scene.world.lasting(drawn.target, AWAKE_ALONE_SECONDS, thaw_all)

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


PROCESS_KINDS: Final = (
    Fault("kill -9 a child", "worker", _kill_child),
    Fault("kill -9 a whole worker", "worker", _kill_worker),
    Fault("kill -9 only a parent", "worker", _kill_parent),
    Fault("a child frozen past its lease", "worker", _freeze_child, PAST_THE_LEASE),
    Fault("a worker frozen past its lease", "worker", _freeze_worker, PAST_THE_LEASE),
    Fault("SIGTERM", "worker", _stop_worker),
    Fault("SIGTERM, kill -9 0.5 s later", "worker", _stop_in_a_hurry),
    Fault("a worker's clock 2 h ahead", "worker", _set_clock_ahead),
    Fault("kill -9 a beat", "beat", _kill_beat),
    Fault("a beat frozen", "beat", _freeze_beat, (2.0, 5.0)),
    Fault("a sweeper in a loop", "sweeper", _sweep_like_mad, (2.0, 6.0)),
)
