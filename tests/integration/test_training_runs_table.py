"""The table of training runs: one at a time, under a lease, each closed once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from db.dialects import now
from db.registry import bundles, training_runs
from db.registry.training_runs import HEARTBEAT_STOPPED, NotOpened, OpenRun
from db.states import RunState, RunTrigger, RunVerdict
from db.tables import training_runs as table
from tests.support.databases import connected

NOTHING = {"slot": None, "trigger": RunTrigger.HAND, "holder": "h:1", "seed": 3, "libraries": {}}

RESULT = {
    "verdict": RunVerdict.KEPT,
    "reason": "no better",
    "model_version": "v1",
    "sizes": {"labelled": 7},
    "metrics": {"macro_f1": 0.5},
    "report": b"html",
    "last_label_id": 41,
}


@pytest.fixture
def open_run(take):
    def open_run(lease_seconds=60, **changed):
        return take(
            training_runs.open_run, **{**NOTHING, "lease_seconds": lease_seconds, **changed}
        )

    return open_run


@pytest.fixture
def latest(take):
    return lambda: take(training_runs.latest)


def test_a_new_run_is_running_and_has_its_parameters(open_run, latest):
    opened = open_run(slot="monday", trigger=RunTrigger.SCHEDULE, libraries={"numpy": "2"})
    run = latest()
    assert (run.id, run.state, run.lease_expired) == (opened.id, RunState.RUNNING, False)
    assert (run.slot, run.trigger, run.holder, run.seed) == ("monday", "schedule", "h:1", 3)
    assert (run.libraries, run.champion, run.verdict) == ({"numpy": "2"}, None, None)


def test_a_run_has_the_model_in_use_when_it_began(open_run, take):
    take(bundles.store, version="v0", bundle=b"", metrics={})
    take(bundles.promote, "v0")
    assert open_run().champion == "v0"


def test_a_second_run_cannot_start_while_one_is_running(open_run):
    open_run()
    assert open_run() == NotOpened.RUNNING
    assert open_run(slot="monday") == NotOpened.RUNNING


def test_a_constraint_prevents_a_second_running_run(open_run, database):
    open_run()
    second = insert(table).values(
        trigger="hand", state="running", token="t", holder="h", lease_expires_at=now(), seed=0,
        libraries={}, started_at=now(),
    )  # fmt: skip
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(second)


@pytest.mark.parametrize("close", ["done", "failed"])
def test_a_schedule_slot_has_one_run_whatever_its_outcome(open_run, take, close):
    run = open_run(slot="monday")
    if close == "done":
        take(training_runs.close_done, run.id, run.token, **RESULT)
    else:
        take(training_runs.close_failed, run.id, run.token, reason="a fault")
    assert open_run(slot="monday") == NotOpened.SLOT_USED
    assert isinstance(open_run(slot="tuesday"), OpenRun)


@pytest.mark.parametrize("slots", [(None, None), ("monday", "monday"), ("monday", "tuesday")])
def test_of_two_runs_opened_at_once_one_is(database_url, database, slots):
    start = threading.Barrier(2)

    def open_run(slot):
        with connected(database_url) as engine, engine.connect() as connection:
            start.wait()
            with connection.begin():
                return training_runs.open_run(
                    connection, **{**NOTHING, "slot": slot}, lease_seconds=60
                )

    for _ in range(10):
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(open_run, slots))
        opened = [answer for answer in answers if isinstance(answer, OpenRun)]
        assert len(opened) == 1, answers
        with database.begin() as connection:
            connection.execute(table.delete())


def test_a_heartbeat_records_the_stage_and_renews_the_lease(open_run, take, latest):
    run = open_run(lease_seconds=-1)
    assert latest().lease_expired
    assert take(training_runs.heartbeat, run.id, run.token, lease_seconds=60, stage="fold: 1 of 5")
    assert (latest().stage, latest().lease_expired) == ("fold: 1 of 5", False)


def test_a_run_whose_lease_expired_is_closed_and_the_next_one_starts(open_run, latest, take):
    first = open_run(lease_seconds=-1)
    second = open_run()
    assert isinstance(second, OpenRun)
    closed = take(training_runs.get, first.id)
    assert (closed.state, closed.reason) == (RunState.FAILED, HEARTBEAT_STOPPED)
    assert closed.finished_at is not None
    assert latest().id == second.id


def test_a_sweep_closes_only_expired_runs(open_run, take, latest):
    open_run(lease_seconds=60)
    assert take(training_runs.close_expired) == []
    assert latest().state == RunState.RUNNING


def test_a_closed_run_can_change_nothing(open_run, take, latest):
    run = open_run(lease_seconds=-1)
    assert take(training_runs.close_expired) == [run.id]
    before = latest()
    assert not take(training_runs.heartbeat, run.id, run.token, lease_seconds=60, stage="late")
    assert not take(training_runs.close_done, run.id, run.token, **RESULT)
    assert not take(training_runs.close_failed, run.id, run.token, reason="late")
    assert not take(training_runs.was_completed_by, run.id, run.token)
    assert latest() == before


def test_another_token_does_nothing(open_run, take, latest):
    run = open_run()
    assert not take(training_runs.close_done, run.id, "another", **RESULT)
    assert latest().state == RunState.RUNNING


def test_a_finished_run_keeps_its_results(open_run, take, latest):
    run = open_run()
    assert take(training_runs.close_done, run.id, run.token, **RESULT)
    row = latest()
    assert (row.state, row.verdict, row.reason) == (RunState.DONE, RunVerdict.KEPT, "no better")
    assert (row.sizes, row.metrics) == ({"labelled": 7}, {"macro_f1": 0.5})
    assert (row.model_version, row.last_label_id) == ("v1", 41)
    assert take(training_runs.report_of, "v1") == b"html"


def test_a_run_that_lost_the_reply_to_its_commit_can_check_it(open_run, take):
    run = open_run()
    take(training_runs.close_done, run.id, run.token, **RESULT)
    assert take(training_runs.was_completed_by, run.id, run.token)
    assert not take(training_runs.was_completed_by, run.id, "another")


def test_only_successful_runs_count_as_having_used_labels(open_run, take):
    assert take(training_runs.learned_label_id) == 0
    run = open_run()
    take(training_runs.close_done, run.id, run.token, **RESULT)
    run = open_run()
    take(training_runs.close_failed, run.id, run.token, reason="a fault")
    assert take(training_runs.learned_label_id) == 41


def test_runs_are_listed_newest_first(open_run, take):
    for _ in range(3):
        run = open_run()
        take(training_runs.close_failed, run.id, run.token, reason="a fault")
    assert [row.id for row in take(training_runs.recent, limit=2)] == [run.id, run.id - 1]


def test_without_runs_there_is_none(take, database):
    assert take(training_runs.latest) is None
    with database.begin() as connection:
        assert connection.execute(select(table)).all() == []
