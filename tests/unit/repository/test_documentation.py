"""What the documents say can be done can be done: commands, targets and links are real."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cli.commands import cratesort
from cli.docs_reference import reference
from tests.support.places import REPOSITORY

PAGES = sorted(
    path
    for path in (*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"))
    if path.name != "cli.md"
)
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))

#: A command in a line of a block, or between backquotes.
IN_A_BLOCK = re.compile(r"^(?:\$ )?((?:cratesort|make) .*)$", re.MULTILINE)
IN_A_SENTENCE = re.compile(r"`((?:cratesort|make) [^`]+)`")

BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def commands_of(page: Path) -> list[str]:
    """Every command of cratesort's or make's that a page shows."""
    text = page.read_text()
    blocks = [line for block in BLOCK.findall(text) for line in IN_A_BLOCK.findall(block)]
    sentences = IN_A_SENTENCE.findall(re.sub(r"\s*\n\s*", " ", BLOCK.sub("", text)))
    return [command.rstrip("\\ ") for command in (*blocks, *sentences)]


SHOWN = [(page.name, command) for page in PAGES for command in commands_of(page)]


def words_of(command: str) -> list[str]:
    words = shlex.split(re.split(r" \| |; ", command.replace("...", "x"))[0], comments=True)
    # What follows an angle bracket is the shell's.
    return words[: next((i for i, word in enumerate(words) if word in ("<", ">", "|")), None)]


def test_the_command_reference_matches_the_help_texts():
    assert (REPOSITORY / "docs/reference/cli.md").read_text() == reference(), "run `make docs`"


def test_documents_show_commands():
    assert len(SHOWN) > 50


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_a_command_in_a_document_parses(page, command):
    program, *words = words_of(command)
    if program == "make":
        named = {word for word in words if "=" not in word and not word.startswith("-")}
        assert named <= TARGETS | {"TARGET"}
        return
    current: click.Command = cratesort
    context = click.Context(current, info_name="cratesort", **current.context_settings)
    while isinstance(current, click.Group) and words and not words[0].startswith("-"):
        below = current.get_command(context, words[0])
        assert below is not None, f"there is no command {words[0]!r}"
        current, words = below, words[1:]
        context = click.Context(current, parent=context, **current.context_settings)
    # Not run, and the values of arguments are not looked at: they are placeholders.
    current.make_parser(context).parse_args(args=[re.sub(r"[\[\]]", "", word) for word in words])


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_document_exist(page):
    for target, anchor in LINK.findall(BLOCK.sub("", page.read_text())):
        leads_to = (page.parent / target) if target else page
        assert leads_to.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors_of(leads_to), f"{page.name}: {target}#{anchor}"


#: `db.queue.ledger.claim`, `workers/errors.py`: a module, what it defines, or a file of ours.
PACKAGES = ("classifier", "cli", "db", "tasks", "training", "workers")
NAMED = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:[./]\w+)+)`")


def defined(name: str) -> bool:
    """Whether a dotted name or a path is a module, a folder, or a name that a module defines."""
    path = REPOSITORY / name
    if path.exists():
        return True
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        module = REPOSITORY.joinpath(*parts[:end])
        source = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if source.exists():
            rest = parts[end:]
            return not rest or re.search(rf"\b{rest[0]}\b", source.read_text()) is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_named_in_a_document_exist(page):
    text = page.read_text()
    if page.name == "json.md":  # the first column has keys of JSON, such as `training.state`
        text = re.sub(r"^\| `\S+` \|", "|", text, flags=re.MULTILINE)
    assert [name for name in NAMED.findall(text) if not defined(name)] == []


def test_the_architecture_lists_every_sub_package():
    text = (REPOSITORY / "docs" / "explanation" / "architecture.md").read_text()
    inner = [
        f"{package}/{init.parent.name}"
        for package in PACKAGES
        for init in sorted((REPOSITORY / package).glob("*/__init__.py"))
    ]
    assert [name for name in inner if f"`{name}`" not in text] == []


def test_the_glossary_is_in_alphabetical_order_and_names_a_term_once():
    page = (REPOSITORY / "docs" / "reference" / "glossary.md").read_text()
    terms = re.findall(r"^\| ([^|]+) \| [A-Z]", page, re.MULTILINE)
    assert terms == sorted(set(terms), key=str.lower)
