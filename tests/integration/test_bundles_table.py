"""Bundles in the database: stored once, read only when whole, one of them champion."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from classifier.errors import BundleError
from db.registry import bundles
from db.tables import models, promotions
from tests.support.databases import connected


@pytest.fixture
def store(database):
    def store(*versions):
        for version in versions:
            with database.begin() as connection:
                bundles.store(
                    connection, version=version, bundle=version.encode(), metrics={"f1": 0.5}
                )

    return store


def test_a_stored_bundle_is_read_byte_for_byte(store, take):
    store("one")
    assert take(bundles.read, "one") == b"one"


def test_an_unknown_version_is_none(take):
    assert take(bundles.read, "nowhere") is None


def test_a_version_is_stored_once(store):
    store("one")
    with pytest.raises(IntegrityError):
        store("one")


def test_a_damaged_bundle_is_refused(store, take, database):
    store("one")
    with database.begin() as connection:
        connection.execute(update(models).values(bundle=b"oNe"))
    with pytest.raises(BundleError, match="model one in the database is damaged"):
        take(bundles.read, "one")


def test_a_new_bundle_is_not_in_use(store, take):
    store("one")
    assert take(bundles.champion_version) is None


def test_promotion_leaves_one_champion(store, take):
    store("one", "two")
    assert take(bundles.promote, "one")
    assert take(bundles.promote, "two")
    assert take(bundles.champion_version) == "two"
    assert [model.version for model in take(bundles.stored) if model.champion] == ["two"]


def test_promoting_the_champion_again_changes_nothing(store, take):
    store("one")
    take(bundles.promote, "one")
    assert take(bundles.promote, "one")
    assert take(bundles.champion_version) == "one"


def test_promoting_an_unknown_version_keeps_the_champion(store, take):
    store("one")
    take(bundles.promote, "one")
    assert not take(bundles.promote, "nowhere")
    assert take(bundles.champion_version) == "one"


def test_promoting_none_puts_the_starter_in_use(store, take):
    store("one")
    take(bundles.promote, "one")
    assert take(bundles.promote, None)
    assert take(bundles.champion_version) is None


def test_a_constraint_prevents_a_second_champion(store, database):
    store("one", "two")
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(update(models).values(champion=True))


def test_models_are_listed_without_their_bundles_newest_first(store, take, database):
    store("one", "three")
    with database.begin() as connection:  # both may have come within one millisecond
        yesterday = datetime.now(UTC) - timedelta(days=1)
        connection.execute(update(models).filter_by(version="one").values(created_at=yesterday))
    newest, oldest = take(bundles.stored)
    assert (newest.version, newest.size_bytes, newest.metrics) == ("three", 5, {"f1": 0.5})
    assert (oldest.version, oldest.champion, len(oldest.sha256)) == ("one", False, 64)


def test_two_promotions_at_once_leave_one_champion(store, database_url, database):
    store("one", "two")
    start = threading.Barrier(2)

    def promote(version):
        with connected(database_url) as engine:
            start.wait()
            for _ in range(10):
                try:
                    with engine.begin() as connection:
                        bundles.promote(connection, version)
                except IntegrityError:
                    pass  # the other was first, and this one is refused

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(promote, ["one", "two"]))
    with database.begin() as connection:
        champions = select(func.count()).where(models.c.champion)
        assert connection.execute(champions).scalar_one() == 1


# Promotions are remembered, and taken back one by one


@pytest.fixture
def roll_back(database):
    """Take back one promotion; return what serves then, "nothing" when none was left."""

    def roll_back():
        with database.begin() as connection:
            step = bundles.next_rollback(connection)
            if step is None:
                return "nothing"
            assert bundles.roll_back(connection, step, by="a test")
            return bundles.champion_version(connection)

    return roll_back


def test_a_promotion_records_the_previous_model_user_and_reason(store, take, database):
    store("one")
    take(bundles.promote, "one", by="ann", reason="it is better")
    with database.begin() as connection:
        (row,) = connection.execute(select(promotions)).all()
    assert (row.version, row.previous, row.by, row.reason) == ("one", None, "ann", "it is better")


def test_a_rollback_restores_the_previous_model(store, take, roll_back):
    store("one", "two")
    take(bundles.promote, "one")
    take(bundles.promote, "two")
    assert roll_back() == "one"


def test_each_rollback_goes_one_step_back_down_to_the_starter(store, take, roll_back):
    store("one", "two", "three")
    for version in ("one", "two", "three"):
        take(bundles.promote, version)
    assert [roll_back() for _ in range(4)] == ["two", "one", None, "nothing"]
    assert take(bundles.champion_version) is None


def test_a_promotion_after_a_rollback_is_rolled_back_to_the_model_before_it(store, take, roll_back):
    store("one", "two", "three")
    take(bundles.promote, "one")
    take(bundles.promote, "two")
    roll_back()
    take(bundles.promote, "three")
    assert [roll_back() for _ in range(3)] == ["one", None, "nothing"]


def test_promoting_the_starter_can_be_rolled_back(store, take, roll_back):
    store("one")
    take(bundles.promote, "one")
    take(bundles.promote, None)
    assert [roll_back() for _ in range(3)] == ["one", None, "nothing"]


def test_promoting_the_model_in_use_again_is_no_step_of_a_rollback(store, take, roll_back):
    store("one", "two")
    take(bundles.promote, "one")
    take(bundles.promote, "two")
    take(bundles.promote, "two")
    assert roll_back() == "one"


def test_without_a_promotion_there_is_nothing_to_roll_back(store, roll_back):
    store("one")
    assert roll_back() == "nothing"


def test_a_rollback_after_a_concurrent_one_changes_nothing(store, take):
    store("one", "two")
    take(bundles.promote, "one")
    step = take(bundles.next_rollback)
    take(bundles.promote, "two")
    assert not take(bundles.roll_back, step, by="a test")
    assert take(bundles.champion_version) == "two"


def test_a_rollback_to_a_deleted_version_changes_nothing(store, take, database):
    store("one", "two")
    take(bundles.promote, "one")
    take(bundles.promote, "two")
    with database.begin() as connection:
        connection.execute(models.delete().where(models.c.version == "one"))
    assert not take(bundles.roll_back, take(bundles.next_rollback), by="a test")
    assert take(bundles.champion_version) == "two"


def test_of_two_concurrent_rollbacks_one_is_refused(store, take, database_url):
    store("one", "two")
    take(bundles.promote, "one")
    take(bundles.promote, "two")
    step = take(bundles.next_rollback)
    start = threading.Barrier(2)

    def back(_):
        with connected(database_url) as engine:
            start.wait()
            with engine.begin() as connection:
                return bundles.roll_back(connection, step, by="a test")

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(back, range(2))) == [False, True]
    assert take(bundles.champion_version) == "one"
