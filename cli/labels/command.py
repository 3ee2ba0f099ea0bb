"""``cratesort labels``: set, import, export and count labels."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import click

from classifier.files.paths import path_text, printable
from cli.console.csv_cells import print_csv
from cli.console.exit_codes import Exit
from cli.console.options import column_option, json_option
from cli.console.output import counted, print_json, print_line, say, tell
from cli.console.session import opened_database
from cli.console.text_tables import print_table
from cli.labels.by_hand import COLUMNS, by_option, labeller_name, record_of, say_copies, set_label

if TYPE_CHECKING:
    from rich.progress import Progress

    from cli.labels.importer import Faults
    from db.reporting.label_counts import LabelCounts

_SHOWN_VENDORS: Final = 10


@click.group()
def labels() -> None:
    """Label sounds with their correct category.

    A label is a category given by a user or a vendor. Models are trained and evaluated on labels
    only, never on predictions. A label is kept even if its file is moved, deleted or fails to
    read.
    """


labels.add_command(set_label)


# Import


@labels.command("import")
@click.argument("file", metavar="FILE|-")
@column_option(*COLUMNS[:4])
@by_option
@json_option
def import_table(file: str, columns: dict[str, str], by: str | None, as_json: bool) -> None:
    """Import labels from a CSV table: path,category[,source].

    The table may also be the output of `cratesort results --format csv` with the correct categories
    filled in in the column label; rows without one are skipped.

    All rows are checked first. If any row is invalid, each invalid row is reported with its line
    and nothing is written.

    Write a path as `cratesort results` prints it or as a path on this machine; if two library roots
    contain it, add a column root. The source is human, vendor or import (the default). Cells are
    separated by commas, semicolons or tabs; other columns are ignored. Spelling variants of a
    category are accepted: "Stems & MIDI" is stems-n-midi.

    Exit code: 0 done; 2 nothing was written; 3 the database is unreachable.
    """
    from classifier.tables.strict_csv import TableError
    from cli.console.progress import phases_progress
    from cli.labels.csv_reader import read_label_table
    from cli.labels.importer import check, checked_labels, write
    from cli.labels.same_content import SameContent
    from cli.labels.sound_lookup import SoundFinder
    from db.results.labels import LabelChanges

    labeller = labeller_name(by)
    name = "standard input" if file == "-" else printable(path_text(file))
    with (
        click.open_file(file, "rb") as stream,
        checked_labels() as checked,
        opened_database() as (settings, database),
    ):
        rows = read_label_table(cast("BinaryIO", stream), name, columns)
        with phases_progress() as progress:
            advance = _advancing(progress, "rows checked", None)
            faults = check(rows, SoundFinder(settings, database), checked, advance)
            changes = LabelChanges()
            if not faults:
                advance = _advancing(progress, "labels written", len(checked))
                changes = write(
                    database,
                    checked,
                    same_content=SameContent(settings),
                    labelled_by=labeller,
                    on_progress=advance,
                )
        count, unlabelled = len(checked), faults.unlabelled
    if unlabelled and not count and not faults:
        raise TableError(
            f"{name}: the column label is empty in all {unlabelled:,} rows. The column category "
            "contains the model's predictions, which are never imported as labels: write the "
            "correct categories into the column label"
        )
    if faults:
        _tell_faults(faults, name)
    if as_json:
        rows_read = count + len(faults) + unlabelled
        print_json(
            {"rows": rows_read, "unlabelled": unlabelled, **asdict(changes)}
            | {"faults": _faults_as_dict(faults)}
        )
    elif not faults:
        say(
            f"{counted(count, 'label')}: {changes.new:,} new, {changes.replaced:,} replaced, "
            f"{changes.unchanged:,} unchanged"
        )
        if unlabelled:
            say(f"skipped {counted(unlabelled, 'row')} without a label")
        if not count:
            say(f"{name} has no rows")
        say_copies(changes)
    if faults:
        sys.exit(Exit.USAGE)


def _advancing(progress: "Progress", phase: str, total: int | None) -> Callable[[int], None]:
    task = progress.add_task(phase, total=total)
    return lambda done: progress.advance(task, done)


def _tell_faults(faults: "Faults", name: str) -> None:
    invalid = "row is invalid" if len(faults) == 1 else "rows are invalid"
    tell(f"{name}: nothing was imported, because {len(faults):,} {invalid}")
    for kind, first in faults.first.items():
        for fault in first:
            tell(str(fault))
        more = faults.counts[kind] - len(first)
        if more:
            tell(f"{more:,} more: {kind}")


def _faults_as_dict(faults: "Faults") -> dict[str, Any]:
    return {
        kind.value: {
            "count": faults.counts[kind],
            "first": [{"line": fault.line, "reason": fault.reason} for fault in first],
        }
        for kind, first in faults.first.items()
    }


# Export


@labels.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="json: one object per line.",
)
def export(form: str) -> None:
    """Print the current labels in path order.

    The csv can be imported again. Cells that a spreadsheet would run as a formula start with a ',
    which the import removes.
    """
    from db.engine import reading
    from db.results.labels import current

    with opened_database(must_exist=True) as (_, database), reading(database) as connection:
        records = map(record_of, current(connection))
        if form == "json":
            for record in records:
                print_line(json.dumps(record, ensure_ascii=False))
        else:
            print_csv(COLUMNS, records)


# Stats


@labels.command()
@json_option
def stats(as_json: bool) -> None:
    """Count labels by category, source and vendor.

    Also shows how often the model's category equals the label.
    """
    from db.engine import reading
    from db.reporting.label_counts import label_counts

    with opened_database(must_exist=True) as (_, database), reading(database) as connection:
        counts = label_counts(connection)
    if as_json:
        print_json(asdict(counts))
    else:
        _print_counts(counts)


def _print_counts(counts: "LabelCounts") -> None:
    if not counts.labelled:
        say(
            "no sound has a label yet; add labels with `cratesort labels set` or "
            "`cratesort labels import FILE.csv`"
        )
        return
    copies = counts.sources.get("copy", 0)
    say(
        f"{counted(counts.labelled, 'labelled sound')}"
        + (f" and {counted(copies, 'copy', 'copies')}" if copies else "")
        + f" ({counted(counts.history, 'label')} in the history)"
    )
    say(f"  by source:  {', '.join(f'{n:,} {source}' for source, n in counts.sources.items())}")
    say(f"  held out:   {counts.held_out:,} for evaluation, {counts.undecided:,} not assigned yet")
    say()
    rows = [
        (category, count.labelled, _share(count.agreeing, count.compared))
        for category, count in counts.categories.items()
    ]
    rows.append(("all", counts.labelled, _share(counts.agreeing, counts.compared)))
    print_table(rows, "<>>", ("label", "sounds", "model agrees"))
    say("  (not an accuracy: the model may have been trained on these labels)")
    say()
    vendors = list(counts.vendors.items())[:_SHOWN_VENDORS]
    print_table(vendors, "<>", ("vendor", "sounds"), cut=0)
    if len(counts.vendors) > _SHOWN_VENDORS:
        say(f"  and {counted(len(counts.vendors) - _SHOWN_VENDORS, 'more vendor')}")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
