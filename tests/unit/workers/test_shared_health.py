"""What answers a worker, as its processes see it."""

import subprocess
import sys
import time

import pytest

from tests.support.command_line import clean_environment
from workers.recovery.shared_health import SharedHealth


@pytest.fixture
def shared():
    return SharedHealth.create(["packs"])


@pytest.fixture
def health(shared):
    return shared.database


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


def test_what_is_held_is_away_though_it_answers(shared, monkeypatch):
    packs = shared.roots["packs"]
    packs.report_down_for(10)
    packs.report_up()
    assert not packs.is_up
    assert shared.database.is_up
    later = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert packs.is_up


@pytest.mark.parametrize(("order", "up"), [("report_down", False), ("report_up", True)])
def test_what_another_process_notes_is_seen_here(shared, tmp_path, order, up):
    # Given a parent that thinks the contrary
    packs = shared.roots["packs"]
    (packs.report_down if up else packs.report_up)()
    # When the process that inherited the memory says how it is
    program = (
        "import sys; from workers.recovery.shared_health import SharedHealth; "
        f"SharedHealth(int(sys.argv[1]), ['packs']).roots['packs'].{order}()"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(shared.fd)],
        env=clean_environment(tmp_path, {}),
        pass_fds=[shared.fd],
        check=True,
    )
    # Then the parent sees it
    assert packs.is_up is up
