"""Guard CSV cells against formula injection, so that the original text can be restored.

A spreadsheet runs a cell that starts like a formula, so such a cell gets a ``'`` in front. In many
languages a spreadsheet separates cells by semicolons or tabs, and splits our cells there and at
their line ends. A formula after one of these therefore gets a ``'``, too. So does text that already
looks guarded: `unguarded` restores the original of every cell.
"""

import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

#: Where a cell may begin in a spreadsheet of any language.
_START: Final = r"(?:\A|(?<=[;\t\r\n]))"

#: The start of a formula, perhaps after quotation marks (OWASP, CSV injection; full-width signs for
#: Japanese and Chinese spreadsheets).
_FORMULA: Final = r"""(?=['"]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])"""

_UNGUARDED: Final = re.compile(_START + _FORMULA)
_GUARDED: Final = re.compile(_START + "'" + _FORMULA)


def spreadsheet_safe(cell: Any) -> Any:
    """Return a cell that no spreadsheet runs: text that starts like a formula gets a ``'``."""
    return _UNGUARDED.sub("'", cell) if isinstance(cell, str) else cell


def unguarded(cell: str) -> str:
    """Return the text from which `spreadsheet_safe` made this cell."""
    return _GUARDED.sub("", cell)


class _Rows:
    r"""An output stream that ends each row with a newline alone.

    Not csv's own ``lineterminator="\n"``: before Python 3.13 a cell with a carriage return is then
    written without quotation marks, and readers take the carriage return for the end of a row.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix("\r\n") + "\n")


def csv_writer(stream: TextIO) -> Any:
    """Return a CSV writer whose rows can be read back unchanged, whatever their cells contain."""
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
