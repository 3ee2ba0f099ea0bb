"""`.env.example` and the settings in the code say the same; compose's own are no settings."""

import re

import pytest
from pydantic_core import PydanticUndefined

from tests.support.places import REPOSITORY
from workers.settings import PREFIX, Settings, load_settings

#: What each line that sets something says, by field name.
STATED = {
    name.removeprefix(PREFIX).lower(): value
    for name, value in re.findall(
        rf"^#?({PREFIX}\w+)=(.*)$", (REPOSITORY / ".env.example").read_text(), re.MULTILINE
    )
}

#: The fields whose default is a value and can be stated as one: not unset, not this machine's.
CONSTANT = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if field.default is not None and field.default is not PydanticUndefined
}


def test_env_example_lists_every_setting_in_the_order_of_the_code():
    assert list(STATED) == list(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_defaults_in_env_example_match_the_code(name):
    default = CONSTANT.get(name)
    stated = STATED[name]
    if default is None:
        assert stated == ""
    else:
        assert type(default)(stated) == default


def test_every_setting_is_explained_on_the_line_above():
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    unexplained = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if line.startswith(f"#{PREFIX}") and not above.startswith("# ")
    ]
    assert unexplained == []


def test_uncommenting_env_example_changes_no_setting(tmp_path):
    defaults = load_settings()
    text = (REPOSITORY / ".env.example").read_text()
    (tmp_path / ".env").write_text(re.sub(rf"^#({PREFIX})", r"\1", text, flags=re.MULTILINE))
    assert load_settings() == defaults


def test_a_value_filled_in_env_example_is_read(tmp_path):
    text = (REPOSITORY / ".env.example").read_text()
    filled = text.replace(f"#{PREFIX}BATCH_SIZE=2048", f"{PREFIX}BATCH_SIZE=7")
    (tmp_path / ".env").write_text(filled)
    assert load_settings().batch_size == 7
