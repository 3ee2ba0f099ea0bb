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
from db.tables import ingests
from tasks.finding import OutsideRootsError
from tasks.producer import submit
from tests import sounds
from tests.processes import clean_environment
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
        return [json.loads(message) for message in client.lrange("classify:3", 0, -1)]


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


def test_the_ingest_says_what_was_found(settings, folder, database):
    (folder / "notes.txt").write_text("hello")
    submission = submit([folder], settings=settings)
    with reading(database) as connection:
        (row,) = connection.execute(select(ingests)).mappings()
    assert row["id"] == submission.ingest_id
    assert (row["found"], row["enqueued"], row["ignored"]) == (5, 5, 1)
    assert row["submitted_at"] is not None


def test_what_is_handed_in_twice_is_worked_on_twice_at_most(settings, folder, batch_rows):
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
        "import sys; from tasks.producer import submit\n"
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


def test_a_name_that_is_not_utf_8_is_submitted_like_any_other(settings, folder):
    path = os.fsencode(folder) + b"/\xff\xfe.wav"
    with open(path, "wb") as file:
        file.write(sounds.encoded())
    assert submit([path], settings=settings).enqueued == 1


def test_what_somebody_waits_for_goes_past_a_full_window(
    settings, folder, tmp_path, batch_rows, redis_url
):
    # Given a night's work that fills the window
    submit([folder], settings=settings)
    # When somebody waits for one file
    (tmp_path / "library" / "now.wav").write_bytes(sounds.encoded())
    submit([folder / "now.wav"], settings=settings, interactive=True)
    # Then its message is there, in a queue of its own, and the night's work waits as before
    states = [(row["paths"], row["state"]) for row in batch_rows()]
    assert states[2:] == [(["b/2.wav"], "pending"), (["now.wav"], "queued")]
    with redis.Redis.from_url(redis_url) as client:
        (message,) = map(json.loads, client.lrange("interactive", 0, -1))
    assert message["headers"]["kwargsrepr"] == "batch 4: 1 sounds from now.wav"
    assert len(messages(redis_url)) == 2
