"""An upgrade of a running fleet: old and new work side by side, and nothing is lost.

Tables change first, then workers and producers, one after the other, in any order.
"""

from sqlalchemy import text, update

from db.dialects import now
from db.tables import batches
from tests.support.fleet import on_both_databases
from tests.support.servers.lifecycle import wait_until
from workers.celery_ext import dispatch
from workers.celery_ext.app import build_app
from workers.settings import Settings


def upgrade_the_tables(fleet):
    """Leave the tables as a later version that only adds to them would."""
    with fleet.database() as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        for table in ("batches", "sounds", "ingests"):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN of_a_later_version INTEGER"))


@on_both_databases
def test_old_producers_and_workers_work_with_newer_tables(fleet):
    """Without the tolerance of later versions, they refuse the database."""
    # Given a worker that runs, and work that waits at a gate
    fleet.add("gate.wav", count=7)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker() as worker:
        fleet.wait_for_the_gate()
        # When the tables are upgraded under it
        upgrade_the_tables(fleet)
        fleet.open_gate()
        fleet.wait_until_done()
        # Then it goes on, and so does a producer that starts now
        fleet.add("later.wav")
        fleet.submit()
        fleet.wait_until_done()
        assert "Traceback" not in worker.log()
    # And a worker of the old version that starts after it
    fleet.add("last.wav")
    fleet.submit()
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_message_of_another_version_is_left_to_a_worker_that_supports_it(fleet, monkeypatch):
    """Without the version check, the worker obeys a message that it does not understand."""
    # Given a batch whose message is of a version that the worker does not know
    fleet.add(count=3)
    settings = Settings(broker_url=fleet.broker_url, database_url=fleet.database_url)
    assert fleet.cli("ingest", fleet.library, "--no-wait", CRATESORT_WINDOW_BATCHES="1").code == 0
    with fleet.database() as engine:
        app = build_app(settings)
        with engine.begin() as connection:
            connection.execute(text("UPDATE batches SET state = 'pending'"))
        with app.connection_for_write() as connection:
            connection.default_channel.client.delete("classify.library", "classify.library:3")
        monkeypatch.setattr(dispatch, "MESSAGE_VERSION", 99)
        assert dispatch.dispatch(app, engine, settings).published == 1
    # When the worker gets it
    patient = {"CRATESORT_STALE_SECONDS": "600"}
    with fleet.worker(settings=patient) as worker:
        expected = "message version 99 is not supported here; it stays queued"
        wait_until(lambda: expected in worker.log(), "it is logged", 60)
        # Then the batch is still queued, and is done by a worker that supports its version
        assert [row["state"] for row in fleet.batches()] == ["queued"]
        with fleet.database() as engine, engine.begin() as connection:
            connection.execute(update(batches).values(queued_at=now(-600)))
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
