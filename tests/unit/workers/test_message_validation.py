"""What a worker believes of a message, and of the error that a child reports."""

import json
import logging
import pickle
from types import SimpleNamespace

import pytest
import sqlalchemy.exc
from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject, Retry, WorkerShutdown, WorkerTerminate
from kombu.message import Message

from tasks.classify import classify
from workers.celery_ext.app import LimitedTask
from workers.celery_ext.dispatch import MESSAGE_VERSION
from workers.celery_ext.message_validation import LimitedRequest, fault_of
from workers.errors import BatchReturnedError, LibraryRootAwayError, UnclaimedError
from workers.recovery.shared_health import SharedHealth


def message(payload=((), {}, {}), **headers):
    return Message(
        body=json.dumps(payload),
        headers={"id": "batch-1-abc", "task": "tasks.classify", **headers},
        content_type="application/json",
        content_encoding="utf-8",
        accept={"application/json"},
    )


@pytest.fixture
def request_of():
    """A request for a task whose events are collected, and not sent."""

    def make(sent):
        request = LimitedRequest(message(), app=classify.app, task=classify)
        request.send_event = lambda kind, **fields: sent.append((kind, fields["exception"]))
        request.acknowledge = lambda: sent.append("acknowledged")
        return request

    return make


def test_a_killed_child_is_reported_and_its_message_acknowledged(request_of):
    sent = []
    error = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 3.")
    request_of(sent).on_failure(SimpleNamespace(exception=error))
    event = ("task-failed", "its worker process was killed: signal 9 (SIGKILL)")
    assert sent == ["acknowledged", event]


def test_a_child_killed_for_its_time_limit_is_reported_once(request_of):
    sent = []
    request = request_of(sent)
    request.on_failure(SimpleNamespace(exception=TimeLimitExceeded(45.0)))
    request.on_timeout(soft=False, timeout=45.0)
    event = ("task-failed", "its worker process was killed: it exceeded the time limit of 45 s")
    assert sent == ["acknowledged", event]


class _OnlyInItsChildError(Exception):
    """An error whose pickle ends the process that loads it, and whose text raises."""

    def __reduce__(self):
        return exec, ("raise MemoryError",)

    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RecursionError("deep"),
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
        WorkerShutdown(0),
        WorkerTerminate(),
        Reject("again", requeue=True),
        Ignore(),
        _OnlyInItsChildError(),
        sqlalchemy.exc.DataError("INSERT", {"rows": "x" * 1_000_000}, Exception("out of range")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_of_a_task_is_reported_and_the_parent_continues(request_of, error):
    """Celery ends the worker for some of these, and puts the message back for others."""

    # Given a task that fails in a child
    def failing():
        raise error

    app = Celery("test", task_cls=LimitedTask, set_as_current=False)
    task = app.task(failing, name="failing", shared=False)
    traced = build_tracer(task.name, task, app=app)("an id", (), {}, {"id": "an id"})
    reported = pickle.dumps((1, traced.retval, traced.runtime))
    # When its parent learns of it, then the message is used up, with the reason
    sent = []
    request_of(sent).on_success(pickle.loads(reported))  # noqa: S301  (written above)
    acknowledged, (kind, reason) = sent
    assert (acknowledged, kind) == ("acknowledged", "task-failed")
    assert type(error).__name__ in reason
    # And it gets no rows of a statement
    assert len(reported) < 100_000


def test_a_child_out_of_memory_does_not_end_its_parent(request_of):
    sent = []
    try:
        raise MemoryError
    except MemoryError:
        request_of(sent).on_failure(ExceptionInfo())
    assert sent == ["acknowledged", ("task-failed", "TaskFailedError('MemoryError')")]


def test_a_valid_message_is_accepted():
    assert fault_of(message(), None) is None


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
def test_a_message_cannot_name_tasks_to_run_after_it(name):
    payload = [[], {}, {name: [{"task": "tasks.sweep"}]}]
    assert fault_of(message(payload), None) == "it has callbacks, errbacks or a chain"


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({"id": {}}, "its id is not a string of at most 255 characters"),
        ({"id": "x" * 256}, "its id is not a string of at most 255 characters"),
        ({"eta": "2999-01-01T00:00:00+00:00"}, "it has an ETA"),
        ({"expires": 0}, "its expiry is not a time"),
        ({"stamps": {"a": 1}}, "it has stamped headers"),
    ],
)
def test_a_forbidden_header_is_an_error(headers, fault):
    assert fault_of(message(**headers), None).startswith(fault)


@pytest.mark.parametrize("payload", [None, 5, [1, 2], ["x", {}, {}], [[], [], {}]])
def test_a_malformed_body_is_an_error(payload):
    assert fault_of(message(payload), None).startswith(("its body is", "its arguments are"))


def test_a_message_cannot_set_its_own_time_limit():
    request = LimitedRequest(message(timelimit=[3600, 3600]), app=classify.app, task=classify)
    assert request.time_limits == (None, None)


@pytest.mark.parametrize("version", [MESSAGE_VERSION + 1, 0])
def test_a_message_of_an_unknown_version_is_left_for_another_worker(version, caplog, monkeypatch):
    # Given a process that could do nothing: its settings are wrong
    monkeypatch.setenv("CRATESORT_BATCH_SIZE", "none")

    # When it is given a message of another version
    with caplog.at_level(logging.WARNING):
        classify(version, 7, "library", ["a.wav"])

    # Then it reports that and does not try
    assert f"batch 7: skipped: message version {version} is not supported here" in caplog.text


def test_a_requeued_batch_is_a_retry_with_its_reason_first(monkeypatch):
    # Given a batch whose library root is away
    def classify_batch(_batch_id, _context):
        raise LibraryRootAwayError("the library root 'packs' (/mnt/packs) cannot be opened")

    monkeypatch.setattr("workers.classification.classify_batch", classify_batch)
    monkeypatch.setattr("workers.child_process.context", lambda: None)
    health = SharedHealth.create(["packs"])
    monkeypatch.setattr("workers.child_process.shared_health", lambda: health)
    # When its task ends, then Flower shows this, and no failure
    with pytest.raises(Retry) as ended:
        classify(MESSAGE_VERSION, 7, "packs", ["a.wav"])
    reason = "requeued: the library root 'packs' (/mnt/packs) cannot be opened"
    assert repr(ended.value.exc) == reason
    # And the parent takes no more of that root for a while
    assert not health.roots["packs"].is_up
    assert health.database.is_up


@pytest.mark.parametrize("known", [True, False])
def test_during_a_database_outage_a_message_returns_to_redis_and_the_parent_pauses(
    monkeypatch, known
):
    # Given a database that goes away, or has gone
    def classify_batch(_batch_id, _context):
        raise sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("away"))

    health = SharedHealth.create(["packs"])
    if known:
        health.database.report_down()
    monkeypatch.setattr("workers.classification.classify_batch", classify_batch)
    monkeypatch.setattr("workers.child_process.context", lambda: None)
    monkeypatch.setattr("workers.child_process.shared_health", lambda: health)
    monkeypatch.setattr("workers.child_process._PATIENCE_SECONDS", 0.01)
    # When a batch is to be classified, then its message goes back to Redis
    with pytest.raises(Retry) as ended:
        classify(MESSAGE_VERSION, 7, "packs", ["a.wav"])
    assert isinstance(ended.value.exc, UnclaimedError)
    # And nothing more is taken
    assert not health.database.is_up


@pytest.mark.parametrize("kind", [UnclaimedError, BatchReturnedError])
def test_the_message_of_an_unclaimed_batch_returns_to_redis(request_of, kind):
    requeued, sent = [], []
    request = request_of(sent)
    request._on_reject = lambda _log, _errors, requeue: requeued.append(requeue)
    request.on_retry(SimpleNamespace(exception=Retry(exc=kind("away")), traceback=""))
    assert requeued == ([True] if kind is UnclaimedError else [])
    assert ("task-retried", "requeued: away") in sent
