"""Storage that fails, is slow, full or not mounted."""

import errno
from collections.abc import Callable
from typing import Final

from tests.chaos.faults import Drawn, Fault, Scene

#: The first back-off of a batch that came back is 5 s, the second 10.
_BACK_OFF_SECONDS: Final = 20.0

_SECONDS: Final = (2.0, 5.0)


def _condition(condition: str) -> Callable[[Scene, Drawn], str]:
    """Put the storage of one worker into a condition (`tests/support/shims`)."""

    def strike(scene: Scene, drawn: Drawn) -> str:
        file = scene.world.storage_of(drawn.which)
        file.write_text(condition)
        scene.world.lasting(drawn.target, drawn.seconds, lambda: file.write_text(""))
        return f"worker {drawn.which + 1}, {drawn.seconds:.1f} s"

    return strike


def _take_mount_away(scene: Scene, drawn: Drawn) -> str:
    bring_back = scene.ingests.library.take_away()
    scene.world.lasting("library", drawn.seconds, bring_back)
    return f"an empty folder instead, {drawn.seconds:.1f} s"


def _fill_disk(scene: Scene, drawn: Drawn) -> str:
    ballast = scene.world.data_folder / "ballast"
    try:
        with ballast.open("wb") as file:
            while True:
                file.write(bytes(64 * 1024))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    scene.world.lasting("disk", drawn.seconds, ballast.unlink)
    return f"of the data folders, {drawn.seconds:.1f} s"


STORAGE_KINDS: Final = (
    Fault("storage: EIO", "storage", _condition("EIO"), _SECONDS, _BACK_OFF_SECONDS),
    Fault("storage: ESTALE", "storage", _condition("ESTALE"), _SECONDS, _BACK_OFF_SECONDS),
    Fault("storage: EIO of a third", "storage", _condition("EIO 3"), _SECONDS, _BACK_OFF_SECONDS),
    Fault("storage: 0.1 s a file", "storage", _condition("slow 0.1"), _SECONDS),
    Fault("library not mounted", "library", _take_mount_away, _SECONDS, _BACK_OFF_SECONDS),
    Fault("disk full", "disk", _fill_disk, _SECONDS, _BACK_OFF_SECONDS, needs="mounts"),
)
