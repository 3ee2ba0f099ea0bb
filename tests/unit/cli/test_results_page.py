"""docs/reference/results.md has the columns in their order, and the values some can have."""

import re

from classifier.model.evidence import Evidence
from classifier.names.attributes import Source
from cli.results import COLUMNS
from tests.support.json_page import keys_of
from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "results.md").read_text()


def rows_of(heading):
    """What the first two cells of each row of a section's table say."""
    section = PAGE.partition(f"{heading}\n")[2].partition("\n## ")[0]
    table = re.search(r"^\|.*?\n\n", section, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(\S+)` \| ([^|]+) \|", table[0], re.MULTILINE)


def test_it_has_every_column_in_order():
    assert tuple(column for column, _ in rows_of("# Columns of the results")) == COLUMNS


def test_the_types_are_those_of_the_json():
    keys = keys_of("cratesort results")
    for column, kind in rows_of("# Columns of the results"):
        assert keys[column].removesuffix(" or null").partition(" of ")[0] == kind


def test_every_kind_of_evidence_is_explained():
    assert {value for value, _ in rows_of("## Evidence")} == set(Evidence)


def test_every_source_is_explained():
    heading = "## Sources of tempo, key, playback and instrument"
    assert {value for value, _ in rows_of(heading)} == set(Source)
