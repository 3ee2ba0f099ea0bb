"""When the database last answered, as two processes see it."""

import subprocess
import sys
import time

import pytest

from tests.support.command_line import clean_environment
from workers.recovery.database_health import Pulse


@pytest.fixture
def pulse():
    return Pulse.create()


def test_it_beats_from_the_beginning(pulse):
    assert pulse.is_beating


def test_it_stops_when_the_database_is_known_to_be_away(pulse):
    pulse.stop()
    assert not pulse.is_beating


def test_it_beats_again_with_the_next_answer(pulse):
    pulse.stop()
    pulse.beat()
    assert pulse.is_beating


def test_it_stops_by_itself_when_nobody_writes_any_more(pulse, monkeypatch):
    # Given a watch that hangs, or is gone, for a minute
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    # Then its last answer counts no more
    assert not pulse.is_beating


@pytest.mark.parametrize(("order", "beats"), [("stop", False), ("beat", True)])
def test_what_another_process_notes_is_seen_here(pulse, tmp_path, order, beats):
    # Given a parent that thinks the contrary
    (pulse.stop if beats else pulse.beat)()
    # When the process that inherited the memory says how it is
    program = (
        "import sys; from workers.recovery.database_health import Pulse; "
        f"Pulse(int(sys.argv[1])).{order}()"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(pulse.fd)],
        env=clean_environment(tmp_path, {}),
        pass_fds=[pulse.fd],
        check=True,
    )
    # Then the parent sees it
    assert pulse.is_beating is beats
