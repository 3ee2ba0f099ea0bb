"""A log is read by programs and by people, and a file's name can harm neither."""

import json
import logging
import os
import sys

import pytest

from workers.logging_setup import FIELDS, set_up_logging

FORGED = "kick\n2026-01-01T00:00:00.000Z ERROR all is lost\x1b[2J\u2028.wav"


@pytest.fixture
def logged(capsys):
    """What reaches standard error of one record, line by line."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    streams = sys.stderr, sys.__stderr__
    unheard = logging.lastResort

    def log(log_format, *args, **kwargs):
        set_up_logging("INFO", log_format)
        logging.getLogger("cratesort.test").warning(*args, **kwargs)
        return capsys.readouterr().err.splitlines()

    yield log
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    sys.stderr, sys.__stderr__ = streams
    logging.lastResort = unheard


def test_json_logs_have_one_object_per_line(logged):
    (line,) = logged("json", "batch %d: %s", 7, "done", extra={"batch": 7, "headers_seconds": 0.5})
    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record.pop("worker").endswith(f":{os.getpid()}")
    assert record == {
        "level": "WARNING",
        "message": "batch 7: done",
        "logger": "cratesort.test",
        "batch": 7,
        "headers_seconds": 0.5,
    }


def test_a_message_decoded_from_json_has_no_control_characters(logged):
    (line,) = logged("json", "%s", FORGED)
    assert json.loads(line)["message"].isprintable()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_control_characters_of_a_name_are_escaped_in_the_log(logged, log_format):
    (line,) = logged(log_format, "%s", FORGED)
    assert line.isprintable()


def test_a_traceback_is_a_field_of_its_json_record(logged):
    try:
        raise ValueError(FORGED)
    except ValueError:
        (line,) = logged("json", "it failed", exc_info=True)
    assert "ValueError" in json.loads(line)["exception"]


def test_without_a_terminal_the_log_is_json(logged):
    (line,) = logged("auto", "x")
    assert json.loads(line)["message"] == "x"


def test_no_field_overrides_a_field_of_logging(logged):
    record = logging.makeLogRecord({})
    assert [name for name in FIELDS if hasattr(record, name)] == []


def test_output_printed_by_a_library_becomes_a_record(logged, capsys):
    logged("json", "set up")
    # When something is printed, in two parts, and a logger is used that has no handler
    print("something ", end="", file=sys.__stderr__)
    sys.stderr.write("is odd\n\nin a library\n")
    apart = logging.getLogger("kept.apart")
    apart.propagate = False
    apart.error("a process ended")
    # Then each line is an object
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    assert [record["message"] for record in lines] == [
        "something is odd",
        "in a library",
        "a process ended",
    ]
