"""Draw the diagrams of the documentation as SVG, from TOML files in which they are laid out."""

import html
import math
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

Point = tuple[float, float]

#: Fill and outline of each kind of box.
_COLOURS: Final = {
    "producer": ("#ddf4ff", "#54aeff"),
    "store": ("#fff4cc", "#d4a72c"),
    "redis": ("#ffe3e0", "#f47067"),
    "worker": ("#dafbe1", "#4ac26b"),
    "trainer": ("#f3e8ff", "#b083f0"),
    "plain": ("#ffffff", "#afb8c1"),
    "group": ("#f0f3f6", "#c5ccd3"),
}
_INK: Final = "#1f2328"
_SOFT: Final = "#57606a"
_PATH: Final = "#0969da"

_HEAD: Final = """\
<svg viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">
<!-- Made from docs/pictures/source/{name} by `make pictures PART=diagrams`. -->
<title>{title}</title>
<style>
text {{ font: 15px system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; \
fill: #57606a; }}
.title {{ font-size: 17px; font-weight: 600; fill: #1f2328; }}
.label {{ font-size: 14px; text-anchor: middle; }}
.step {{ font-size: 13px; font-weight: 700; fill: #ffffff; text-anchor: middle; }}
.arrow {{ fill: none; stroke: #8c959f; stroke-width: 1.75; }}
.path {{ stroke: #0969da; stroke-width: 2.5; }}
</style>
<rect x="1" y="1" width="{inner_width}" height="{inner_height}" rx="14" fill="#fbfcfd" \
stroke="#d0d7de" stroke-width="1.5"/>"""

#: Space before the text of a box, and the height of a line of it.
_PAD: Final = 13
_LINE: Final = 21

#: Radius of the corners of an arrow, and the size of its head.
_CORNER: Final = 12.0
_HEAD_LENGTH: Final = 10.0


def diagram(source: Path) -> str:
    """Return the SVG of a diagram."""
    drawing = tomllib.loads(source.read_text(encoding="utf-8"))
    width, height = drawing["size"]
    boxes = {box["id"]: box for box in drawing["box"]}
    parts = [
        _HEAD.format(
            width=width,
            height=height,
            inner_width=width - 2,
            inner_height=height - 2,
            name=source.name,
            title=html.escape(drawing["title"]),
        )
    ]
    for box in boxes.values():
        parts += _box(box)
    for arrow in drawing["arrow"]:
        parts += _arrow(arrow, boxes)
    if legend := drawing.get("legend"):
        parts += _legend(legend, width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text x="{x:g}" y="{y:g}"{named}>{html.escape(text)}</text>'


def _badge(x: float, y: float, step: int, radius: float = 10) -> list[str]:
    return [
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{_PATH}"/>',
        _text(x, y + 4.5, str(step), "step"),
    ]


def _box(box: dict[str, Any]) -> list[str]:
    (x, y), (width, height) = box["at"], box["size"]
    fill, outline = _COLOURS[box["kind"]]
    paint = f'rx="9" fill="{fill}" stroke="{outline}" stroke-width="1.5"'
    parts = []
    for behind in (8, 4) if box.get("stacked") else ():
        parts.append(
            f'<rect x="{x + behind:g}" y="{y + behind:g}" width="{width}" '
            f'height="{height}" {paint}/>'
        )
    parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" {paint}/>')
    lines = box.get("text", [])
    # Text stands in the middle of a box, and at the top of a group of boxes.
    top = y + 29 if box["kind"] == "group" else y + height / 2 - _LINE * len(lines) / 2 + 6
    parts.append(_text(x + _PAD, top, box["title"], "title"))
    indented = False  # a line that goes on after one with a number
    for number, line in enumerate(lines, start=1):
        step, _, rest = line.partition(" ")
        if step.isdigit():
            parts += _badge(x + _PAD + 9, top + _LINE * number - 5, int(step), radius=9)
            parts.append(_text(x + _PAD + 25, top + _LINE * number, rest))
        else:
            parts.append(_text(x + _PAD + (25 if indented else 0), top + _LINE * number, line))
        indented = step.isdigit()
    return parts


def _anchor(place: str, boxes: dict[str, Any]) -> Point:
    """Return the point that ``box.side@share`` names."""
    place, _, share = place.partition("@")
    name, side = place.split(".")
    (x, y), (width, height) = boxes[name]["at"], boxes[name]["size"]
    along = float(share or 0.5)
    return {
        "left": (x, y + along * height),
        "right": (x + width, y + along * height),
        "top": (x + along * width, y),
        "bottom": (x + along * width, y + height),
    }[side]


def _towards(start: Point, end: Point, distance: float) -> Point:
    """Return the point at a distance from `start` on the way to `end`."""
    share = distance / (math.dist(start, end) or 1)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _along(points: list[Point], share: float) -> Point:
    """Return the point at a share of the length of a line."""
    lengths = [math.dist(start, end) for start, end in pairwise(points)]
    left = share * sum(lengths)
    for (start, end), length in zip(pairwise(points), lengths, strict=True):
        if left <= length:
            return _towards(start, end, left)
        left -= length
    return points[-1]


def _arrow_head(tip: Point, before: Point, colour: str) -> str:
    angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
    corners = [tip]
    for turn in (2.72, -2.72):
        length = _HEAD_LENGTH * 1.05
        corners.append(
            (tip[0] + length * math.cos(angle + turn), tip[1] + length * math.sin(angle + turn))
        )
    listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{listed}" fill="{colour}"/>'


def _arrow(arrow: dict[str, Any], boxes: dict[str, Any]) -> list[str]:
    start, end = _anchor(arrow["from"], boxes), _anchor(arrow["to"], boxes)
    points = [start, *map(tuple, arrow.get("via", [])), end]
    step = arrow.get("step")
    style, colour = ("arrow path", _PATH) if step or arrow.get("path") else ("arrow", "#8c959f")
    line = f"M{start[0]:g},{start[1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_CORNER, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        (x1, y1), (x2, y2) = _towards(corner, before, radius), _towards(corner, after, radius)
        line += f" L{x1:.1f},{y1:.1f} Q{corner[0]:g},{corner[1]:g} {x2:.1f},{y2:.1f}"
    shaft = _towards(end, points[-2], _HEAD_LENGTH - 2)
    line += f" L{shaft[0]:.1f},{shaft[1]:.1f}"
    parts = [f'<path class="{style}" d="{line}"/>', _arrow_head(end, points[-2], colour)]
    if arrow.get("both"):
        parts.append(_arrow_head(start, points[1], colour))
    if label := arrow.get("label"):
        parts.append(_text(*arrow["label_at"], label, "label"))
    if step:
        parts += _badge(*_along(points, arrow["step_at"]), step)
    return parts


def _legend(legend: dict[str, Any], width: float) -> list[str]:
    """Return the names of the steps in one row."""
    x, y = legend["at"]
    parts = [
        f'<line x1="{x}" y1="{y - 8}" x2="{width - x}" y2="{y - 8}" stroke="#d0d7de"/>',
    ]
    # Each name gets room by its length.
    spare = (width - 2 * x - sum(_room(name) for name in legend["steps"])) / len(legend["steps"])
    left = x + 10.0
    numbers = legend.get("numbers", range(1, len(legend["steps"]) + 1))
    for number, name in zip(numbers, legend["steps"], strict=True):
        parts += [*_badge(left, y + 20, number), _text(left + 18, y + 25, name)]
        left += _room(name) + spare
    return parts


def _room(name: str) -> float:
    return 40 + 8.5 * len(name)
