"""A training run that is killed, stopped, or left without its database, at any stage."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from sqlalchemy import func, select, update

from db.dialects import now
from db.engine import create_engine, reading
from db.registry import bundles, training_runs
from db.registry.training_runs import HEARTBEAT_STOPPED
from db.states import RunState, RunTrigger
from db.tables import models, promotions
from db.tables import training_runs as table
from tests.support.command_line import clean_environment
from tests.support.held_training import STAGES, VERSION, held_work
from tests.support.servers.lifecycle import wait_until
from training.errors import RunNotOpenedError
from training.runs.run import perform


class Runs:
    """Training runs as processes, and what they leave in their database."""

    def __init__(self, url, folder, stack):
        self.engine = create_engine(url)
        self._url, self._folder, self._stack = url, folder, stack

    def start(self, stay_at=None, lease_seconds=60):
        """Start a run; return it when it has reached the stage at which it is to stay."""
        for stage in STAGES:
            (self._folder / stage).unlink(missing_ok=True)
        if stay_at:
            (self._folder / f"stay-{stay_at}").touch()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.held_training", self._url, self._folder,
             str(lease_seconds)],
            cwd=self._folder,
            env=clean_environment(self._folder, {}),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        if stay_at:
            wait_until((self._folder / stay_at).exists, f"the run is at {stay_at}")
        return process

    def go_on(self, stage):
        (self._folder / f"stay-{stage}").unlink(missing_ok=True)

    def latest(self):
        with reading(self.engine) as connection:
            return training_runs.latest(connection)

    def published(self):
        """How many models and promotions there are, and which model serves."""
        with reading(self.engine) as connection:
            return (
                *(
                    connection.execute(select(func.count()).select_from(one)).scalar_one()
                    for one in (models, promotions)
                ),
                bundles.champion_version(connection),
            )

    def end_the_lease(self):
        with self.engine.begin() as connection:
            connection.execute(update(table).values(lease_expires_at=now(-1)))

    def perform(self):
        """Have a whole run in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundles, "promote", bundles.promote)  # `held_work` replaces it
            perform(
                self.engine,
                held_work(str(self._folder), VERSION),
                trigger=RunTrigger.HAND,
                slot=None,
                seed=0,
                lease_seconds=60,
                time_limit_seconds=3600,
            )

    def assert_that_the_next_one_succeeds(self):
        self.perform()
        assert self.latest().state == RunState.DONE
        assert self.published() == (1, 1, VERSION)


@pytest.fixture
def runs(fleet_database_url, tmp_path):
    with ExitStack() as stack:
        runs = Runs(fleet_database_url, tmp_path, stack)
        stack.callback(runs.engine.dispose)
        yield runs


NOTHING = (0, 0, None)


@pytest.mark.parametrize(
    ("fleet_database_url", "stage"),
    # SQLite too, where what was killed leaves the half of a transaction in a file
    [*(("postgres", stage) for stage in STAGES), ("sqlite", "writing")],
    indirect=["fleet_database_url"],
)
def test_killed_at_any_stage_it_publishes_nothing_and_the_next_run_closes_it(runs, stage):
    """Without one transaction at the end, a model without a verdict stays."""
    # Given a run that is killed
    killed = runs.start(stay_at=stage)
    killed.kill()
    killed.wait()
    runs.go_on(stage)

    # Then nothing of it is there but its row, and while its lease holds there is no other
    assert runs.published() == NOTHING
    assert runs.latest().state == RunState.RUNNING
    with pytest.raises(RunNotOpenedError):
        runs.perform()

    # When the lease has ended, then the next one closes it and succeeds
    number = runs.latest().id
    runs.end_the_lease()
    runs.assert_that_the_next_one_succeeds()
    with reading(runs.engine) as connection:
        closed = training_runs.get(connection, number)
    assert (closed.state, closed.reason) == (RunState.FAILED, HEARTBEAT_STOPPED)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGTERM, "interrupted: the process received a stop signal"),
        (signal.SIGINT, "interrupted with Ctrl-C"),
    ],
)
def test_stopped_at_any_stage_it_closes_its_row_and_publishes_nothing(runs, stage, number, reason):
    """Without the handler, the row counts as running until its lease ends."""
    stopped = runs.start(stay_at=stage)
    stopped.send_signal(number)
    assert stopped.wait(60) != 0
    runs.go_on(stage)
    assert (runs.latest().state, runs.latest().reason) == (RunState.FAILED, reason)
    assert runs.published() == NOTHING
    runs.assert_that_the_next_one_succeeds()


def test_a_run_whose_lease_expired_while_it_was_stopped_writes_nothing(runs):
    """Without the lease check at the end, the sleeper's model replaces the later one."""
    # Given a run whose process is stopped until another was begun and ended in its place
    sleeper = runs.start(stay_at="ending")
    os.kill(sleeper.pid, signal.SIGSTOP)
    runs.end_the_lease()
    runs.go_on("ending")
    runs.assert_that_the_next_one_succeeds()
    before = runs.latest(), runs.published()

    # When it continues, then it detects that and changes nothing
    os.kill(sleeper.pid, signal.SIGCONT)
    assert sleeper.wait(60) == 9
    assert "LeaseLostError" in sleeper.stderr.read()
    assert (runs.latest(), runs.published()) == before


@pytest.mark.parametrize("stage", ["computing", "ending"])
def test_a_run_survives_a_short_database_outage(runs, postgres_server, stage):
    """Without the retry, hours of training are lost to a restart of the database."""
    run = runs.start(stay_at=stage)
    postgres_server.stop()
    try:
        runs.go_on(stage)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(2)  # it tries again and again
    finally:
        postgres_server.start()
    assert run.wait(60) == 0
    assert runs.published() == (1, 1, VERSION)


@pytest.mark.parametrize(("fault", "repair"), [("stop", "start"), ("freeze", "thaw")])
def test_without_the_database_for_longer_than_its_lease_a_run_ends(
    runs, postgres_server, fault, repair
):
    """Without its own look at the lease, it would try forever, beside its successor."""
    run = runs.start(stay_at="computing", lease_seconds=5)
    getattr(postgres_server, fault)()
    try:
        time.sleep(6)  # longer than the lease
        runs.go_on("computing")
        assert run.wait(60) == 9
        assert "DatabaseUnreachableError" in run.stderr.read()
    finally:
        getattr(postgres_server, repair)()
    assert runs.published() == NOTHING
    runs.end_the_lease()
    runs.assert_that_the_next_one_succeeds()
