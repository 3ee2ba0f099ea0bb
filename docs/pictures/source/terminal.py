"""Record commands in a pseudo-terminal, and draw what they printed as an SVG."""

import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

REPOSITORY: Final = Path(__file__).parents[3]

ROWS: Final = 50
#: Width and height of a character's cell in the SVG, as `rich` draws it.
_CELL: Final = 12.2
_LINE: Final = 24.4

_THEME: Final = TerminalTheme(
    (28, 33, 40),  # background
    (205, 217, 229),  # foreground
    [  # black, red, green, yellow, blue, magenta, cyan, white
        (84, 93, 104),
        (244, 112, 103),
        (87, 171, 90),
        (198, 144, 38),
        (83, 155, 245),
        (176, 131, 240),
        (57, 197, 207),
        (144, 157, 171),
    ],
    [
        (99, 110, 123),
        (255, 147, 138),
        (107, 196, 109),
        (218, 170, 63),
        (108, 182, 255),
        (220, 189, 251),
        (86, 212, 221),
        (205, 217, 229),
    ],
)

#: Space around the text, and above it for the three dots of a window.
_PAD: Final = 22
_TOP: Final = 54

#: Instead of `rich`'s template, which loads a web font: one that draws its own window, and
#: describes itself to screen readers. ``{{name}}`` is for `rich`, ``{name}`` for `draw`.
_TEMPLATE: Final = """\
<svg viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">
<!-- Made by `make pictures` from what the commands print. -->
<title>{description}</title>
<style>
.{{unique_id}}-matrix {{{{
    font-family: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas,
        "DejaVu Sans Mono", monospace;
    font-size: {{char_height}}px;
}}}}
{{styles}}
</style>
<defs>
{{lines}}
</defs>
<rect x="1" y="1" width="{inner_width}" height="{inner_height}" rx="12"
    fill="#1c2128" stroke="#444c56" stroke-width="1.5"/>
<g transform="translate(28, 28)">
<circle cx="0" r="7" fill="#ff5f57"/>
<circle cx="22" r="7" fill="#febc2e"/>
<circle cx="44" r="7" fill="#28c840"/>
</g>
<g transform="translate({pad}, {top})">
{{backgrounds}}
<g class="{{unique_id}}-matrix">
{{matrix}}
</g>
</g>
</svg>
"""

#: What differs from one run, or one machine, to the next.
_VARYING: Final = {
    r"in [\d.]+ s \([\d,]+ files/s\)": "in SOME s (SOME files/s)",
    r"[\d,]+ files/s": "SOME files/s",
    r"[\d,]+/s": "SOME/s",
    r"(cratesort|Python|libsndfile|onnxruntime|SQLite|PostgreSQL|Redis) \d[\w.]*": r"\1 VERSION",
}


def run(command: list[str], environment: Mapping[str, str], folder: Path, columns: int) -> str:
    """Run a program in a terminal of that many columns, and return what it wrote."""
    pid, terminal = start(command, environment, folder, columns)
    written = b"".join(chunks(terminal))
    os.waitpid(pid, 0)
    return written.decode()


def start(
    command: list[str],
    environment: Mapping[str, str],
    folder: Path,
    columns: int,
    rows: int = ROWS,
) -> tuple[int, int]:
    """Start a program in a terminal; return its process id and the terminal's descriptor."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(folder)
            os.execve(command[0], command, dict(environment))  # noqa: S606
        finally:
            os._exit(127)
    return pid, terminal


def chunks(terminal: int) -> Iterator[bytes]:
    """Yield what a program writes to its terminal until it ends."""
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # Linux: EIO once the program has closed its side
            break
        if not chunk:
            break
        yield chunk
    os.close(terminal)


def screen_lines(written: str) -> list[str]:
    """Return the lines that remain on the screen, with their colours as ANSI codes.

    Of the codes that move the cursor, only those are known that `rich` uses for its progress
    display: up, erase the line, return.
    """
    lines, row, returned = [""], 0, False
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
        if part == "\r":
            returned = True
            continue
        if part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part.endswith("A") and part.startswith("\x1b"):
            row = max(0, row - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.startswith("\x1b") and not part.endswith("m"):
            continue  # the cursor hidden and shown
        else:
            lines[row] = part if returned and not part.startswith("\x1b") else lines[row] + part
        returned = False
    while lines and not lines[-1]:
        lines.pop()
    return lines


def draw(lines: list[str], columns: int, name: str, description: str) -> str:
    """Return an SVG of a terminal with these lines, which may contain ANSI colour codes."""
    console = Console(
        width=columns, record=True, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, crop=False, highlight=False)
    width, height = round(columns * _CELL) + 2 * _PAD, round(len(lines) * _LINE) + _TOP + _PAD
    template = _TEMPLATE.format(
        width=width,
        height=height,
        inner_width=width - 2,
        inner_height=height - 2,
        pad=_PAD,
        top=_TOP,
        description=html.escape(description),
    )
    svg = console.export_svg(title="", theme=_THEME, code_format=template, unique_id=name)
    return re.sub(r'<text class="([\w-]+)" x="([\d.]+)" y="([\d.]+)".*?>(.*?)</text>', _fill, svg)


def _fill(element: re.Match[str]) -> str:
    """Put rectangles behind the bars in a text: in some fonts the blocks do not touch."""
    style, x, y, text = element.groups()
    bars = ""
    for bar in re.finditer("█+", html.unescape(text)):
        left, width = float(x) + bar.start() * _CELL, len(bar[0]) * _CELL
        bars += (
            f'<rect class="{style}" x="{left:g}" y="{float(y) - 17:g}" '
            f'width="{width:g}" height="21"/>'
        )
    return bars + element[0]


def texts(svg: str) -> list[str]:
    """Return the lines of a drawing as plain text: the inverse of `draw`, without colours."""
    lines: dict[int, str] = {}
    found = re.findall(r'<text [^>]*?x="([\d.]+)"[^>]*?-line-(\d+)\)">(.*?)</text>', svg)
    for x, line, text in found:
        before = lines.get(int(line), "").ljust(round(float(x) / _CELL))
        lines[int(line)] = before + html.unescape(text).replace("\xa0", " ")
    last = max(lines, default=-1)
    return [lines.get(number, "").rstrip() for number in range(last + 1)]


def stable(text: str) -> str:
    """Replace times, paces and versions, which vary from run to run."""
    for pattern, replacement in _VARYING.items():
        text = re.sub(pattern, replacement, text)
    return text


def write(path: Path, svg: str) -> None:
    """Write a drawing, unless it differs from the one that is there only in what varies."""
    if path.exists() and _shape(path.read_text(encoding="utf-8")) == _shape(svg):
        sys.stdout.write(f"unchanged  {path.name}\n")
        return
    path.write_text(svg, encoding="utf-8")
    sys.stdout.write(f"written    {path.name}\n")


def _shape(svg: str) -> str:
    """Return a drawing without times and versions, and without where the text after them is."""
    text_places = r'(?<=<text )(.*?) x="[\d.]+"(.*?) textLength="[\d.]+"'
    return re.sub(text_places, r"\1\2", stable(svg.replace("&#160;", " ")))
