"""Text in columns, for a terminal and for a pipe: aligned, safe to print, cut only for a terminal.

Not rich's tables: rows are printed as they come, a pipe gets no colours, boxes or line breaks, and
`cratesort status` need not load rich.
"""

from collections.abc import Sequence
from typing import TypeAlias

from classifier.files.paths import printable
from cli.console.output import output_width, print_line
from cli.console.wrapping import cell_width, wrapped

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
        print_line(line)


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


def labelled(label: str, text: str, indent: int) -> str:
    """Return `text` after its label; on a terminal, wrapped with all lines indented by `indent`.

    In a pipe it is one line, which can be searched.
    """
    width = output_width()
    room = None if width is None else max(width - indent, 1)
    lines = wrapped(printable(text), room)
    return f"{label:<{indent}}" + f"\n{'':{indent}}".join(lines)
