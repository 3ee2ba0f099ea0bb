"""When the database last answered, as two processes see it."""

import subprocess
import sys
import time

import pytest

from tests.support.command_line import clean_environment
from workers.recovery.database_health import DatabaseHealth


@pytest.fixture
def health():
    return DatabaseHealth.create()


def test_it_beats_from_the_beginning(health):
    assert health.is_up


def test_a_supervisor_that_takes_long_to_load_is_no_database_that_is_away(health, monkeypatch):
    # Given a worker that started half a minute ago, on a busy machine
    later = time.monotonic() + 30
    monkeypatch.setattr(time, "monotonic", lambda: later)
    # When its supervisor has not reported yet, then it takes messages
    assert health.is_up


def test_a_supervisor_that_never_reports_is_not_waited_for_without_end(health, monkeypatch):
    later = time.monotonic() + 90
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not health.is_up


def test_it_stops_when_the_database_is_known_to_be_away(health):
    health.report_down()
    assert not health.is_up


def test_it_beats_again_with_the_next_answer(health):
    health.report_down()
    health.report_up()
    assert health.is_up


def test_it_stops_by_itself_when_nobody_writes_any_more(health, monkeypatch):
    # Given a watch that hangs, or is gone, for a minute
    health.report_up()
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    # Then its last answer counts no more
    assert not health.is_up


@pytest.mark.parametrize(("order", "up"), [("report_down", False), ("report_up", True)])
def test_what_another_process_notes_is_seen_here(health, tmp_path, order, up):
    # Given a parent that thinks the contrary
    (health.report_up if up else health.report_down)()
    # When the process that inherited the memory says how it is
    program = (
        "import sys; from workers.recovery.database_health import DatabaseHealth; "
        f"DatabaseHealth(int(sys.argv[1])).{order}()"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(health.fd)],
        env=clean_environment(tmp_path, {}),
        pass_fds=[health.fd],
        check=True,
    )
    # Then the parent sees it
    assert health.is_up is up
