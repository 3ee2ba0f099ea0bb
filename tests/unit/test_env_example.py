"""``.env.example`` and the code: the same settings, and the same defaults."""

import re

import pytest

from tests.processes import REPOSITORY
from workers.settings import PREFIX, Settings, load_settings

#: "#CRATESORT_BATCH_SIZE=256": commented out, with the default it would have.
SETTING = re.compile(r"^#(CRATESORT_[A-Z_]+)=(.*)$", re.MULTILINE)

EXAMPLE = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
STATED = dict(SETTING.findall(EXAMPLE))
KNOWN = {PREFIX + name.upper(): name for name in Settings.model_fields}


def test_the_example_lists_every_setting_and_no_other():
    assert set(STATED) == set(KNOWN)


def test_every_setting_is_listed_once():
    assert len(SETTING.findall(EXAMPLE)) == len(STATED)


def test_every_setting_has_an_explanation_above_it():
    lines = EXAMPLE.splitlines()
    for number, line in enumerate(lines):
        if SETTING.match(line):
            assert lines[number - 1].startswith("# "), line


@pytest.mark.parametrize("variable", STATED)
def test_the_default_it_states_is_the_codes(variable, monkeypatch):
    default = load_settings()
    # When the line is taken out of its comment
    monkeypatch.setenv(variable, STATED[variable])
    # Then nothing changes
    assert load_settings() == default


def test_copied_as_it_is_it_changes_nothing(tmp_path):
    default = load_settings()
    (tmp_path / ".env").write_text(EXAMPLE, encoding="utf-8")
    assert load_settings() == default


@pytest.mark.parametrize("variable", [name for name, value in STATED.items() if not value])
def test_a_setting_without_a_stated_default_has_none(variable):
    field = Settings.model_fields[KNOWN[variable]]
    assert field.default is None or field.default_factory is not None
