"""``cratesort status --json``: its keys are those that the documents name."""

from dataclasses import fields

from cli.status.snapshot import (
    InboxStatus,
    IngestStatus,
    RootStatus,
    SoundsStatus,
    Status,
    TrainingStatus,
)
from db.reporting.throughput import HostActivity
from db.states import BatchState
from tests.support.json_page import keys_of

PARTS = {
    "": Status,
    "sounds.": SoundsStatus,
    "roots[].": RootStatus,
    "workers.HOST.": HostActivity,
    "ingests[].": IngestStatus,
    "training.": TrainingStatus,
    "inbox.": InboxStatus,
}

COUNTS = {
    *(f"batches.{state}" for state in BatchState),
    "workers.HOST",
    "categories.CATEGORY",
    "labelled.CATEGORY",
    "errors.CODE",
}


def test_every_key_is_documented_and_no_other():
    expected = {f"{name}{field.name}" for name, part in PARTS.items() for field in fields(part)}
    assert set(keys_of("cratesort status")) == expected | COUNTS
