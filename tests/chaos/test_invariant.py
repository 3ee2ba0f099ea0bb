"""The checks of the invariant detect each kind of loss."""

import pytest
from sqlalchemy import delete, func, insert, select, update

from classifier.categories import N_CATEGORIES
from classifier.errors import ErrorCode
from db.engine import create_engine
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.results import sounds as sounds_table
from db.results.sounds import Failure, Prediction, SoundResult
from db.tables import batches, ingests, sounds
from tests.chaos.invariant import open_batches, take_account, unfair
from tests.chaos.library import CLASSIFIED, Sound

PROMISED = {
    "pack/good.wav": frozenset({CLASSIFIED}),
    "pack/poison.wav": frozenset({"crashed_reader", "timed_out"}),
}


def result(path, outcome):
    return SoundResult("library", path, "pack", "pack", None, None, None, outcome)


GOOD = Prediction((1 / N_CATEGORIES,) * N_CATEGORIES, "a model")
POISON = Failure(ErrorCode.TIMED_OUT, "reading it did not end")


@pytest.fixture
def database(sqlite_url):
    """A database in which one batch of two sounds ended as it should."""
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "a test")
        entries = [BatchEntry(path, "pack", "pack") for path in PROMISED]
        ledger.add_batch(connection, ingest_id, "library", entries)
        connection.execute(update(ingests).values(enqueued=2))
        ledger.take_pending(connection, window=1, limit=1)
        ledger.claim(connection, 1, token="ours", worker="a worker", lease_seconds=60)
        ledger.finish(connection, 1, token="ours", classified=1, failed=1)
        ended = zip(PROMISED, (GOOD, POISON), strict=True)
        sounds_table.save(connection, [result(path, outcome) for path, outcome in ended])
    yield engine
    engine.dispose()


def wrong(database):
    return take_account(database, PROMISED).wrong


def change(database, statement):
    with database.begin() as connection:
        connection.execute(statement)


def test_a_good_ending_is_not_complained_of(database):
    account = take_account(database, PROMISED)
    assert account.wrong == []
    assert account.outcomes == {CLASSIFIED: 1, "timed_out": 1}
    assert open_batches(database) == {}


def test_a_missing_row_is_found(database):
    change(database, delete(sounds).where(sounds.c.path == "pack/good.wav"))
    assert wrong(database) == ["'pack/good.wav' has no row"]


def test_a_second_row_of_one_path_is_found(database):
    with database.begin() as connection:
        row = dict(
            connection.execute(select(sounds).where(sounds.c.path == "pack/good.wav"))
            .mappings()
            .one()
        )
        connection.execute(insert(sounds).values({**row, "id": 99, "key": b"another key of 1"}))
    assert wrong(database) == ["'pack/good.wav' has 2 rows"]


def test_a_good_sound_that_was_blamed_is_found(database):
    with database.begin() as connection:
        crashed = Failure(ErrorCode.CRASHED_READER, "reading it crashed the reader")
        sounds_table.save(connection, [result("pack/good.wav", crashed)])
    assert wrong(database) == ["'pack/good.wav' is crashed_reader, not classified"]


def test_a_row_of_an_unknown_file_is_detected(database):
    with database.begin() as connection:
        sounds_table.save(connection, [result("pack/other.wav", GOOD)])
    assert wrong(database) == ["'pack/other.wav' was never handed in"]


def test_a_batch_that_is_not_done_is_found(database):
    change(database, update(batches).values(state="running"))
    assert wrong(database) == ["batch 1 is running, attempt 1"]
    assert open_batches(database) == {"running": 1}


def test_a_batch_whose_counts_do_not_agree_is_found(database):
    change(database, update(batches).values(classified=2))
    assert wrong(database) == ["batch 1: 2 sounds, 2 classified, 1 failed, 0 paths left"]


def test_sounds_that_left_the_ledger_are_found(database):
    change(database, update(ingests).values(enqueued=3))
    assert wrong(database) == ["ingest 1: 3 enqueued, 2 in its batches"]


# Files that are moved, deleted, labelled; models


def test_a_row_of_a_file_that_is_not_there_must_say_so(database):
    left = {"pack/good.wav": PROMISED["pack/good.wav"]}
    poison = {"pack/poison.wav": PROMISED["pack/poison.wav"]}
    assert take_account(database, poison, left).wrong == [
        "'pack/good.wav' is not there any more, and not gone"
    ]
    change(database, update(sounds).values(gone_at=func.now()))
    assert take_account(database, poison, left).wrong == ["'pack/poison.wav' is there, and gone"]


def test_a_label_must_be_where_its_file_is(database):
    change(database, update(sounds).values(label="drum", label_source="human"))
    labelled = Sound(PROMISED["pack/good.wav"], ["pack/good.wav"], label="drum")
    assert take_account(database, PROMISED, labelled=[labelled]).labels_kept == 1
    labelled.paths.append("other/good.wav")
    assert take_account(database, PROMISED, labelled=[labelled]).wrong == [
        "'other/good.wav' lost its label, drum; ['pack/good.wav', 'other/good.wav']"
    ]


def test_a_model_that_never_served_is_found(database):
    assert take_account(database, PROMISED, versions={"a model"}).wrong == []
    assert take_account(database, PROMISED, versions={"another"}).wrong == [
        "'a model' classified, which never served"
    ]


@pytest.mark.parametrize(
    ("code", "is_unfair"),
    [
        (ErrorCode.STORAGE_ERROR, False),
        (ErrorCode.MISSING_FILE, False),
        (ErrorCode.TRUNCATED, True),
    ],
)
def test_storage_may_have_failed_before_the_last_walk_and_nothing_else(database, code, is_unfair):
    with database.begin() as connection:
        sounds_table.save(connection, [result("pack/good.wav", Failure(code, "for a test"))])
    assert bool(unfair(database, PROMISED)) is is_unfair
