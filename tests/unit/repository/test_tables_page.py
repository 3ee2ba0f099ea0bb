"""docs/reference/tables.md has each table and column with its type."""

import re

import pytest
from sqlalchemy import JSON, Boolean, DateTime, Float, Integer, LargeBinary, String

from db.tables import metadata
from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "tables.md").read_text()

STATED = {
    name: re.findall(r"^\| `(\w+)` \| ([a-z ]+) \| \S.* \|$", section, re.MULTILINE)
    for name, _, section in (part.partition("\n") for part in PAGE.split("\n## ")[1:])
}

TYPES = {
    Boolean: "boolean",
    DateTime: "time",
    Float: "number",
    Integer: "integer",
    JSON: "json",
    LargeBinary: "bytes",
    String: "text",
}


def type_of(column):
    (kind,) = [name for sort, name in TYPES.items() if isinstance(column.type, sort)]
    return f"{kind} or null" if column.nullable else kind


def test_it_has_every_table_and_no_other():
    assert sorted(STATED) == sorted(metadata.tables)


@pytest.mark.parametrize("name", metadata.tables)
def test_a_table_has_the_columns_of_the_code(name):
    columns = metadata.tables[name].columns
    assert STATED[name] == [(column.name, type_of(column)) for column in columns]
