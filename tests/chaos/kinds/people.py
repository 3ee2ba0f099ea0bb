"""Actions of users while the fleet works: reorganise the library, retry, label, promote."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import select

from classifier.categories import CATEGORIES
from db.engine import create_engine, reading
from db.errors import DATABASE_AWAY
from db.states import SoundStatus
from db.tables import sounds
from tests.chaos.faults import Drawn, Fault, Scene
from tests.chaos.library import Library
from tests.chaos.world import OTHER_MODEL

#: Files that are labelled at once, all of one category.
_LABELLED: Final = 5

_DONE, _SOME_FAILED, _USAGE, _AWAY = 0, 1, 2, 3


def _submit_again(scene: Scene, drawn: Drawn) -> str:
    return scene.ingests.submit_again(drawn.pick)


def _reclassify(scene: Scene, drawn: Drawn) -> str:
    return scene.ingests.reclassify(drawn.pick)


def _kill_ingest(scene: Scene, drawn: Drawn) -> str:
    return scene.ingests.kill_one()


def _retry(scene: Scene, drawn: Drawn) -> str:
    failed = (_DONE, _SOME_FAILED, _AWAY)
    scene.errands.run("retry", "--failed", "--no-wait", exit_codes=failed)
    return "whatever has failed by now"


def _promote(scene: Scene, drawn: Drawn) -> str:
    scene.errands.run("models", "promote", OTHER_MODEL, "--yes", exit_codes=(_DONE, _AWAY))
    return OTHER_MODEL


def _roll_back(scene: Scene, drawn: Drawn) -> str:
    # There may be nothing to roll back.
    scene.errands.run("models", "rollback", exit_codes=(_DONE, _USAGE, _AWAY))
    return "the last promotion"


def _label(scene: Scene, drawn: Drawn) -> str:
    library = scene.ingests.library
    of_path = {sound.path: sound for sound in library.sounds if not sound.is_deleted}
    paths = [path for path in _known_without_label(scene) if path in of_path]
    first = int(drawn.pick * max(0, len(paths) - _LABELLED))
    chosen = [of_path[path] for path in paths[first : first + _LABELLED]]
    if not chosen:
        return "none is known"
    label = CATEGORIES[int(drawn.pick * len(CATEGORIES))]

    def note() -> None:
        for sound in chosen:
            sound.label = label

    # By the time the command runs, a path may belong to another file or to none.
    scene.errands.run(
        "labels",
        "set",
        "--",
        *(sound.path for sound in chosen),
        label,
        exit_codes=(_DONE, _USAGE, _AWAY),
        when_done=note,
    )
    return f"{len(chosen)} sounds, {label}"


def _known_without_label(scene: Scene) -> list[str]:
    """Return sounds that were read: what was not has no size and time to be known again by."""
    if scene.world.is_hit("database"):
        return []
    query = (
        select(sounds.c.path)
        .where(
            sounds.c.status == SoundStatus.CLASSIFIED,
            sounds.c.label.is_(None),
            sounds.c.gone_at.is_(None),
        )
        .order_by(sounds.c.path)
    )
    database = create_engine(scene.world.database_url)
    try:
        with reading(database) as connection:
            return list(connection.scalars(query))
    except DATABASE_AWAY:
        return []
    finally:
        database.dispose()


def _people(act: Callable[[Library, float], str]) -> Callable[[Scene, Drawn], str]:
    return lambda scene, drawn: act(scene.ingests.library, drawn.pick)


PEOPLE_KINDS: Final = (
    Fault("a second submission", "", _submit_again),
    Fault("a folder classified again", "", _reclassify),
    Fault("kill -9 an ingest", "", _kill_ingest),
    Fault("failures retried", "", _retry),
    Fault("another model promoted", "", _promote),
    Fault("a promotion rolled back", "", _roll_back),
    Fault("sounds labelled", "", _label),
    Fault("files renamed", "", _people(Library.rename_sounds)),
    Fault("files moved", "", _people(Library.move_sounds)),
    Fault("files deleted", "", _people(Library.delete_sounds)),
    Fault("a folder renamed", "", _people(Library.rename_folder)),
    Fault("a folder deleted", "", _people(Library.delete_folder)),
    Fault("folders put below a new one", "", _people(Library.regroup)),
)
