"""Beat: it sends sweeps, and a second one beside it does no harm."""

import subprocess
import sys
from contextlib import ExitStack

import pytest
import redis

from tasks.sweep import sweep
from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import wait_until


@pytest.fixture
def start_beat(tmp_path, fleet):
    """Start a beat that sweeps five times a second; all share one home."""
    settings = {**fleet, "CRATESORT_SWEEP_SECONDS": "0.2"}
    with ExitStack() as stack:

        def start(name):
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            beat = subprocess.Popen(
                [sys.executable, "-m", "cli", "beat"],
                cwd=tmp_path,
                env=clean_environment(tmp_path, settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(beat.wait, 30)
            stack.callback(beat.terminate)
            return beat

        yield start


def test_two_beats_on_one_host_both_keep_sending(start_beat, tmp_path, fleet):
    # Given one beat at work
    def sent(name):
        return (tmp_path / f"{name}.log").read_text().count("sent the task sweep")

    events = redis.Redis.from_url(fleet["CRATESORT_BROKER_URL"]).pubsub()
    events.psubscribe("*celeryev*")
    beats = [start_beat("first")]
    wait_until(lambda: sent("first") > 0, "the first beat sends")

    # When a second one starts beside it
    beats.append(start_beat("second"))
    wait_until(lambda: sent("second") > 0, "the second beat sends")

    # Then both go on
    before = sent("first")
    wait_until(lambda: sent("first") > before + 2, "the first beat goes on")
    assert [beat.poll() for beat in beats] == [None, None]
    # And Flower hears of none: sweeps would soon be all that it remembers
    assert events.get_message(timeout=1)["type"] == "psubscribe"
    assert events.get_message() is None
    assert not sweep.send_events
    events.close()
