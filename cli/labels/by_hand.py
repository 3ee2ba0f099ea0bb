"""``cratesort labels set``: labels given by hand, to sounds and to whole folders."""

import getpass
import os
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.categories import category_named
from classifier.errors import CratesortError
from classifier.files.paths import LONGEST_NAME, path_text, printable
from cli.console.options import json_option, require_yes, yes_option
from cli.console.output import iso_time, print_json, say
from cli.console.session import opened_database

if TYPE_CHECKING:
    from cli.labels.sound_lookup import SoundFinder
    from db.results.labels import CurrentLabel, Given

#: The columns of an export: first those that an import reads, then those that it ignores.
COLUMNS: Final = ("path", "category", "source", "root", "labelled_by", "labelled_at")

_SOURCES: Final = ("human", "vendor", "import")


class NoUserNameError(CratesortError):
    """The giver of the labels has no name: neither the login nor --by contains one."""


by_option: Final = click.option(
    "--by", metavar="NAME", help="Name to record with the labels. Default: your login name."
)


def giver_of(by: str | None) -> str:
    """Return who gives the labels: the value of --by, else the login name.

    Raises NoUserNameError: the name is empty.
    Raises click.UsageError: the name is too long.
    """
    try:
        name = path_text(getpass.getuser() if by is None else by).strip()
    except (OSError, KeyError):  # a container's user may have a number and no name
        name = ""
    if not name:
        lacking = "this login has no name" if by is None else "--by is empty"
        raise NoUserNameError(f"{lacking}: say who gives the labels with --by")
    if len(name) > LONGEST_NAME:
        raise click.UsageError(f"--by has {len(name):,} characters; at most {LONGEST_NAME}")
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
    from db.results.labels import GivenLabel, give, labels_of
    from db.states import LabelSource

    spelled, category = category, category_named(category) or ""
    if not category:
        raise click.UsageError(unknown_category(spelled))
    if not paths and not folders:
        raise click.UsageError("name a sound, or use --folder")
    if "" in folders:
        raise click.UsageError("--folder is empty; name a folder")
    giver = giver_of(by)
    with opened_database() as (settings, database):
        finder = SoundFinder(settings, database)
        keys = sorted({*_named(finder, paths), *_below(finder, folders)})
        require_yes(keys, "label", yes=yes)
        with database.begin() as connection:
            earlier = labels_of(connection, keys)
            labels = [GivenLabel(key, category, LabelSource(source)) for key in keys]
            given = give(connection, labels, labelled_by=giver)
            given += label_copies(connection, keys, SameContent(settings), labelled_by=giver)
            now = labels_of(connection, keys)
    if as_json:
        records = [
            record_of(now[key]) | {"earlier": earlier.get(key) and record_of(earlier[key])}
            for key in keys
        ]
        whole = records[0] if len(records) == 1 else {"labels": records}
        print_json(whole | {"copies": given.copies})
        return
    if len(keys) == 1:
        [key] = keys
        say(_outcome(now[key], earlier.get(key), is_new=not given.unchanged))
    else:
        say(
            f"{len(keys):,} sounds: {category} ({source}); {given.new:,} new, {given.replaced:,} "
            f"replaced an earlier label, {given.unchanged:,} had it already"
        )
    say_copies(given)


def _named(finder: "SoundFinder", paths: tuple[str, ...]) -> list[bytes]:
    from cli.labels.sound_lookup import AmbiguousPath, UnknownPathError, WrittenPath

    keys = []
    written = [WrittenPath((os.fsencode(path),)) for path in paths]
    for path, sound in zip(paths, finder.find(written), strict=True):
        shown = printable(path_text(path))
        if isinstance(sound, AmbiguousPath):
            raise UnknownPathError(
                f"{shown}: {sound}; give the path as it is on this machine, or import a table with "
                "a column root"
            )
        if sound is None:
            if path and finder.below(os.fsencode(path)):
                raise UnknownPathError(f"{shown} is a folder: label all below it with --folder")
            raise UnknownPathError(f"{shown}: no such sound in the database; ingest it first")
        keys.append(sound)
    return keys


def _below(finder: "SoundFinder", folders: tuple[str, ...]) -> list[bytes]:
    from cli.labels.sound_lookup import AmbiguousPath, UnknownPathError

    keys = []
    for folder in folders:
        shown = printable(path_text(folder))
        below = finder.below(os.fsencode(folder))
        if isinstance(below, AmbiguousPath):
            raise UnknownPathError(f"{shown}: {below}; give the path as it is on this machine")
        if not below:
            raise UnknownPathError(f"{shown}: no sounds below it in the database; ingest it first")
        keys += below
    return keys


def _outcome(now: "CurrentLabel", earlier: "CurrentLabel | None", *, is_new: bool) -> str:
    what = f"{printable(now.path)}: {now.category} ({now.source})"
    if not is_new:
        return f"{what} already, by {printable(now.labelled_by)}"
    return what + (f"; was {earlier.category} ({earlier.source})" if earlier else "")


def say_copies(given: "Given") -> None:
    """Print how many copies got the labels of their originals, if any did."""
    if given.copies:
        what = "copy follows" if given.copies == 1 else "copies follow"
        say(f"{given.copies:,} {what}: of the same content, or of the same name but for its number")


def record_of(label: "CurrentLabel") -> dict[str, Any]:
    """Return a label as a record of an export."""
    record = {column: getattr(label, column) for column in COLUMNS}
    return record | {"labelled_at": iso_time(label.labelled_at)}
