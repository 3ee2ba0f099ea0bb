"""Figures: the same numbers give the same bytes, and any name can be drawn."""

import html
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from training.reports import figures

NAMES = ["plain", "$\\frac{", "<b>&amp;</b>", "日本 ☃", "a" * 300, "", "\\udcff"]


def texts(drawing):
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing.svg)


def test_a_figure_is_a_png_and_an_element_of_a_page():
    drawing = figures.bars([("drum", 3), ("bass", 1)])
    assert drawing.png.startswith(b"\x89PNG")
    assert drawing.svg.startswith("<svg")
    assert "<?xml" not in drawing.svg
    assert "xmlns" not in drawing.svg
    assert {"drum", "bass", "3", "1"} <= set(texts(drawing))


def test_any_name_is_drawn_without_warnings(recwarn):
    drawing = figures.bars([(name, 1) for name in NAMES])
    shown = texts(drawing)
    assert "$\\frac{" in shown
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in shown
    assert "a" * 29 + "…" in shown
    assert [str(warning.message) for warning in recwarn] == []


def test_the_last_bar_sums_up_the_rest():
    drawing = figures.bars([(f"vendor {i}", 100 - i) for i in range(40)], most=10)
    shown = texts(drawing)
    assert "31 more" in shown
    assert f"{sum(100 - i for i in range(9, 40)):,}" in shown
    assert "vendor 9" not in shown


def test_empty_data_can_be_drawn():
    assert figures.bars([]).png
    assert figures.histograms({}).png
    assert figures.histograms({"size": np.array([0.0, 0.0])}).png
    assert figures.histograms({"size": np.array([5.0])}).png


def test_scales_are_labelled_in_plain_numbers():
    sizes = np.geomspace(100, 5_000_000, 200)
    shown = texts(figures.histograms({"size": sizes, "rate": np.array([44_100.0, 48_000.0])}))
    assert {"1k", "100k", "1M", "44.1k", "48k"} <= set(shown)
    assert not [text for text in shown if "$" in text]


def test_equal_data_gives_equal_figures():
    first, second = (figures.bars([("drum", 3)]) for _ in range(2))
    assert first == second


def test_a_name_that_is_not_text_is_drawn_with_escapes():
    hostile = "\udce9 Latin \x1b[2J \x00 \u202e"
    drawing = figures.bars([(hostile, 3)])
    assert texts(drawing).count(figures.shorten(hostile)) == 1
    assert figures.shorten(hostile, 99) == r"\udce9 Latin \x1b[2J \x00 \u202e"


@pytest.mark.parametrize(
    "name",
    [
        "\ufffe and \uffff",
        "\ud800",
        "\x0b\x85",
        "\u061cmark",
        "]]>--><!--&#1;",
        '<svg width="1" onload=alert(1)>',
        "#1b1f24 'DejaVu Sans'",
        'x id="a_1" xmlns="y"',
        "\u0301" * 99,
    ],
    ids=ascii,
)
def test_no_name_breaks_a_figure_or_is_parsed_as_markup(name):
    drawing = figures.bars([(name, 3)])
    # Well-formed, as XML and not only as the HTML that forgives
    ET.fromstring(drawing.svg.replace(" xlink:href", " href"))  # noqa: S314 our own text
    assert figures.shorten(name) in map(html.unescape, texts(drawing))


def test_stacked_marks_stay_in_the_row_of_their_name():
    names = ["a", "Z" + "\u0301\u0332\u033f" * 40, "c"]
    places = re.findall(r'<text[^>]* y="([0-9.]+)"', figures.bars([(n, 1) for n in names]).svg)
    first, second, third = map(float, places[:3])
    assert second - first == pytest.approx(third - second, rel=0.2)
