"""The same work handed in twice, swept twice, scheduled twice: every file still has its one row."""

import subprocess
import sys
from contextlib import ExitStack

from tests.support.command_line import clean_environment
from tests.support.fleet import on_both_databases
from tests.support.servers.lifecycle import wait_until

SWEEP = """
import time
from db.engine import create_engine
from workers.celery_ext.app import build_app
from workers.recovery.ledger_sweep import sweep
from workers.settings import load_settings
settings = load_settings()
app, database = build_app(settings), create_engine(settings.database)
while True:
    sweep(app, database, settings)
    time.sleep(0.02)
"""


def process(stack, fleet, folder, *arguments):
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=clean_environment(folder, fleet.settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    )
    stack.callback(process.kill)
    return process


def test_a_library_ingested_twice_at_once_has_one_row_per_file(fleet):
    """Without the upsert, the second copy of a sound is a second row or an error."""
    fleet.add(count=12)
    fleet.submit()
    fleet.submit()
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


@on_both_databases
def test_two_frequent_sweepers_do_no_harm(fleet, tmp_path):
    """Without SKIP LOCKED (SQLite: one writer), two sweeps return a batch twice."""
    fleet.add("abort.wav", "gate.wav", count=30)
    fleet.shut_gate()
    fleet.submit()
    with ExitStack() as stack, fleet.worker():
        sweepers = [process(stack, fleet, tmp_path, "-c", SWEEP) for _ in range(2)]
        wait_until(lambda: len(fleet.outcomes()) > 20, "much of it is done", 60)
        fleet.open_gate()
        fleet.wait_until_done()
        assert [sweeper.poll() for sweeper in sweepers] == [None, None]
    fleet.assert_nothing_is_lost(failed={"abort.wav": "crashed_reader"})


def test_two_beats_do_no_harm(fleet, tmp_path):
    """Without a scheduler in memory, two beats destroy each other's schedule file and end."""
    fleet.add(count=12)
    with ExitStack() as stack, fleet.worker():
        beats = [process(stack, fleet, tmp_path, "-m", "cli", "beat") for _ in range(2)]
        fleet.submit()
        fleet.wait_until_done()
        assert [beat.poll() for beat in beats] == [None, None]
    fleet.assert_nothing_is_lost()
