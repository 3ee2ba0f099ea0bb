"""The site of the documents: each page is in its navigation, and links that leave it are right."""

import importlib.util
import re

import pytest

from tests.support.places import REPOSITORY

DOCS = REPOSITORY / "docs"
URL = "https://github.com/cratesort/cratesort"


@pytest.fixture(scope="module")
def conf():
    spec = importlib.util.spec_from_file_location("site_conf", DOCS / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed(conf, page):
    """The pages that a page lists, and those that they list in turn."""
    navigation = conf._navigation(page.read_text())
    for line in navigation.splitlines():
        if line.endswith(".md"):
            below = (page.parent / line).resolve()
            yield below
            if conf.LISTS.fullmatch(below.relative_to(DOCS).with_suffix("").as_posix()):
                yield from listed(conf, below)


def test_every_page_is_in_the_navigation_once(conf):
    pages = [path.relative_to(DOCS) for path in listed(conf, DOCS / "index.md")]
    others = {path.relative_to(DOCS) for path in DOCS.rglob("*.md")} - {
        (DOCS / "index.md").relative_to(DOCS)
    }
    assert sorted(pages) == sorted(others)


@pytest.mark.parametrize(
    ("written", "on_the_site"),
    [
        ("../../SECURITY.md", "../project/security.md"),
        ("../../SECURITY.md#what-is-defended", "../project/security.md#what-is-defended"),
        ("../../workers/settings.py", f"{URL}/blob/main/workers/settings.py"),
        ("../../examples", f"{URL}/tree/main/examples"),
        ("settings.md#the-url-of-redis", "settings.md#the-url-of-redis"),
        ("../../no-such-file", "../../no-such-file"),
        ("https://www.python.org", "https://www.python.org"),
        ("#a-heading", "#a-heading"),
    ],
)
def test_a_link_of_a_page(conf, written, on_the_site):
    text = conf._with_links_of_the_site(
        f"[x]({written})", DOCS / "reference" / "x.md", "reference/x"
    )
    assert text == f"[x]({on_the_site})"


def test_a_link_of_a_file_of_the_root_is_one_from_its_page(conf):
    text = conf._with_links_of_the_site(
        '[x](docs/reference/cli.md) [y](LICENSE) <img src="docs/index.md">',
        REPOSITORY / "README.md",
        "project/readme",
    )
    assert text == '[x](../reference/cli.md) [y](license.md) <img src="../index.md">'


def test_a_page_loads_no_badge_from_another_host(conf):
    badges = "[![CI](https://example.org/ci.svg)](https://example.org)\n[![x](http://e.org/x)](y)\n"
    assert conf._BADGE.sub("", f"# x\n\n{badges}\nText") == "# x\n\nText"
    loaded = r"(?:!\[[^\]]*\]\(|\bsrc=\")https?:"
    for page in [*DOCS.rglob("*.md"), *(REPOSITORY / file for file in conf.INCLUDED.values())]:
        assert re.search(loaded, conf._BADGE.sub("", page.read_text())) is None, page


def test_an_example_in_a_fence_is_left_as_it_is(conf):
    text = "```text\n[x](../SECURITY.md)\n```\n"
    assert conf._outside_fences(text, lambda part: part.upper()) == text


def test_each_page_of_a_file_of_the_root_leads_readers_on_github_to_it(conf):
    for page, file in conf.INCLUDED.items():
        path = DOCS / f"{page}.md"
        links = [link for _, link in conf._LINK.findall(path.read_text())]
        assert [(path.parent / link).resolve() for link in links] == [REPOSITORY / file]
