"""What a worker believes of a message: its form, its time limit, its version."""

import json
import logging

import pytest
from kombu.message import Message

from tasks.classify import classify
from workers.celery_ext.dispatch import MESSAGE_VERSION
from workers.celery_ext.message_validation import LimitedRequest, fault_of


def message(payload=((), {}, {}), **headers):
    return Message(
        body=json.dumps(payload),
        headers={"id": "batch-1-abc", "task": "tasks.classify", **headers},
        content_type="application/json",
        content_encoding="utf-8",
        accept={"application/json"},
    )


def test_a_message_of_our_own_is_taken():
    assert fault_of(message(), None) is None


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
def test_a_message_cannot_name_tasks_to_run_after_it(name):
    payload = [[], {}, {name: [{"task": "tasks.sweep"}]}]
    assert fault_of(message(payload), None) == "it names tasks to call afterwards"


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({"id": {}}, "its id is not text"),
        ({"eta": "2999-01-01T00:00:00+00:00"}, "it asks for a later time"),
        ({"expires": 0}, "its expiry is not a time"),
        ({"stamps": {"a": 1}}, "it carries stamps"),
    ],
)
def test_a_header_that_asks_too_much_is_a_fault(headers, fault):
    assert fault_of(message(**headers), None).startswith(fault)


@pytest.mark.parametrize("payload", [None, 5, [1, 2], ["x", {}, {}], [[], [], {}]])
def test_a_body_of_another_form_is_a_fault(payload):
    assert fault_of(message(payload), None).startswith(("its body is", "its arguments are"))


def test_a_message_cannot_set_its_own_time_limit():
    request = LimitedRequest(message(timelimit=[3600, 3600]), app=classify.app, task=classify)
    assert request.time_limits == (None, None)


@pytest.mark.parametrize("version", [MESSAGE_VERSION + 1, 0])
def test_a_message_of_an_unknown_version_is_left_for_another_worker(version, caplog, monkeypatch):
    # Given a process that could do nothing: its settings are wrong
    monkeypatch.setenv("CRATESORT_BATCH_SIZE", "none")

    # When it is given a message of another version
    with caplog.at_level(logging.WARNING):
        classify(version, 7, "library", ["a.wav"])

    # Then it says so, and does not try
    assert f"batch 7: message version {version} is not known here" in caplog.text
