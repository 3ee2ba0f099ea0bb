"""The cost of a scrape: slow counts of sounds are cached."""

import time

import pytest
from pydantic import SecretStr

from cli.metrics import readings
from cli.metrics.readings import MetricReader
from workers.settings import Settings


@pytest.fixture
def reader(database_url):
    return MetricReader(Settings(database_url=SecretStr(database_url)))


@pytest.fixture
def counting(monkeypatch):
    """Make counting take so long, or fail so; the list grows with each count."""

    def counting(seconds=0.0, fault=None):
        counts = []

        def error_counts(_):
            counts.append(None)
            time.sleep(seconds)
            if fault is not None:
                raise fault
            return {}

        monkeypatch.setattr(readings.counts, "error_counts", error_counts)
        return counts

    return counting


def test_a_slow_count_is_cached(reader, counting):
    counts = counting(seconds=1.0)
    assert [reader.sounds() is None, reader.sounds() is None] == [False, False]
    assert len(counts) == 1


def test_a_slow_count_that_fails_is_cached(reader, counting):
    counts = counting(seconds=1.0, fault=OSError("it was ended"))
    assert [reader.sounds(), reader.sounds()] == [None, None]
    assert len(counts) == 1


def test_a_fast_count_is_not_cached(reader, counting):
    counts = counting()
    reader.sounds()
    while len(counts) < 2:
        reader.sounds()


def test_the_database_is_read_for_each_scrape(reader):
    assert reader.database().ledger.batches["pending"] == 0
    assert reader.database().run is None
