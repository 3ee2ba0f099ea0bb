"""The terminal pictures of the documentation show what the commands print today."""

import re
import socket
from pathlib import Path

import pytest

from docs.pictures.source.diagram import diagram
from docs.pictures.source.scenes import (
    HOMES,
    SHOWN_HOST,
    disguised,
    environment,
    temporary_home,
    words,
)
from docs.pictures.source.terminal import stable, texts
from tests.support.command_line import run_in_process
from tests.support.places import REPOSITORY

PICTURES = REPOSITORY / "docs" / "pictures"


@pytest.mark.parametrize(("fill", "scenes"), HOMES, ids=["samples", "incoming"])
def test_a_picture_shows_what_the_commands_print(fill, scenes, library, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: SHOWN_HOST)
    with temporary_home() as home:
        fill(library, home)
        user = {name: environment(home)[name] for name in ("USER", "LOGNAME")}
        for scene in scenes:
            # When its commands are run again
            results, notes = [], set()
            for command in scene.commands:
                settings = {**user, "COLUMNS": str(scene.columns)}
                done = run_in_process(words(command, home), home, settings)
                results += [f"$ {command}", *lines_of(disguised(done.stdout, home))]
                notes.update(lines_of(disguised(done.stderr, home)))
            # Then the picture shows each line, but for times and versions
            shown = lines_of("\n".join(texts((PICTURES / f"{scene.name}.svg").read_text())))
            how = f"{scene.name}.svg is out of date: `make pictures`"
            assert [line for line in shown if line not in notes] == results, how
            assert notes <= set(shown), how


def lines_of(text):
    return [line.rstrip() for line in stable(text).splitlines() if line.strip()]


def test_the_picture_of_a_fleet_at_work_looks_like_the_status_of_today():
    # It needs a fleet, so only what does not depend on its work is compared
    fixed = ("Batches", "Pace", "Model", "Latest ingests", "Workers")
    watched, status = (
        {re.sub(r"[\d,]+", "N", line) for line in texts((PICTURES / name).read_text())}
        for name in ("watch.svg", "status.svg")
    )
    how = "run `make pictures PART=fleet`"
    assert {line for line in status if line.startswith(fixed)} <= watched, how


@pytest.mark.parametrize(
    "source", sorted(PICTURES.glob("source/*.toml")), ids=lambda path: path.name
)
def test_a_diagram_is_what_its_text_describes(source):
    drawn = PICTURES / f"{source.stem}.svg"
    assert drawn.read_text() == diagram(source), "run `make pictures PART=diagrams`"


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_needs_nothing_from_elsewhere_and_describes_itself(path):
    svg = path.read_text()
    assert set(re.findall(r"https?://[^\"' <]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in svg
    assert not re.search(r"/(tmp|root|private)/", svg), "a path of the machine that made it"
    assert re.search(r"<title>[^<]{20,}</title>", svg)


def test_the_pictures_are_small_and_a_page_shows_and_describes_each():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    shown = re.findall(
        r"!\[([^\]]*)\]\(\S*pictures/([\w.-]+)\)", "".join(map(Path.read_text, pages))
    )
    pictures = [path for path in PICTURES.iterdir() if path.suffix in (".svg", ".png")]
    assert {path.name for path in pictures} == {name for _, name in shown}
    assert all(len(description) > 50 for description, _ in shown)
    assert max(path.stat().st_size for path in pictures) < 300_000
    assert sum(path.stat().st_size for path in pictures) < 2_000_000
