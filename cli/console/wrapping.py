"""Break long messages into lines for a terminal, never inside a word, a command or a quoted path.

What a user copies stays in one line: text between backticks or quotation marks, and a command or a
setting that follows a colon. It may be wider than the terminal.
"""

import re
from collections.abc import Iterator
from typing import Final

_COMMAND: Final = (
    r"(?:(?<=: )|(?<=^))(?:(?:cratesort|pip|make|createdb|docker|export) (?!\d)|CRATESORT_\w+=)"
    r".*?(?=; |\. |  |$)"
)
_QUOTED: Final = r"""`[^`]+`|(?<!\w)'[^']+'(?!\w)|(?<!\w)"[^"]+"(?!\w)"""
_PIECE: Final = re.compile(rf"(\s*)((?:{_COMMAND}|{_QUOTED}|\S)+)")


def wrapped(text: str, width: int | None, indent: str = "") -> list[str]:
    """Return `text` as lines of at most `width` cells where its words are short enough.

    All lines are indented like `text`, those after the first by `indent` more. Text that fits, and
    any text without a width, is returned as it is.
    """
    if width is None or cell_width(text) <= width:
        return [text]
    margin = text[: len(text) - len(text.lstrip())]
    room = width - len(margin) - len(indent)
    lines: list[str] = []
    line = ""
    for gap, piece in _PIECE.findall(text.strip()):
        for part in _parts(piece, room):
            longer = line + gap + part if line else margin + part
            if line and cell_width(longer) > width:
                lines.append(line)
                longer = margin + indent + part
            line = longer
    return [*lines, line]


def _parts(piece: str, room: int) -> Iterator[str]:
    """Yield the parts of a piece: Chinese and Japanese have no spaces and are broken anywhere."""
    part = ""
    if cell_width(piece) > max(room, len(piece)) and piece[0] not in "`'\"":
        for letter in piece:
            if part and cell_width(part + letter) > room:
                yield part
                part = ""
            part += letter
        yield part
    else:
        yield piece


def cell_width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # knows wide and combining characters

    return cell_len(text)
