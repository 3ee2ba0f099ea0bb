"""The pages that need no server, followed: each command prints what its page shows.

`python -m tests.support.sessions PAGE...` writes what they print now into pages.
"""

import shutil

import pytest

from tests.support.places import REPOSITORY
from tests.support.sessions import BLOCK, Shell, example_home, ingest_samples, matches, steps_in

DOCS = REPOSITORY / "docs"
HOW_TO = DOCS / "how-to"

TUTORIAL = DOCS / "tutorials" / "one-machine.md"

#: Pages that need a fleet, a service manager or a training are followed by hand.
PAGES = (
    "back-up-and-restore",
    "classify-a-table",
    "correct-a-folder",
    "exclude-files",
    "explain-one-answer",
    "export-results",
    "forget-gone-files",
    "import-labels",
    "label-sounds",
    "read-an-error-code",
    "reclassify",
    "rename-or-move-a-pack",
    "review-doubtful-sounds",
    "use-in-a-script",
)


@pytest.fixture(scope="module")
def home(library):
    """A home with the example library, ingested; as long as one test changes it at a time."""
    with example_home(library) as home:
        ingest_samples(home)
        yield home


@pytest.fixture
def shell(home, tmp_path):
    """A shell in that home, which is afterwards as it was before."""
    saved = tmp_path / "saved"
    shutil.copytree(home, saved, symlinks=True)
    yield Shell(home)
    for entry in home.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(saved, home, symlinks=True, dirs_exist_ok=True)


@pytest.mark.parametrize("page", PAGES)
def test_each_command_prints_what_the_page_shows(shell, page):
    steps = steps_in((HOW_TO / f"{page}.md").read_text())
    assert steps
    for step in steps:
        printed = shell.run(step.command)
        assert matches(step.shown, printed), "\n".join([*step.typed, *printed])


def test_the_tutorial_prints_what_it_shows(shell):
    for step in steps_in(TUTORIAL.read_text()):
        printed = shell.run(step.command)
        assert matches(step.shown, printed), "\n".join([*step.typed, *printed])


def test_no_session_is_left_out():
    followed = {page for page in PAGES if BLOCK.search((HOW_TO / f"{page}.md").read_text())}
    assert followed == set(PAGES)


@pytest.mark.parametrize("page", sorted(HOW_TO.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_is_short_and_its_lines_too(page):
    lines = page.read_text().splitlines()
    # A row of a table, and the description of a picture, cannot be broken.
    assert [
        line for line in lines if len(line) > 110 and not line.lstrip().startswith(("|", "!["))
    ] == []
    if page.stem not in ("runbook"):
        assert len(lines) <= 120
