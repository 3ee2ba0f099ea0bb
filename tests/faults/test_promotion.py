"""A promotion in the middle of a backlog: workers swap between two batches, and mix nothing."""

from itertools import groupby

import pytest
from sqlalchemy import select

from classifier.bundle.starter import starter_version
from db.dialects import clock
from db.engine import reading
from db.registry import bundles
from db.states import BatchState
from db.tables import sounds
from tests.support.bundles import called
from tests.support.fleet import SUPERVISOR_ALONE
from tests.support.servers.lifecycle import wait_until


@pytest.fixture
def backlog(fleet):
    """Thirty batches of one sound, handed in, and a model that may come to serve.

    A process that reaches the twenty sounds after the gate is blocked until it is opened.
    """
    fleet.settings["CRATESORT_BATCH_SIZE"] = "1"
    fleet.add(*(f"gate {index:03}.wav" for index in range(20)), count=10)
    fleet.shut_gate()
    fleet.submit()
    with fleet.database() as engine, engine.begin() as connection:
        bundles.store(connection, version="v2", bundle=called("v2"), metrics={})
    return fleet


def paths_of(fleet):
    """The paths of each batch, by its id; a done batch has its first alone."""
    return {batch["id"]: batch["paths"] for batch in fleet.batches()}


def done(fleet):
    return sum(batch["state"] == BatchState.DONE for batch in fleet.batches())


def versions_of(fleet, paths):
    """The set of versions that wrote the rows of each batch, in the order they were claimed."""
    with fleet.database() as engine, reading(engine) as connection:
        wrote = dict(connection.execute(select(sounds.c.path, sounds.c.model_version)).all())
    claimed = sorted(fleet.batches(), key=lambda batch: batch["started_at"])
    return [(batch, {wrote[path] for path in paths[batch["id"]]}) for batch in claimed]


def test_workers_change_the_model_between_two_batches_and_every_row_names_its_model(backlog):
    """Without the look-up before each claim, children go on with the old model or mix two."""
    # Given two children in the middle of a backlog
    paths = paths_of(backlog)
    with backlog.worker("--concurrency", "2", settings=SUPERVISOR_ALONE) as worker:
        wait_until(lambda: len(backlog.at_the_gate()) == 2, "both are blocked", 60)
        finished = done(backlog)

        # When another model is promoted
        assert backlog.cli("models", "promote", "v2", "--yes").code == 0
        with backlog.database() as engine, reading(engine) as connection:
            promoted_at = clock(connection)
        backlog.open_gate()
        backlog.wait_until_done()
        swaps = worker.log().count("model v2 loaded")

    # Then nothing is lost, and no batch has rows of two models
    backlog.assert_nothing_is_lost()
    written = versions_of(backlog, paths)
    assert {len(versions) for _, versions in written} == {1}
    assert set().union(*(versions for _, versions in written)) == {starter_version(), "v2"}

    # And batches claimed after the promotion are classified by the new model
    later = [
        (batch["worker"], versions)
        for batch, versions in written
        if batch["started_at"].replace(tzinfo=promoted_at.tzinfo) > promoted_at
    ]
    assert len(later) == 30 - finished - 2
    assert all(versions == {"v2"} for _, versions in later)
    # And each child that came to it has swapped once, and never back
    assert swaps == len({child for child, _ in later})
    by_child = sorted(written, key=lambda entry: entry[0]["worker"])
    for _, of_child in groupby(by_child, key=lambda entry: entry[0]["worker"]):
        is_new = [versions == {"v2"} for _, versions in of_child]
        assert is_new == sorted(is_new)


def test_a_rollback_during_a_backlog_changes_the_model_likewise(backlog):
    """Without the look-up before each claim, the withdrawn model serves to the backlog's end."""
    assert backlog.cli("models", "promote", "v2", "--yes").code == 0
    paths = paths_of(backlog)
    with backlog.worker(settings=SUPERVISOR_ALONE):
        wait_until(backlog.at_the_gate, "it is blocked", 60)
        finished = done(backlog)
        assert backlog.cli("models", "rollback").code == 0
        backlog.open_gate()
        backlog.wait_until_done()
    backlog.assert_nothing_is_lost()
    order = [versions for _, versions in versions_of(backlog, paths)]
    assert order == [{"v2"}] * (finished + 1) + [{starter_version()}] * (30 - finished - 1)
