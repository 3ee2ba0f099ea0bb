"""``cratesort labels set``: label single sounds and whole folders."""

import getpass
import os
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.categories import category_named
from classifier.errors import CratesortError
from classifier.files.paths import LONGEST_NAME, path_text, printable
from cli.console.options import json_option, require_yes, yes_option
from cli.console.output import counted, iso_time, print_json, say
from cli.console.session import opened_database

if TYPE_CHECKING:
    from cli.labels.sound_lookup import SoundFinder
    from db.results.labels import CurrentLabel, LabelChanges

#: The columns of an export: first those that an import reads, then those that it ignores.
COLUMNS: Final = ("path", "category", "source", "root", "labelled_by", "labelled_at")

_SOURCES: Final = ("human", "vendor", "import")


class NoUserNameError(CratesortError):
    """Neither the login nor --by has a name to record with the labels."""


by_option: Final = click.option(
    "--by", metavar="NAME", help="Name to record with the labels. Default: your login name."
)


def labeller_name(by: str | None) -> str:
    """Return the name to record with the labels: the value of --by, else the login name.

    Raises NoUserNameError: the name is empty.
    Raises click.UsageError: the name is too long.
    """
    try:
        name = path_text(getpass.getuser() if by is None else by).strip()
    except (OSError, KeyError):  # a container's user may have a number and no name
        name = ""
    if not name:
        problem = "this login has no user name" if by is None else "--by is empty"
        raise NoUserNameError(f"{problem}; name who assigns the labels: --by NAME")
    if len(name) > LONGEST_NAME:
        raise click.UsageError(
            f"--by has {len(name):,} characters; expected at most {LONGEST_NAME}"
        )
    return name


@click.command("set")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.argument("category")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    metavar="FOLDER",
    help="Also label all sounds below FOLDER. Repeatable.",
)
@click.option(
    "--source",
    type=click.Choice(_SOURCES),
    default="human",
    show_default=True,
    help="Where the label comes from.",
)
@yes_option
@by_option
@json_option
def set_label(
    paths: tuple[str, ...],
    category: str,
    folders: tuple[str, ...],
    source: str,
    yes: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Label the sound at each PATH with CATEGORY.

    Write PATH as `cratesort results` prints it or as a path on this machine. Copies of the sounds
    get the same label: files with the same content, and files in the same folder whose names differ
    only in a number.
    """
    from cli.labels.csv_reader import unknown_category
    from cli.labels.same_content import SameContent
    from cli.labels.sound_lookup import SoundFinder
    from db.results.copies import label_copies
    from db.results.labels import NewLabel, labels_of, write_labels
    from db.states import LabelSource

    spelled, category = category, category_named(category) or ""
    if not category:
        raise click.UsageError(unknown_category(spelled))
    if not paths and not folders:
        raise click.UsageError("expected PATH and CATEGORY, or --folder FOLDER and CATEGORY")
    if "" in folders:
        raise click.UsageError("--folder is empty; expected a folder")
    labelled_by = labeller_name(by)
    with opened_database() as (settings, database):
        finder = SoundFinder(settings, database)
        keys = sorted({*_named(finder, paths), *_below(finder, folders)})
        require_yes(keys, "label", yes=yes)
        with database.begin() as connection:
            earlier = labels_of(connection, keys)
            labels = [NewLabel(key, category, LabelSource(source)) for key in keys]
            changes = write_labels(connection, labels, labelled_by=labelled_by)
            changes += label_copies(
                connection, keys, SameContent(settings), labelled_by=labelled_by
            )
            current = labels_of(connection, keys)
    if as_json:
        records = [
            record_of(current[key]) | {"earlier": earlier.get(key) and record_of(earlier[key])}
            for key in keys
        ]
        outcome = records[0] if len(records) == 1 else {"labels": records}
        print_json(outcome | {"copies": changes.copies})
        return
    if len(keys) == 1:
        [key] = keys
        say(_outcome(current[key], earlier.get(key), is_new=not changes.unchanged))
    else:
        say(
            f"{len(keys):,} sounds labelled {category} ({source}): {changes.new:,} new, "
            f"{changes.replaced:,} replaced, {changes.unchanged:,} unchanged"
        )
    say_copies(changes)


def _named(finder: "SoundFinder", paths: tuple[str, ...]) -> list[bytes]:
    from cli.labels.sound_lookup import AmbiguousPath, UnknownPathError, WrittenPath

    keys = []
    written = [WrittenPath((os.fsencode(path),)) for path in paths]
    for path, match in zip(paths, finder.find(written), strict=True):
        shown = printable(path_text(path))
        if isinstance(match, AmbiguousPath):
            raise UnknownPathError(
                f"{shown}: {match}; use its full path on this machine, or import a table with a "
                "column root"
            )
        if match is None:
            if path and finder.below(os.fsencode(path)):
                raise UnknownPathError(f"{shown} is a folder; label all sounds below it: --folder")
            raise UnknownPathError(f"{shown}: no such sound in the database; ingest it first")
        keys.append(match)
    return keys


def _below(finder: "SoundFinder", folders: tuple[str, ...]) -> list[bytes]:
    from cli.labels.sound_lookup import AmbiguousPath, UnknownPathError

    keys = []
    for folder in folders:
        shown = printable(path_text(folder))
        matches = finder.below(os.fsencode(folder))
        if isinstance(matches, AmbiguousPath):
            raise UnknownPathError(f"{shown}: {matches}; use its full path on this machine")
        if not matches:
            raise UnknownPathError(f"{shown}: the database has no sounds below it; ingest it first")
        keys += matches
    return keys


def _outcome(current: "CurrentLabel", earlier: "CurrentLabel | None", *, is_new: bool) -> str:
    label = f"{current.category} ({current.source})"
    path = printable(current.path)
    if not is_new:
        return f"{path}: already labelled {label} by {printable(current.labelled_by)}"
    before = f", before {earlier.category} ({earlier.source})" if earlier else ""
    return f"{path}: labelled {label}{before}"


def say_copies(changes: "LabelChanges") -> None:
    """Print how many copies got the labels of their originals, if any did."""
    if changes.copies:
        copies = counted(changes.copies, "copy", "copies")
        say(f"also labelled {copies}: same content, or same name apart from a number")


def record_of(label: "CurrentLabel") -> dict[str, Any]:
    """Return a label as a record of an export."""
    record = {column: getattr(label, column) for column in COLUMNS}
    return record | {"labelled_at": iso_time(label.labelled_at)}
