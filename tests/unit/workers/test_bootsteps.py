"""A worker that takes no messages without its database, and a Redis that fails meanwhile."""

import logging
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest

from workers.recovery import bootsteps
from workers.recovery.bootsteps import ConsumeAvailableQueues
from workers.recovery.shared_health import SharedHealth
from workers.settings import Settings


class Consumer:
    """The part of Celery's consumer that the step uses; Redis fails `failures` times."""

    def __init__(self, *queues):
        self.consumed = list(queues)
        self.failures = 0
        self.app = SimpleNamespace(amqp=SimpleNamespace(queues=self))
        self.timer = SimpleNamespace(call_repeatedly=lambda _seconds, poll, _args: poll)
        self.hostname = "worker-1@host"
        self.connection = SimpleNamespace(default_channel=None)

    @property
    def consume_from(self):
        return dict.fromkeys(self.consumed)

    def cancel_task_queue(self, queue):
        self._call_redis()
        self.consumed.remove(queue)

    def add_task_queue(self, queue):
        self._call_redis()
        self.consumed.append(queue)

    def _call_redis(self):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("Redis is away")


@pytest.fixture
def consumer():
    return Consumer("interactive", "classify", "housekeeping")


@pytest.fixture
def health():
    return SharedHealth.create(["packs", "more"])


@pytest.fixture
def announced(monkeypatch):
    """What the worker said last in Redis that it takes messages from."""
    said = []
    monkeypatch.setattr(
        bootsteps.presence, "announce", lambda _channel, _worker, queues: said.append(queues)
    )
    return said


@pytest.fixture
def look(consumer, health, announced, monkeypatch):
    """Let the step poll, while the database answers or does not; a failure restarts it."""
    monkeypatch.setattr(
        bootsteps, "_supervisor", SimpleNamespace(health=health, ensure=lambda: None)
    )
    step = ConsumeAvailableQueues(consumer)
    step.start(consumer)

    def once(*, database_answers=True):
        (health.database.report_up if database_answers else health.database.report_down)()
        try:
            step._poll(consumer)
        except ConnectionError:
            step.start(consumer)

    return once


BASE = ["classify", "housekeeping", "interactive"]
OF_PACKS = ["classify.packs", "interactive.packs"]
OF_MORE = ["classify.more", "interactive.more"]


def test_only_queues_of_available_roots_are_consumed(consumer, health, look, announced):
    look()
    assert sorted(consumer.consumed) == sorted(BASE + OF_PACKS + OF_MORE)
    assert sorted(announced[-1]) == sorted(consumer.consumed)
    # When a root is away, then its batches are left to other workers
    health.roots["packs"].report_down()
    look()
    assert sorted(consumer.consumed) == sorted(BASE + OF_MORE)
    assert sorted(announced[-1]) == sorted(consumer.consumed)
    # Until it is back
    health.roots["packs"].report_up()
    look()
    assert sorted(consumer.consumed) == sorted(BASE + OF_PACKS + OF_MORE)


def test_a_worker_for_interactive_queues_consumes_no_others(look, consumer):
    consumer.consumed[:] = []
    other = Consumer("interactive")
    step = ConsumeAvailableQueues(other)
    step.start(other)
    assert sorted(other.consumed) == ["interactive", "interactive.more", "interactive.packs"]


def test_every_queue_is_consumed_again_although_redis_failed_meanwhile(consumer, look):
    look(database_answers=False)
    assert consumer.consumed == []
    # Given a Redis that fails when the database is back
    consumer.failures = 1
    # When the worker has connected again
    look(database_answers=True)
    # Then it takes messages from all of them
    assert sorted(consumer.consumed) == sorted(BASE + OF_PACKS + OF_MORE)


def test_a_queue_consumed_again_is_paused_at_the_next_database_outage(consumer, look):
    look(database_answers=False)
    # Given two queues whose turn did not come, for Redis failed twice
    consumer._call_redis = _fails_behind(1)
    with pytest.raises(ConnectionError):
        look(database_answers=True)
    del consumer._call_redis
    assert len(consumer.consumed) == 1
    # When the database is away again
    look(database_answers=False)
    # Then nothing is taken, and all of it when both are there
    assert consumer.consumed == []
    look(database_answers=True)
    assert sorted(consumer.consumed) == sorted(BASE + OF_PACKS + OF_MORE)


def _fails_behind(successes):
    left = iter([None] * successes)

    def ask():
        try:
            next(left)
        except StopIteration:
            raise ConnectionError("Redis is away") from None

    return ask


def test_a_second_ctrl_c_right_after_the_first_ends_the_worker_at_once(monkeypatch):
    """Without it, Celery's own second step waits for children that may never answer."""

    class EndedError(Exception):
        pass

    def end(code):
        raise EndedError(code)

    monkeypatch.setattr(bootsteps, "_end", end)
    # When Celery's handler was still in place and tells of a cold shutdown, then it is ours
    with pytest.raises(EndedError, match="130"):
        bootsteps._shut_down("Cold", limit_seconds=3600)


def test_a_worker_starts_with_the_available_roots(tmp_path, monkeypatch):
    for name in ("there", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "kick.wav").touch()
    names = ("there", "empty", "missing")
    settings = Settings(library_roots={name: tmp_path / name for name in names})
    health = SharedHealth.create(names)
    monkeypatch.setattr(bootsteps, "load_settings", lambda: settings)
    monkeypatch.setattr(bootsteps, "_supervisor", SimpleNamespace(health=health))
    bootsteps._check_roots()
    assert [name for name in names if health.roots[name].is_up] == ["there"]


@pytest.fixture
def supervisor(health, monkeypatch):
    """A hanging supervisor process, as its parent sees it."""
    monkeypatch.setattr(bootsteps, "shared_health", lambda: health)
    supervisor = bootsteps._SupervisorProcess()
    with subprocess.Popen(["sleep", "600"]) as process:
        supervisor._process = process
        yield supervisor
        process.kill()


def test_a_supervisor_that_makes_progress_is_not_killed(supervisor, health):
    health.supervisor.report_up()
    supervisor.ensure()
    assert supervisor._process.poll() is None


def test_a_supervisor_that_hangs_is_killed_and_replaced(supervisor, health, monkeypatch):
    """Without it, no batch of a dead child comes back and no message is taken, without end."""
    health.supervisor.report_up()
    later = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: later)
    supervisor.ensure()
    assert supervisor._process.wait() == -signal.SIGKILL


def test_frequent_restarts_of_celerys_consumer_are_a_warning_without_a_traceback(caplog):
    logger = logging.getLogger("celery.worker.consumer.consumer")
    logger.addFilter(bootsteps._explain_restarts)
    try:
        raise RuntimeError
    except RuntimeError as error:
        # As celery.worker.consumer.consumer.Consumer.start
        logger.critical("Frequent restarts detected: %r", error, exc_info=True)
    finally:
        logger.removeFilter(bootsteps._explain_restarts)
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage().startswith("Redis refuses commands")
