"""Sphinx configuration of the documentation site: ``make site``.

The pages are plain Markdown, so that they can also be read on GitHub. What only the site needs is
added while Sphinx reads a page: the navigation, the text of pages that are files elsewhere in the
repository (such as README.md), and the URLs of source files.
"""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # tests import this file without Sphinx
    from docutils import nodes
    from sphinx.application import Sphinx

DOCS: Final = Path(__file__).resolve().parent
REPOSITORY: Final = DOCS.parent

with (REPOSITORY / "pyproject.toml").open("rb") as file:
    _PROJECT: Final = tomllib.load(file)["project"]

#: Where files that are no pages of the site are linked to.
SOURCE_URL: Final = f"{_PROJECT['urls']['Homepage']}/{{kind}}/main/{{path}}"

#: Pages of the site whose text is a file elsewhere in the repository. In ``docs/`` they only link
#: to that file.
INCLUDED: Final = {
    "project/readme": "README.md",
    "project/changelog": "CHANGELOG.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/security": "SECURITY.md",
    "project/model-card": "classifier/starter/MODEL_CARD.md",
    "project/license": "LICENSE",
}

#: Pages that list others. Their links to pages of their folder, and to other lists, are the
#: navigation, in this order.
LISTS: Final = re.compile(r"(?:.*/)?index|decisions/README")

EXTERNAL_LINKS: Final[set[str]] = set()

project = "cratesort"
version = release = _PROJECT["version"]
copyright = "the cratesort contributors"  # noqa: A001 (Sphinx's name for it)
html_title = f"cratesort {release}"

extensions = ["myst_parser"]
myst_heading_anchors = 6
nitpicky = True
highlight_language = "text"
exclude_patterns = ["**/.*"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "source_repository": _PROJECT["urls"]["Homepage"],
    "top_of_page_buttons": [],
    "footer_icons": [],
}

_TABLE: Final = re.compile(r"<table.*?</table>", re.DOTALL)
_CODE: Final = re.compile(r'(?<=<span class="pre">)[^<]+')
_WRAP_AFTER: Final = re.compile(r"(?<=\w[_/,=])(?=[\w/])")
_FENCE: Final = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1[`~]*$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(\]\(|\b(?:src|srcset|href)=\")(?![a-z]+:|#)([^)#\s\"]+)")
_BADGE: Final = re.compile(r"\[!\[[^\]]*\]\(https?:[^)]*\)\]\([^)]*\)\s*")
_LISTED: Final = re.compile(r"\]\((?!\w+:)((?:[^)/#\s]+|[^)#\s]*/(?:index|README))\.md)\)")


def prepare_page(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Turn the Markdown of the repository into that of the site, before it is parsed."""
    text = source[0]
    origin = DOCS / f"{docname}.md"
    if docname in INCLUDED:
        origin = REPOSITORY / INCLUDED[docname]
        app.env.note_dependency(str(origin))
        # Without badges: no page loads anything from another host.
        text = _BADGE.sub("", origin.read_text(encoding="utf-8"))
        if not origin.suffix:
            text = f"# {origin.name.capitalize()}\n\n```text\n{text}```\n"
    if LISTS.fullmatch(docname):
        text = f"{text}\n{_navigation(text)}"
    source[0] = _outside_fences(text, lambda part: _with_links_of_the_site(part, origin, docname))


def _navigation(text: str) -> str:
    """Return a hidden table of contents of the pages that a list links to."""
    pages = dict.fromkeys(_LISTED.findall(text))
    return "\n".join(["```{toctree}", ":hidden:", "", *pages, "```", ""]) if pages else ""


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def _with_links_of_the_site(text: str, origin: Path, docname: str) -> str:
    return _LINK.sub(lambda link: link[1] + _target(link[2], origin, docname), text)


def _target(written: str, origin: Path, docname: str) -> str:
    """Return a link of the file `origin` as it must be on the page `docname`."""
    target = Path(os.path.normpath(origin.parent / written))
    if not target.exists() or not target.is_relative_to(REPOSITORY):
        return written  # Sphinx reports it.
    path = target.relative_to(REPOSITORY).as_posix()
    for page, file in INCLUDED.items():
        if path == file:
            target = DOCS / f"{page}.md"
    if target.is_relative_to(DOCS) and target.is_file():
        return os.path.relpath(target, (DOCS / docname).parent)
    return SOURCE_URL.format(kind="tree" if target.is_dir() else "blob", path=path)


def let_names_wrap(
    _app: "Sphinx", _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Let long names in tables wrap after a separator; copied text stays the same."""
    wrap = '</span><wbr><span class="pre">'

    def wrapped(table: re.Match[str]) -> str:
        return _CODE.sub(lambda code: _WRAP_AFTER.sub(wrap, code[0]), table[0])

    if "body" in context:
        context["body"] = _TABLE.sub(wrapped, context["body"])


def collect_external_links(_app: "Sphinx", doctree: "nodes.document", _docname: str) -> None:
    """Collect the URLs of a page. They are listed for readers and never fetched."""
    from docutils import nodes

    links = {node.get("refuri", "") for node in doctree.findall(nodes.reference)}
    EXTERNAL_LINKS.update(link for link in links if link.startswith("http"))


def write_external_links(app: "Sphinx", _error: Exception | None) -> None:
    """Write the collected URLs beside the site."""
    listing = Path(app.outdir).with_name("site-external-links.txt")
    listing.write_text("".join(f"{link}\n" for link in sorted(EXTERNAL_LINKS)), encoding="utf-8")


def setup(app: "Sphinx") -> None:
    """Connect the hooks."""
    app.connect("source-read", prepare_page)
    app.connect("html-page-context", let_names_wrap)
    app.connect("doctree-resolved", collect_external_links)
    app.connect("build-finished", write_external_links)
