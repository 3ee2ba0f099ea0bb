"""Cells of CSV tables that pass through a spreadsheet and come back.

A spreadsheet runs a cell that starts like a formula, so such a cell gets a ``'`` in front. Where a
list is separated by semicolons or tabs, as in many languages, a spreadsheet splits our cells there
and at their line ends, so what follows one of these gets it too. Text that would then read like
another one's guarded form gets one as well: `unguarded` gives back what a cell was written for.
"""

import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

#: Where a cell may begin, for a spreadsheet of any language.
_START: Final = r"(?:\A|(?<=[;\t\r\n]))"

#: What spreadsheets take for a formula (OWASP, CSV injection; full-width signs for Japanese and
#: Chinese ones), behind quotes.
_FORMULA: Final = r"""(?=['"]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])"""

_UNGUARDED: Final = re.compile(_START + _FORMULA)
_GUARDED: Final = re.compile(_START + "'" + _FORMULA)


def spreadsheet_safe(cell: Any) -> Any:
    """Return a cell that no spreadsheet runs: text that starts like a formula gets a ``'``."""
    return _UNGUARDED.sub("'", cell) if isinstance(cell, str) else cell


def unguarded(cell: str) -> str:
    """Return what `spreadsheet_safe` was given to make this cell."""
    return _GUARDED.sub("", cell)


class _Rows:
    r"""Ends each row with a newline alone.

    Not csv's own ``lineterminator="\n"``: before Python 3.13 a cell with a carriage return is then
    written without quotation marks, and readers take it for the end of a row.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix("\r\n") + "\n")


def csv_writer(stream: TextIO) -> Any:
    """Return a writer of CSV rows that come back whole, whatever their cells hold."""
    return csv.writer(_Rows(stream), lineterminator="\r\n")


def print_csv(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Print a table on standard output that spreadsheets can open."""
    write_csv(sys.stdout, columns, records)


def write_csv(stream: TextIO, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Write a table that spreadsheets can open."""
    writer = csv_writer(stream)
    writer.writerow(columns)
    for record in records:
        writer.writerow([spreadsheet_safe(record[column]) for column in columns])
