"""``tasks.producer.submit``: the one way in, light to import, done when the ledger has it."""

import json
import os
import subprocess
import sys

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import select

from db.engine import reading
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.reporting import batch_metrics
from db.reporting.batch_metrics import BatchTimes
from db.tables import ingests
from tasks.producer import submission
from tasks.producer.file_source import FileSource
from tasks.producer.locator import FoundSound, Locator, OutsideRootsError
from tasks.producer.submission import submit
from tests.support import sounds
from tests.support.command_line import clean_environment
from tests.support.databases import connected
from workers.settings import Settings


@pytest.fixture
def folder(tmp_path):
    """Five sounds in two packs."""
    for path in ("a/1.wav", "a/2.wav", "a/3.wav", "b/1.wav", "b/2.wav"):
        (tmp_path / "library" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "library" / path).write_bytes(sounds.encoded())
    return tmp_path / "library"


@pytest.fixture
def settings(database_url, redis_url, folder):
    return Settings(
        broker_url=SecretStr(redis_url),
        database_url=SecretStr(database_url),
        library_roots={"main": folder},
        batch_size=2,
        window_batches=2,
    )


def messages(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        return [json.loads(message) for message in client.lrange("classify.main:3", 0, -1)]


def test_every_file_is_in_the_ledger_relative_to_its_root(settings, folder, batch_rows):
    submission = submit([folder], settings=settings)
    assert (submission.found, submission.enqueued) == (5, 5)
    assert {row["root"] for row in batch_rows()} == {"main"}
    assert [row["paths"] for row in batch_rows()] == [
        ["a/1.wav", "a/2.wav"],
        ["a/3.wav", "b/1.wav"],
        ["b/2.wav"],
    ]
    assert batch_rows()[1]["packs"] == ["a", "b"]


def test_no_more_messages_are_sent_than_the_window_allows(settings, folder, batch_rows, redis_url):
    submit([folder], settings=settings)
    assert [row["state"] for row in batch_rows()] == ["queued", "queued", "pending"]
    assert len(messages(redis_url)) == 2


def test_a_message_is_json_and_names_the_batch_and_its_paths(settings, folder, redis_url):
    submit([folder], settings=settings)
    message = messages(redis_url)[-1]
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "tasks.classify"


def test_the_ingest_records_the_counts(settings, folder, database):
    (folder / "notes.txt").write_text("hello")
    submission = submit([folder], settings=settings)
    with reading(database) as connection:
        (row,) = connection.execute(select(ingests)).mappings()
    assert row["id"] == submission.ingest_id
    assert (row["found"], row["enqueued"], row["ignored"]) == (5, 5, 1)
    assert row["submitted_at"] is not None


def test_sounds_submitted_twice_are_classified_at_most_twice(settings, folder, batch_rows):
    # Unfinished work has no row yet, so it is enqueued again; each ingest has its own batches.
    submit([folder], settings=settings)
    submit([folder], settings=settings)
    assert sum(row["sound_count"] for row in batch_rows()) == 10


def test_a_path_outside_the_roots_is_refused(settings, tmp_path, batch_rows):
    with pytest.raises(OutsideRootsError, match="CRATESORT_LIBRARY_ROOTS=main="):
        submit([tmp_path / "elsewhere.wav"], settings=settings)
    assert batch_rows() == []


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_producer_loads_no_model_library(database_url, redis_url, folder, tmp_path):
    program = (
        "import sys; from tasks.producer.submission import submit\n"
        f"print(submit([{str(folder)!r}]).enqueued)\n"
        "print(*sys.modules)"
    )
    settings = {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": database_url,
        "CRATESORT_LIBRARY_ROOTS": f"main={folder}",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment(tmp_path, settings),
        check=True,
        capture_output=True,
        text=True,
    )
    enqueued, modules = done.stdout.splitlines()
    assert enqueued == "5"
    heavy = {"tensorflow", "keras", "sklearn", "joblib", "pandas", "onnx", "onnxruntime"}
    assert not heavy & set(modules.split())


def test_sounds_found_before_a_walk_failed_are_in_the_ledger(
    settings, database, batch_rows, monkeypatch
):
    # Given a slow walk that is interrupted
    monkeypatch.setattr(submission, "_PORTION_SECONDS", 0.0)

    class Interrupted(FileSource):
        def __iter__(self):
            for number in range(300):
                yield FoundSound("main", f"{number:03}.wav", "p", "v", 1, 1)
            raise KeyboardInterrupt

    # When its sounds are submitted
    source = Interrupted([], Locator(settings))
    with pytest.raises(KeyboardInterrupt):
        submission.submit_source(source, settings=settings, database=database)
    # Then what was found more than a moment ago waits in batches
    assert sum(row["sound_count"] for row in batch_rows()) >= 256


def test_a_name_that_is_not_utf_8_is_submitted_like_any_other(settings, folder):
    path = os.fsencode(folder) + b"/\xff\xfe.wav"
    with open(path, "wb") as file:
        file.write(sounds.encoded())
    assert submit([path], settings=settings).enqueued == 1


def test_an_interactive_ingest_goes_past_a_full_window(
    settings, folder, tmp_path, batch_rows, redis_url
):
    # Given a night's work that fills the window
    submit([folder], settings=settings)
    # When an interactive ingest has one file
    (tmp_path / "library" / "now.wav").write_bytes(sounds.encoded())
    submit([folder / "now.wav"], settings=settings, interactive=True)
    # Then its message is there, in a queue of its own, and the night's work waits as before
    states = [(row["paths"], row["state"]) for row in batch_rows()]
    assert states[2:] == [(["b/2.wav"], "pending"), (["now.wav"], "queued")]
    with redis.Redis.from_url(redis_url) as client:
        (message,) = map(json.loads, client.lrange("interactive.main", 0, -1))
    assert message["headers"]["kwargsrepr"] == "batch 4 of ingest 2: 1 sounds from main/now.wav"
    assert len(messages(redis_url)) == 2


def measured(database_url, *, sound_count, seconds, folders_seconds=0.0):
    """Leave a finished batch that took this long, and its folders' listing besides."""
    with connected(database_url) as engine, engine.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "earlier")
        entries = [BatchEntry(f"{number}.wav", "p", "v") for number in range(sound_count)]
        ledger.add_batch(connection, ingest_id, "main", entries)
        (batch,) = ledger.take_pending(connection, window=9, limit=9)
        ledger.claim(connection, batch.id, token="t", worker="w", lease_seconds=60)
        ledger.finish(connection, batch.id, token="t", classified=sound_count, failed=0)
        times = BatchTimes(0.0, seconds, folders_seconds, 0.0, 0.0)
        batch_metrics.save(connection, batch.id, times, [])


@pytest.fixture
def sizes_of_seventy_more(settings, folder, batch_rows):
    """Submit seventy files besides the five, in batches of at most sixty; return their sizes."""

    def submitted():
        for number in range(70):
            (folder / f"{number}.wav").hardlink_to(folder / "a" / "1.wav")
        ingest = submit([folder], settings=settings.model_copy(update={"batch_size": 60}))
        rows = batch_rows()
        return [row["sound_count"] for row in rows if row["ingest_id"] == ingest.ingest_id]

    return submitted


def test_batches_are_smaller_if_sounds_take_long(database_url, sizes_of_seventy_more):
    # Given storage on which the latest batch took 20 ms a sound, and 20 ms whatever is in it
    measured(database_url, sound_count=40, seconds=0.82)
    # Then a batch is of a second's work, which is fewer than the settings allow
    assert sizes_of_seventy_more() == [50, 25]


def test_batches_have_the_configured_size_if_sounds_are_fast(database_url, sizes_of_seventy_more):
    measured(database_url, sound_count=40, seconds=0.0001)
    assert sizes_of_seventy_more() == [60, 15]


def test_batches_of_few_sounds_do_not_make_others_small(database_url, sizes_of_seventy_more):
    # Given a batch that took long for its sounds, then small ones
    measured(database_url, sound_count=40, seconds=0.82)
    for _ in range(20):
        measured(database_url, sound_count=1, seconds=0.05)
    # Then the sounds' time is that of the large one
    assert sizes_of_seventy_more() == [50, 25]


def test_single_sounds_do_not_determine_the_time_per_sound(database_url, sizes_of_seventy_more):
    measured(database_url, sound_count=1, seconds=0.05)
    assert sizes_of_seventy_more() == [60, 15]


def test_listing_a_large_folder_does_not_make_batches_small(database_url, sizes_of_seventy_more):
    measured(database_url, sound_count=40, seconds=0.0001, folders_seconds=10.0)
    assert sizes_of_seventy_more() == [60, 15]
