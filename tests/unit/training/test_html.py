"""Pages of reports: everything in one file, nothing fetched, no name that is more than text."""

import re
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from classifier.categories import N_CATEGORIES
from training.evaluation.metrics import evaluate
from training.fit.reliability import KindReliability
from training.reports.html import render_table_report, render_training_report

HOSTILE = '<script>alert("x")</script>\u202e\x1b[2J'

#: Elements and attributes that make a browser fetch or run something.
FETCHING = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image"}
RUNNING = re.compile(r"^(on\w+|src|srcset|action|formaction|data|background)$")


class _Parts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.elements, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data):
        self.text.append(data)


def parts(page):
    parser = _Parts()
    parser.feed(page)
    parser.close()
    return parser


def evaluation(right=0.8, seed=0, n_sounds=120):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, N_CATEGORIES, n_sounds)
    called = np.where(rng.random(n_sounds) < right, truth, (truth + 1) % N_CATEGORIES)
    probabilities = np.full((n_sounds, N_CATEGORIES), 0.02, dtype=np.float32)
    probabilities[np.arange(n_sounds), called] = 0.78
    return evaluate(truth, probabilities)


def training_page(**changes):
    content = {
        "version": "20261126-101500",
        "verdict": "promoted",
        "reason": "macro F1 rose",
        "challenger": evaluation(0.9),
        "champion": evaluation(0.7),
        "champion_version": "starter-1",
        "sizes": {"learned": 1200, "sounds_per_category": {"drum": 700}},
        "is_out_of_fold": False,
        "by_evidence": [asdict(KindReliability("mates", 1234, 0.9, 0.95, 1000, 0.987))],
        "created": "2026-11-26 10:15 UTC",
    }
    return render_training_report(**(content | changes))


@pytest.fixture(scope="module")
def page():
    return training_page()


def test_a_page_loads_nothing_and_has_no_scripts(page):
    found = parts(page)
    assert FETCHING.isdisjoint(found.elements)
    assert not [name for name, _ in found.attributes if RUNNING.match(name)]
    # What points anywhere points into the page itself.
    links = [value for name, value in found.attributes if name in ("href", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    assert "://" not in page
    assert "url(" not in page.replace("url(#", "")


def test_a_page_has_a_restrictive_content_security_policy(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_a_page_supports_narrow_screens_and_dark_mode(page):
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "prefers-color-scheme: dark" in page
    # A wide table scrolls by itself, not the page with it.
    assert page.count("<table>") == page.count('<div class="scroll"><table>') > 0


def test_figures_are_drawn_in_the_colours_of_the_page(page):
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", page))
    assert colours == set()
    assert "var(--mark)" in page


def test_ids_on_a_page_are_unique_unless_their_elements_are_equal(page):
    definitions = re.findall(r'<clipPath id="([^"]+)">(.*?)</clipPath>', page, re.DOTALL)
    assert len(dict(definitions)) == len(set(definitions))
    named = [value for name, value in parts(page).attributes if name == "id"]
    assert not [name for name in named if re.fullmatch(r"\w+_\d+", name)]


def test_a_hostile_name_is_escaped_everywhere():
    page = training_page(
        version=HOSTILE,
        champion_version=HOSTILE,
        reason=f"{HOSTILE} {{{{ 7 * 7 }}}} $\\frac{{$",
        sizes={"sounds_per_vendor": {HOSTILE: 3}},
    )
    found = parts(page)
    assert "script" not in found.elements
    assert '<script>alert("x")</script>' in "".join(found.text)
    assert "{{ 7 * 7 }}" in page
    assert not {"\u202e", "\x1b"} & set(page)


def test_a_name_that_is_not_text_does_not_break_the_page():
    page = training_page(reason="vendor \udcff fell")
    assert "vendor \\udcff fell" in page
    page.encode()


def test_a_huge_name_is_cut_everywhere():
    page = training_page(
        version="v" * 100_000,
        champion_version="c" * 100_000,
        reason="r" * 100_000,
        sizes={"sounds_per_vendor": {"n" * 100_000: 3}},
    )
    for letter in "vcrn":
        assert letter * 450 in page
        assert letter * 501 not in page


def test_the_page_has_the_verdict_its_reason_and_the_figures_of_both_models(page):
    text = re.sub(r"\s+", " ", "".join(parts(page).text))
    assert "Model 20261126-101500: promoted" in text
    assert "macro F1 rose." in text
    for model in (evaluation(0.9), evaluation(0.7)):
        assert f"{model.macro_f1:.3f}" in text
    change = evaluation(0.9).categories[0].f1 - evaluation(0.7).categories[0].f1
    assert f"{change:+.3f}" in text
    assert "1,200" in text


def test_a_run_without_a_comparison_is_reported_as_such():
    page = training_page(challenger=None, champion=None)
    assert "too few sounds that neither model was trained on" in page
    assert "<svg" not in page


def test_a_run_from_a_table_shows_both_evaluations():
    by_vendor, at_random = evaluation(0.5), evaluation(0.9)
    page = render_table_report(
        version="v",
        reason="stored",
        by_vendor=by_vendor,
        random_split=at_random,
        sizes={"sounds": 120},
        by_evidence=[],
        created="today",
    )
    assert f"{by_vendor.macro_precision:.3f}" in page
    assert f"{at_random.macro_precision:.3f}" in page


def test_confidence_is_shown_by_kind_of_evidence(page):
    assert "Confidence by evidence" in page
    assert "<th>mates</th><td>1,234</td>" in page
    assert "0.987" in page


def test_equal_data_gives_equal_pages():
    assert training_page() == training_page()
