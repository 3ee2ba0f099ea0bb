"""docs/reference/settings.md has each setting with its default and the values it takes."""

import re
from typing import Any, get_args

import pytest
from pydantic_core import PydanticUndefined

from tests.support.places import REPOSITORY
from workers.settings import PREFIX, Settings

PAGE = (REPOSITORY / "docs" / "reference" / "settings.md").read_text()

ROWS = {
    name.removeprefix(PREFIX).lower(): (default.strip("`"), values)
    for name, default, values in re.findall(
        rf"^\| `({PREFIX}\w+)` \| ([^|]+) \| ([^|]+) \| \S", PAGE, re.MULTILINE
    )
}

#: What their numbers count, by the end of the name.
UNITS = {
    "_seconds": " seconds",
    "_mebibytes": " MiB",
    "_batches": " batches",
    "batch_size": " sounds",
    "_labels": " labels",
}


def stated_default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def stated_range(name: str, limits: dict[str, Any]) -> str:
    unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
    lowest = f"{limits['ge']:,} to" if "ge" in limits else "up to"
    return f"{lowest} {limits['le']:,}{unit}"


def test_it_has_every_setting_in_the_codes_order_and_no_other():
    assert list(ROWS) == list(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_default_is_the_codes(name):
    default = Settings.model_fields[name].get_default()
    if default in (None, (), PydanticUndefined):
        assert ROWS[name][0] == ("data folder of the user" if name == "data_folder" else "unset")
    else:
        assert ROWS[name][0] == stated_default(default)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_values_are_those_that_the_code_accepts(name):
    field = Settings.model_fields[name]
    limits = {
        limit: getattr(part, limit)
        for part in field.metadata
        for limit in ("ge", "le")
        if hasattr(part, limit)
    }
    if limits:
        assert ROWS[name][1] == stated_range(name, limits)
    elif field.annotation is bool:
        assert ROWS[name][1] == "`true`, `false`"
    elif all(isinstance(choice, str) for choice in get_args(field.annotation)):
        choices = get_args(field.annotation)
        assert not choices or ROWS[name][1] == ", ".join(f"`{choice}`" for choice in choices)


def test_the_variables_of_compose_are_those_of_the_example():
    example = (REPOSITORY / ".env.example").read_text()
    named = re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE)
    expected = {name: value for name, value in named if not name.startswith(PREFIX)}
    rows = re.findall(r"^\| `(?!CRATESORT_)([A-Z_]+)` \| ([^|]+) \| \S", PAGE, re.MULTILINE)
    stated = {name: default.strip("`").replace("required", "") for name, default in rows}
    assert stated == expected | {"INBOX_PASSWORD": "unset"}
