"""``cratesort explain``: show why a sound has its category.

The file is read again. From the results only its label is read, and nothing is written.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from classifier.files.paths import path_text, printable
from cli.console.exit_codes import Exit
from cli.console.options import json_option
from cli.console.output import print_json, print_line
from cli.console.session import opened_database
from cli.models.explain_text import lines
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from workers.library_roots import LibraryRoot
    from workers.settings import Settings


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@json_option
def explain(paths: tuple[str, ...], as_json: bool) -> None:
    """Show why each file has its category.

    Reads the file again as ingest does, and prints what the decision is based on: the words of the
    name and the effect of each, the header, the other names in the folder, and what else is known
    about the sound. Nothing is written.

    Exit code: 0 done; 1 done, but some files cannot be read; 2 wrong usage or configuration.
    """
    for path in paths:
        if os.path.isdir(path):
            raise click.UsageError(f"{_shown(path)} is a folder; expected files")
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise click.UsageError(f"{_shown(path)}: no such file") from None
        except OSError:
            pass  # reading it below reports the reason

    from tasks.producer.locator import target_of
    from workers.reading.folder_cache import FolderCache
    from workers.serving.explanation import explanation
    from workers.serving.serving_model import ServingModel

    set_up_logging("WARNING")
    encoded = map(os.fsencode, paths)
    with opened_database(or_empty=True) as (settings, database):
        classifier = ServingModel(settings.engine).current(database)
        files = [(path, _root_of(path, settings)) for path in map(target_of, encoded)]
        labels = _labels_of(database, [(root.name, root.path_of(path)) for path, root in files])
    folders = FolderCache()
    sounds: list[dict[str, Any]] = []
    for (resolved, root), label in zip(files, labels, strict=True):
        with root.opened() as opened:
            sound = explanation(
                opened,
                root.path_of(resolved),
                classifier=classifier,
                folders=folders,
                settings=settings,
            )
        sound |= label | {"filed_as": label["label"] or sound["category"]}
        if not as_json:
            if sounds:
                print_line("")
            for line in lines(sound):
                print_line(line)
        sounds.append(sound)
    if as_json:
        print_json({"sounds": sounds})
    failed = any(sound["error_code"] is not None for sound in sounds)
    sys.exit(Exit.SOME_FAILED if failed else Exit.DONE)


def _shown(path: str) -> str:
    return printable(path_text(path))


def _labels_of(
    database: "Engine", sounds: "Sequence[tuple[str, str]]"
) -> "list[dict[str, str | None]]":
    """Return each sound's label with its source and giver; `sounds` are (root, path)."""
    from db.engine import reading
    from db.results.labels import labels_of
    from db.results.sounds import sound_key

    keys = [sound_key(*sound) for sound in sounds]
    with reading(database) as connection:
        known = labels_of(connection, keys)
    labels = map(known.get, keys)
    return [
        {
            "label": None if label is None else label.category,
            "label_source": None if label is None else label.source,
            "labelled_by": None if label is None else label.labelled_by,
        }
        for label in labels
    ]


def _root_of(resolved: bytes, settings: "Settings") -> "LibraryRoot":
    """Return the library root that `ingest` would use for a file; ``/`` if it would refuse it."""
    from tasks.producer.locator import Locator, OutsideRootsError
    from workers.library_roots import ABSOLUTE

    try:
        return Locator(settings).library_root(resolved)
    except OutsideRootsError:
        return ABSOLUTE
