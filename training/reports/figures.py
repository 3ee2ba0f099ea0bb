"""Figures of reports, each as an SVG element for the HTML page and as a PNG file.

They are narrow enough for a phone. In the SVG, colours are CSS variables for light and dark mode.
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from classifier.categories import CATEGORIES
from training.data.dataset import displayed
from training.evaluation.metrics import Evaluation

#: Colours of a PNG, and the CSS variable for each of them (``templates/page.html.j2``).
_INK: Final = "#1b1f24"
_SOFT: Final = "#57606a"
_LINE: Final = "#d7dce1"
_MARK: Final = "#0072b2"
_OTHER: Final = "#a3adb8"
_ON_MARK: Final = "#fffffe"
_VARIABLES: Final = {
    _INK: "var(--ink)",
    _SOFT: "var(--soft)",
    _LINE: "var(--line)",
    _MARK: "var(--mark)",
    _OTHER: "var(--other)",
    _ON_MARK: "var(--on-mark)",
}

_WIDTH_INCHES: Final = 4.8
_LONGEST_NAME: Final = 30

#: Unicode categories of combining marks, and most marks kept per letter; few scripts stack more.
_MARKS: Final = ("Mn", "Me")
_MOST_MARKS: Final = 2

#: Up to this many distinct values, a histogram has one bar per value.
_FEW_VALUES: Final = 10

#: Typed as Any, because matplotlib's type is a dictionary of its three hundred option names.
_STYLE: Final[Any] = {
    **mpl.rcParamsDefault,  # ignore a file matplotlibrc in the current folder
    "font.family": "DejaVu Sans",  # ships with matplotlib, so drawings are equal on all machines
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _INK,
    # A $ in a name does not start a formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "cratesort",
}


@dataclass(frozen=True)
class Drawing:
    """A figure as an ``<svg>`` element for a page, and as the bytes of a PNG file."""

    svg: str
    png: bytes


def _drawn(draw: Callable[[Figure], None], height_inches: float) -> Drawing:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that the font lacks are boxes in the PNG; the browser draws them in the SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # Not pyplot, which keeps every figure in memory and looks for a display.
        figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained")
        draw(figure)
        png, svg = io.BytesIO(), io.BytesIO()
        # No date and version, so that equal figures have equal bytes.
        figure.savefig(png, format="png", dpi=160, facecolor="white", metadata={"Software": None})
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)
    return Drawing(_for_page(svg.getvalue().decode()), png.getvalue())


def _for_page(svg: str) -> str:
    """Convert an SVG file to an element for a page with several drawings.

    Only tags are changed, because a vendor's name may look like a colour.
    """
    element = re.sub("<[^>]*>", lambda tag: _tag_for_page(tag[0]), svg[svg.index("<svg") :])
    element = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1)
    return re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)


def _tag_for_page(tag: str) -> str:
    tag = re.sub(r' xmlns(:\w+)?="[^"]*"', "", tag)
    # Element ids must be unique per page, so numbered ids are removed. Ids that are hashes of the
    # content stay: elements with the same id are equal.
    tag = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", tag)
    tag = tag.replace("'DejaVu Sans'", "system-ui, sans-serif")
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, variable)
    return tag


def _remove_frame(axes: Any) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def bars(named_counts: Sequence[tuple[str, int]], *, most: int = 30) -> Drawing:
    """Draw counts as at most `most` horizontal bars, in the order given; the last is the rest."""
    items = list(named_counts)
    if len(items) > most:
        rest = items[most - 1 :]
        items = [*items[: most - 1], (f"{len(rest):,} more", sum(count for _, count in rest))]
    names = [shorten(name) for name, _ in items]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        counts = [count for _, count in items]
        container = axes.barh(range(len(items)), counts, color=_MARK, height=0.7)
        axes.bar_label(container, [f"{count:,}" for count in counts], padding=3)
        axes.set_yticks(range(len(items)), names, parse_math=False)
        axes.set_xticks([])
        axes.invert_yaxis()
        axes.margins(x=0.16, y=0.02)
        _remove_frame(axes)

    return _drawn(draw, 0.3 + 0.21 * max(len(items), 1))


def histograms(columns: Mapping[str, NDArray[np.float64]]) -> Drawing:
    """Draw how often each value occurs, one panel per column of shape (n_stated,).

    A column with at most `_FEW_VALUES` distinct values gets one bar per value. Otherwise its
    positive values are binned on a logarithmic scale.
    """

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(columns) or 1, 1, squeeze=False)[:, 0]
        for axes, (title, values) in zip(panels, columns.items(), strict=False):
            distinct, counts = np.unique(values, return_counts=True)
            positive = values[values > 0]
            if len(distinct) <= _FEW_VALUES:
                axes.bar(range(len(distinct)), counts, color=_MARK, width=0.6)
                axes.set_xticks(range(len(distinct)), [_brief(value) for value in distinct])
                axes.set_xlim(-0.6, max(len(distinct), 4) - 0.4)
            elif len(positive):
                edges = np.geomspace(positive.min(), positive.max() * 1.001, 48)
                axes.hist(positive, bins=edges.tolist(), color=_MARK)
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter(lambda value, _: _brief(value))
                axes.xaxis.set_minor_formatter(lambda *_: "")
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.yaxis.set_major_formatter(lambda value, _: _brief(value))
            axes.set_title(title)
            axes.tick_params(axis="y", labelcolor=_SOFT)

    return _drawn(draw, 0.2 + 1.15 * (len(columns) or 1))


def _brief(value: float) -> str:
    """Format a number with a unit prefix: 44,100 as 44.1k."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.3g}"


def comparison(evaluations: Sequence[tuple[str, Evaluation]]) -> Drawing:
    """Draw macro precision, macro F1 and accuracy of systems; the last one is highlighted."""
    measures = ("macro_precision", "macro_f1", "accuracy")
    names = [shorten(name) for name, _ in evaluations]
    colours = [_OTHER] * (len(names) - 1) + [_MARK]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(measures), sharey=True)
        for axes, measure in zip(panels, measures, strict=True):
            values = [getattr(evaluation, measure) for _, evaluation in evaluations]
            container = axes.barh(range(len(values)), values, color=colours, height=0.7)
            axes.bar_label(container, [f"{value:.2f}" for value in values], padding=3)
            axes.set_yticks(range(len(values)), names, parse_math=False)
            axes.set(xlim=(0, 1.3), xticks=[])
            axes.set_title(measure.replace("_", " ").replace("f1", "F1"))
            _remove_frame(axes)
        panels[0].invert_yaxis()

    return _drawn(draw, 0.4 + 0.25 * len(names))


def learning_curves(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing:
    """Draw lines over epochs, one panel per title; the last line of a panel is highlighted."""

    def draw(figure: Figure) -> None:
        for axes, (title, lines) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            colours = [_OTHER] * (len(lines) - 1) + [_MARK]
            for (name, values), colour in zip(lines.items(), colours, strict=True):
                axes.plot(range(1, len(values) + 1), values, color=colour, label=name)
            axes.set_title(title)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.set_xlabel("epoch")
            axes.tick_params(labelcolor=_SOFT)
            axes.legend(frameon=False, fontsize=7.5)

    return _drawn(draw, 2.3)


def confusion(evaluation: Evaluation) -> Drawing:
    """Draw the confusion matrix: rows are true categories, shades are shares of the row."""
    counts = np.array(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    places = range(len(CATEGORIES))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, column in np.argwhere(counts):
            share = shares[row, column]
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(_square(corner, facecolor=_MARK, alpha=0.08 + 0.92 * share))
            axes.annotate(
                f"{counts[row, column]:,}",
                (column, row),
                ha="center",
                va="center",
                fontsize=6,
                color=_ON_MARK if share > 0.5 else _INK,
            )
        for place in places:
            axes.add_patch(_square((place - 0.5, place - 0.5), fill=False, edgecolor=_LINE))
        edges = (-0.5, len(CATEGORIES) - 0.5)
        axes.set(xlim=edges, ylim=edges[::-1], aspect="equal", xlabel="predicted", ylabel="truth")
        axes.set_xticks(places, CATEGORIES, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, CATEGORIES)
        axes.tick_params(labelsize=7.5, labelcolor=_INK)
        _remove_frame(axes)

    return _drawn(draw, 4.3)


def _square(corner: tuple[float, float], **look: Any) -> Any:
    return mpl.patches.Rectangle(corner, 1, 1, linewidth=0.6, **look)


def reliability(evaluations: Sequence[tuple[str, Evaluation]]) -> Drawing:
    """Draw accuracy against confidence, one panel per system; point size shows the sounds."""
    n_columns = min(3, max(2, len(evaluations)))
    n_rows = -(-len(evaluations) // n_columns)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
        for i, axes in enumerate(panels.flat):
            if i >= len(evaluations):
                axes.set_axis_off()
                continue
            name, evaluation = evaluations[i]
            colour = _MARK if i == len(evaluations) - 1 else _SOFT
            stated = [part.confidence for part in evaluation.reliability]
            right = [part.accuracy for part in evaluation.reliability]
            sizes = [
                3 + 70 * part.n_sounds / evaluation.n_sounds for part in evaluation.reliability
            ]
            axes.plot([0, 1], [0, 1], color=_OTHER, linestyle=":", linewidth=1)
            axes.plot(stated, right, color=colour, linewidth=1)
            axes.scatter(stated, right, s=sizes, color=colour, linewidths=0)
            axes.set_title(
                f"{shorten(name, 28)}\nECE {evaluation.calibration_error:.3f}",
                fontsize=6.5,
                parse_math=False,
            )
            axes.set(xlim=(0, 1.04), ylim=(0, 1.04), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.tick_params(labelsize=7, labelcolor=_SOFT)
        figure.supxlabel("confidence", fontsize=8, color=_SOFT)
        figure.supylabel("accuracy", fontsize=8, color=_SOFT)

    return _drawn(draw, 0.4 + 1.55 * n_rows * 3 / n_columns)


def shorten(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name that is safe to draw, with at most `longest` characters.

    Invalid UTF-8 and control characters are escaped. Stacks of combining marks are cut, because
    they would overlap other rows.
    """
    shown, marks = [], 0
    for character in displayed(name[: 4 * longest]):
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        if marks <= _MOST_MARKS:
            shown.append(character)
    if len(shown) <= longest and len(name) <= 4 * longest:
        return "".join(shown)
    return "".join(shown[: longest - 1]) + "…"
