"""``cratesort forget``: remove sounds from the results."""

import os

import click

from classifier.files.paths import path_text, printable
from cli.console.options import json_option, require_yes, yes_option
from cli.console.output import counted, print_json, say
from cli.console.session import opened_database


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--gone", is_flag=True, help="Also remove all sounds whose files no longer exist.")
@yes_option
@json_option
def forget(paths: tuple[str, ...], gone: bool, yes: bool, as_json: bool) -> None:
    """Remove sounds from the results, but not from the disk.

    PATH is a sound, or a folder for all sounds below it, written as `cratesort results` prints it
    or as a path on this machine. A later ingest that finds the files classifies them again. Their
    labels stay in the history: no model learns from them until the sounds are ingested again.
    """
    if not paths and not gone:
        raise click.UsageError("expected a sound, a folder or --gone")
    if "" in paths:
        raise click.UsageError("a path is empty; expected a sound or a folder")

    from cli.labels.sound_lookup import (
        AmbiguousPath,
        SoundFinder,
        UnknownPathError,
        WrittenPath,
    )
    from db.engine import reading
    from db.results import gone as gone_rows

    with opened_database(must_exist=True) as (settings, database):
        finder = SoundFinder(settings, database)
        keys: set[bytes] = set()
        written = [WrittenPath((os.fsencode(path),)) for path in paths]
        for path, match in zip(paths, finder.find(written), strict=True):
            matches = [match] if isinstance(match, bytes) else match
            if matches is None:
                matches = finder.below(os.fsencode(path), with_gone=True)
            shown = printable(path_text(path))
            if isinstance(matches, AmbiguousPath):
                raise UnknownPathError(f"{shown}: {matches}; use its full path on this machine")
            if not matches:
                raise UnknownPathError(f"{shown}: no such sound or folder in the database")
            keys.update(matches)
        if gone:
            with reading(database) as connection:
                keys.update(gone_rows.gone_keys(connection))
        require_yes(keys, "forget", yes=yes)
        with database.begin() as connection:
            count = gone_rows.forget(connection, sorted(keys))
    if as_json:
        print_json({"forgotten": count})
    else:
        say(f"{counted(count, 'sound')} forgotten")
