"""``cratesort status --json``: its keys are those that the documents name."""

import re
from dataclasses import fields

from cli.status.snapshot import (
    InboxStatus,
    IngestStatus,
    RootStatus,
    SoundsStatus,
    Status,
    TrainingStatus,
)
from db.reporting.throughput import HostAtWork
from tests.support.places import REPOSITORY

PARTS = {
    "": Status,
    "sounds": SoundsStatus,
    "roots": RootStatus,
    "workers": HostAtWork,
    "ingests": IngestStatus,
    "training": TrainingStatus,
    "inbox": InboxStatus,
}


def documented():
    """The part and the key of each key in the table."""
    section = (REPOSITORY / "docs/reference/status-json.md").read_text()
    for part, keys in re.findall(r"^\| ?(?:`(\w+)`)? \| (`.*?`) \|", section, re.MULTILINE):
        yield from ((part, key) for key in re.findall(r"`(\w+)`", keys))


def test_every_key_is_documented_and_no_other():
    expected = {(name, field.name) for name, part in PARTS.items() for field in fields(part)}
    assert set(documented()) == expected
