"""Bundles in the database: stored once, read only when whole, one of them champion."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from classifier.errors import BundleError
from db import bundles
from db.tables import models
from tests.integration.conftest import connected


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


def test_a_version_that_never_was_is_none(take):
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


def test_a_new_bundle_serves_nobody(store, take):
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


def test_promoting_what_never_was_keeps_the_champion(store, take):
    store("one")
    take(bundles.promote, "one")
    assert not take(bundles.promote, "nowhere")
    assert take(bundles.champion_version) == "one"


def test_promoting_none_lets_the_starter_serve(store, take):
    store("one")
    take(bundles.promote, "one")
    assert take(bundles.promote, None)
    assert take(bundles.champion_version) is None


def test_the_database_itself_refuses_a_second_champion(store, database):
    store("one", "two")
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(update(models).values(champion=True))


def test_the_list_tells_all_but_the_bundle(store, take):
    store("one", "three")
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
                    pass  # the other was first, and this one is told

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(promote, ["one", "two"]))
    with database.begin() as connection:
        champions = select(func.count()).where(models.c.champion)
        assert connection.execute(champions).scalar_one() == 1
