"""A training run in one process: what it leaves when it ends well, fails, or is refused."""

import gzip

import pytest
from sqlalchemy import func, select, update

from db.dialects import now
from db.registry import bundles, training_runs
from db.states import RunState, RunTrigger, RunVerdict
from db.tables import models, promotions
from db.tables import training_runs as table
from tests.support.servers.lifecycle import wait_until
from training.errors import (
    RunLeaseLostError,
    RunNotOpenedError,
    RunTooLongError,
    TrainingError,
)
from training.runs.result import RunResult
from training.runs.run import perform


def result(version="v1", verdict=RunVerdict.PROMOTED, **changed):
    return RunResult(
        **{
            "version": version,
            "bundle": version.encode(),
            "sizes": {"labelled": 7},
            "metrics": {"macro_f1": 0.5},
            "verdict": verdict,
            "reason": "as measured",
            "report_html": "<h1>Ä report</h1>",
            "last_label_id": 41,
            **changed,
        }
    )


@pytest.fixture
def run(database):
    """Perform this work as a run."""

    def run(work, **changed):
        options = {
            "trigger": RunTrigger.HAND,
            "slot": None,
            "seed": 0,
            "lease_seconds": 60,
            "time_limit_seconds": 600,
        }

        def computed(_database, *, version, seed, progress):
            return work(progress)

        return perform(database, computed, **{**options, **changed})

    return run


@pytest.fixture
def latest(take):
    return lambda: take(training_runs.latest)


@pytest.fixture
def counts(database):
    """How many models and promotions there are."""

    def counts():
        with database.begin() as connection:
            return tuple(
                connection.execute(select(func.count()).select_from(one)).scalar_one()
                for one in (models, promotions)
            )

    return counts


def test_a_better_model_is_stored_and_promoted_with_verdict_and_report(run, take, latest):
    finished = run(lambda _: result())
    assert finished.run == latest()
    assert (finished.run.state, finished.run.verdict) == (RunState.DONE, RunVerdict.PROMOTED)
    assert (finished.run.reason, finished.run.model_version) == ("as measured", "v1")
    assert take(bundles.champion_version) == "v1"
    assert take(bundles.read, "v1") == b"v1"
    report = gzip.decompress(take(training_runs.report_of, finished.run.model_version)).decode()
    assert report == "<h1>Ä report</h1>"


def test_the_promotion_records_the_run_and_its_reason(run, database):
    number = run(lambda _: result()).run.id
    with database.begin() as connection:
        (row,) = connection.execute(select(promotions)).all()
    assert (row.version, row.by, row.reason) == ("v1", f"training run {number}", "as measured")


def test_a_model_that_is_not_promoted_is_stored_and_not_in_use(run, take):
    run(lambda _: result(verdict=RunVerdict.STORED))
    assert take(bundles.champion_version) is None
    assert [model.version for model in take(bundles.stored)] == ["v1"]


def test_a_run_without_a_new_model_keeps_its_verdict(run, counts):
    finished = run(lambda _: result(verdict=RunVerdict.KEPT, bundle=None, report_html=None))
    assert (finished.run.verdict, finished.run.model_version) == (RunVerdict.KEPT, None)
    assert counts() == (0, 0)


def test_an_unknown_verdict_of_a_newer_version_is_shown_as_stored(run, database, latest):
    run(lambda _: result())
    words = {"trigger": "tomorrow", "state": "tomorrow", "verdict": "tomorrow"}
    with database.begin() as connection:
        connection.execute(update(table).values(**words))
    assert (latest().trigger, latest().state, latest().verdict) == ("tomorrow",) * 3
    assert not latest().lease_expired


def test_a_verdict_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="no bundle to promote"):
        result(bundle=None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingError("no labelled sounds"), "no labelled sounds"),
        (ValueError("two\nlines \x1b[2J\0"), "two lines \\x1b[2J\\x00"),
        (KeyboardInterrupt(), "interrupted with Ctrl-C"),
        (SystemExit(143), "interrupted: the process received a stop signal"),
        (MemoryError(), "out of memory"),
    ],
)
def test_a_run_that_fails_is_closed_with_one_line_and_leaves_nothing(
    run, latest, counts, error, reason
):
    def work(progress):
        progress("reading", 1, 2)
        raise error

    with pytest.raises(type(error)):
        run(work)
    assert (latest().state, latest().reason, latest().verdict) == (RunState.FAILED, reason, None)
    assert counts() == (0, 0)


def test_a_result_that_cannot_be_stored_fails_the_run_and_promotes_nothing(run, latest, take):
    run(lambda _: result())
    with pytest.raises(Exception, match=r"(?i)unique"):
        run(lambda _: result())  # a version is stored once
    assert latest().state == RunState.FAILED
    assert "report" not in latest().reason
    assert take(bundles.champion_version) == "v1"


def test_a_second_concurrent_run_is_refused_with_the_first_ones_process(run, latest):
    def work(_):
        with pytest.raises(RunNotOpenedError, match=f"number {latest().id}, on"):
            run(lambda _: pytest.fail("a second run began"))
        return result()

    assert run(work).run.verdict == RunVerdict.PROMOTED


def test_a_schedule_slot_has_one_run(run, counts):
    run(lambda _: result(), slot="monday", trigger=RunTrigger.SCHEDULE)
    with pytest.raises(RunNotOpenedError, match="monday"):
        run(lambda _: pytest.fail("a copy ran"), slot="monday", trigger=RunTrigger.SCHEDULE)
    assert counts() == (1, 1)


def test_the_stage_is_passed_on_and_recorded(run, latest):
    steps = []

    def work(progress):
        progress("fold", 2, 5)
        wait_until(lambda: latest().stage == "fold: 2 of 5", "the row says how far it is")
        return result()

    run(work, progress=lambda *step: steps.append(step))
    assert steps == [("fold", 2, 5)]


def test_the_lease_of_a_run_without_progress_is_renewed(run, database):
    def expiry():
        with database.begin() as connection:
            return connection.execute(select(table.c.lease_expires_at)).scalar_one()

    def work(_):
        first = expiry()
        wait_until(lambda: expiry() > first, "the lease is longer")
        return result()

    run(work, lease_seconds=5)


def test_a_run_whose_lease_expired_stops_at_its_next_step_and_writes_nothing(
    run, database, latest, counts
):
    reached = []

    def work(progress):
        # Given others who closed it, as if its lease had ended
        with database.begin() as connection:
            connection.execute(update(table).values(lease_expires_at=now(-1)))
        with database.begin() as connection:
            assert training_runs.close_expired(connection)

        # When it goes on
        def stops():
            try:
                progress("fold", 2, 5)
            except RunLeaseLostError:
                reached.append("a step that was refused")
                raise

            return False

        wait_until(stops, "it detects that", 15)

    # Then it detects that at a step, and the row stays closed as it was
    with pytest.raises(RunLeaseLostError, match="its results are discarded"):
        run(work, lease_seconds=5)
    assert reached
    assert (latest().state, latest().reason) == (RunState.FAILED, training_runs.HEARTBEAT_STOPPED)
    assert counts() == (0, 0)


def test_a_run_that_was_closed_just_before_its_end_publishes_nothing(run, database, counts):
    def work(_):
        with database.begin() as connection:
            connection.execute(update(table).values(lease_expires_at=now(-1)))
            training_runs.close_expired(connection)
        return result()  # within the second in which no heartbeat has noticed yet

    with pytest.raises(RunLeaseLostError):
        run(work)
    assert counts() == (0, 0)


def test_a_champion_that_changed_in_mid_run_is_not_replaced(run, take):
    take(bundles.store, version="a person's", bundle=b"", metrics={})

    def work(_):
        take(bundles.promote, "a person's")
        return result()

    finished = run(work)
    assert take(bundles.champion_version) == "a person's"
    assert finished.run.verdict == RunVerdict.STORED
    assert "a person's was promoted while this run compared" in finished.run.reason
    assert "v1" in [model.version for model in take(bundles.stored)]


def test_a_run_over_its_time_stops_at_its_next_step(run, latest, counts):
    def work(progress):
        progress("fold", 1, 5)
        return result()

    with pytest.raises(RunTooLongError, match="CRATESORT_TRAINING_TIME_LIMIT_SECONDS"):
        run(work, time_limit_seconds=0)
    assert (latest().state, counts()) == (RunState.FAILED, (0, 0))
    assert "exceeded its time limit of 0 s" in latest().reason


def test_a_run_that_hangs_past_its_time_limit_does_not_block_others(run, latest):
    def work(progress):
        wait_until(lambda: latest().lease_expired, "others may take it for dead")
        progress("fold", 1, 5)

    with pytest.raises(RunTooLongError):
        run(work, time_limit_seconds=1, lease_seconds=2)


def test_a_reply_lost_after_the_commit_is_no_failure(run, database, take, monkeypatch):
    # Given a connection that breaks when the end of the run has just been committed
    from sqlalchemy.exc import OperationalError

    get, asked = training_runs.get, []

    def broken_once(*arguments):
        asked.append(arguments)
        if len(asked) == 1:
            raise OperationalError("", {}, Exception("connection lost"))
        return get(*arguments)

    monkeypatch.setattr(training_runs, "get", broken_once)

    # When it is tried again, then it is found done and nothing is written twice
    finished = run(lambda _: result())
    assert len(asked) == 2
    assert (finished.run.state, finished.run.verdict) == (RunState.DONE, RunVerdict.PROMOTED)
    assert take(bundles.champion_version) == "v1"
