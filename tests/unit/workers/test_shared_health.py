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


def test_services_count_as_up_at_the_start(health):
    assert health.is_up


def test_a_slow_start_of_the_supervisor_is_not_a_database_outage(health, monkeypatch):
    # Given a worker that started half a minute ago, on a busy machine
    later = time.monotonic() + 30
    monkeypatch.setattr(time, "monotonic", lambda: later)
    # When its supervisor has not reported yet, then it takes messages
    assert health.is_up


def test_a_supervisor_that_never_reports_counts_as_down_after_a_while(health, monkeypatch):
    later = time.monotonic() + 90
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not health.is_up


def test_a_reported_outage_is_down(health):
    health.report_down()
    assert not health.is_up


def test_a_reported_recovery_is_up(health):
    health.report_down()
    health.report_up()
    assert health.is_up


def test_without_reports_a_service_becomes_down(health, monkeypatch):
    # Given a supervisor that hangs, or has died, for a minute
    health.report_up()
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    # Then its last answer counts no more
    assert not health.is_up


def test_a_held_root_is_down_although_it_responds(shared, monkeypatch):
    packs = shared.roots["packs"]
    packs.report_down_for(10)
    packs.report_up()
    assert not packs.is_up
    assert shared.database.is_up
    later = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert packs.is_up


@pytest.mark.parametrize(("order", "up"), [("report_down", False), ("report_up", True)])
def test_a_report_of_another_process_is_visible(shared, tmp_path, order, up):
    # Given a parent that thinks the contrary
    packs = shared.roots["packs"]
    (packs.report_down if up else packs.report_up)()
    # When a process that inherited the memory reports a state
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
