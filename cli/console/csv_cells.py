"""Cells of CSV tables that pass through a spreadsheet and come back.

A spreadsheet runs a cell that starts like a formula, so such a cell gets a ``'`` in front. A cell
that would then read like another one's guarded form gets one too: what was written can always be
told from what it was written for.
"""

import re
from typing import Any, Final

#: What spreadsheets take for a formula (OWASP, CSV injection), behind quotes of ours.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")


def spreadsheet_safe(cell: Any) -> Any:
    """Return a cell that no spreadsheet runs: text that starts like a formula gets a ``'``."""
    if isinstance(cell, str) and _FORMULA.match(cell):
        return f"'{cell}"
    return cell


def unguarded(cell: str) -> str:
    """Return what `spreadsheet_safe` was given to make this cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
