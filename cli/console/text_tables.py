"""Text in columns, for a terminal and for a pipe: aligned, safe to print, cut only for a terminal.

Not rich's tables: rows are printed as they come, a pipe gets no colours, boxes or line breaks, and
`cratesort status` need not load rich.
"""

import textwrap
from collections.abc import Sequence
from typing import TypeAlias

from classifier.files.paths import printable
from cli.console.output import output_width, say

#: Integers get separators of thousands, floats three decimals; None is an empty cell.
Cell: TypeAlias = "str | float | None"

_GAP = "  "
_LEAST_CUT_WIDTH = 10


def print_table(
    rows: Sequence[Sequence[Cell]],
    align: str,
    header: Sequence[str] = (),
    *,
    cut: int | None = None,
    indent: int = 2,
    gap: str = _GAP,
) -> None:
    """Print rows as `table_lines` returns them, cut only where a terminal shows them."""
    for line in table_lines(
        rows, align, header, cut=cut, width=output_width(), indent=indent, gap=gap
    ):
        say(line)


def table_lines(
    rows: Sequence[Sequence[Cell]],
    align: str,
    header: Sequence[str] = (),
    *,
    cut: int | None = None,
    width: int | None = None,
    indent: int = 2,
    gap: str = _GAP,
) -> list[str]:
    """Return rows as lines in columns as wide as their cells.

    `align` has ``<`` or ``>`` for each column. The texts of column `cut` are cut at the beginning
    if a line is wider than `width` cells.
    """
    texts = [[cell_text(cell) for cell in row] for row in (header, *rows) if row]
    widths = [max(map(cell_width, column)) for column in zip(*texts, strict=True)]
    if cut is not None and width is not None:
        others = indent + sum(widths) - widths[cut] + len(gap) * (len(widths) - 1)
        widths[cut] = min(widths[cut], max(_LEAST_CUT_WIDTH, width - others))
        for row in texts:
            row[cut] = shortened(row[cut], widths[cut])
    return [" " * indent + table_line(row, widths, align, gap) for row in texts]


def table_line(cells: Sequence[Cell], widths: Sequence[int], align: str, gap: str = _GAP) -> str:
    """Return one row; a text that is wider than its column is not cut."""
    columns = zip(map(cell_text, cells), widths, align, strict=True)
    return gap.join(_padded(*column) for column in columns).rstrip()


def cell_text(cell: Cell) -> str:
    """Return a cell as it is printed."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return printable(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.3f}"


def cell_width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # knows wide and combining characters

    return cell_len(text)


def _padded(text: str, width: int, side: str) -> str:
    padding = " " * (width - cell_width(text))
    return text + padding if side == "<" else padding + text


def shortened(text: str, width: int | None) -> str:
    """Return `text` cut at the beginning to at most `width` cells: a path's end is its name."""
    text = printable(text)
    if width is None or cell_width(text) <= width:
        return text
    text = text[-max(width, 1) :]
    while text and cell_width(text) > width - 1:
        text = text[1:]
    return f"…{text}"


def labelled(label: str, text: str, indent: int, *, in_pipes: int | None = None) -> str:
    """Return `text` after its label; in a terminal, wrapped with all lines indented by `indent`.

    In a pipe it is one line, which can be searched, unless `in_pipes` is the width of lines there.
    """
    text, width = printable(text), output_width() or in_pipes
    lines = [text]
    if width is not None:
        room = width - indent
        # textwrap counts characters, some of which take two cells.
        room = room if cell_width(text) <= len(text) else room // 2
        lines = textwrap.wrap(text, max(room, 1), break_on_hyphens=False) or [""]
    return f"{label:<{indent}}" + f"\n{'':{indent}}".join(lines)
