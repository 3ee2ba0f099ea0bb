"""What work costs, in counts that no other process on the machine can change.

Times are measured (`make bench`), not tested. A count that grows by accident is the first sign of a
time that will.
"""

import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import Engine, event, select

from db.engine import create_engine, reading
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.results import sounds
from db.tables import batches
from tasks.producer.file_source import FileSource
from tasks.producer.locator import Locator
from tasks.producer.submission import submit_source
from tests.support import sounds as made
from tests.support.command_line import clean_environment
from tests.support.databases import connected
from tests.support.places import REPOSITORY
from workers.classification import classify_batch
from workers.context import WorkContext
from workers.settings import Settings


@contextmanager
def statements():
    """Collect what all engines of this process are asked within the block."""
    asked = []

    def note(connection, cursor, statement, parameters, context, executemany):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def library(tmp_path):
    """A folder that is filled with this many sounds."""
    folder = tmp_path / "library" / "a pack"
    folder.mkdir(parents=True)
    (folder / "0.wav").write_bytes(made.encoded())

    def fill(count):
        for number in range(1, count):
            (folder / f"{number}.wav").hardlink_to(folder / "0.wav")
        return tmp_path / "library"

    return fill


@pytest.fixture
def settings(database_url, tmp_path):
    return Settings(
        database_url=SecretStr(database_url),
        library_roots={"main": tmp_path / "library"},
        data_folder=tmp_path / "data",
        batch_size=10,
    )


def submitted(settings, folder):
    database = create_engine(settings.database)
    source = FileSource([str(folder)], Locator(settings))
    done = submit_source(source, settings=settings, database=database)
    database.dispose()
    return done


@pytest.mark.parametrize("count", [2, 200])
def test_a_batch_takes_seven_statements_for_any_number_of_sounds(library, settings, count):
    # Given a worker that has loaded its model, and a batch
    library(count)
    context = WorkContext.create(settings, create_engine(settings.database))
    context.model.current(context.database)
    entries = [BatchEntry(f"a pack/{number}.wav", "p", "v") for number in range(count)]
    with context.database.begin() as connection:
        ledger.add_batch(connection, ledger.open_ingest(connection, "a test"), "main", entries)
        (batch,) = ledger.take_pending(connection, window=9, limit=9)
    # When the batch is classified
    with statements() as asked:
        classify_batch(batch.id, context)
    context.close()
    # Then it was: who serves, claim, its sounds, finish, rows, early labels, measures; SQLite says
    # BEGIN, too
    work = [statement for statement in asked if not statement.startswith("BEGIN")]
    assert len(work) == 7, work


def test_a_full_batch_takes_the_producer_at_most_three_statements(library, settings):
    # Given as many sounds as fill three batches, and as fill thirteen
    library(30)
    with statements() as few:
        assert submitted(settings, settings.library_roots["main"]).enqueued == 30
    library_more = settings.library_roots["main"] / "b pack"
    library_more.mkdir()
    for number in range(100):
        (library_more / f"{number}.wav").hardlink_to(library_more.parent / "a pack" / "0.wav")
    # When both are submitted (what the first wrote is in the ledger, and has no rows yet)
    with statements() as many:
        assert submitted(settings, settings.library_roots["main"]).enqueued == 130
    # Then ten more batches are ten more statements, and where they come slowly ten more look-ups
    # and updates of progress
    more = [len([one for one in asked if one[:5] != "BEGIN"]) for asked in (many, few)]
    assert 10 <= more[0] - more[1] <= 10 * 3


def test_lookups_take_few_statements_that_a_driver_can_cache(database):
    # Given that the sqlite3 module keeps a hundred statements, as large as they are
    keys = [sounds.sound_key("main", f"{number}.wav") for number in range(300)]
    # When a walk asks for whatever it has found so far, again and again
    with statements() as asked, reading(database) as connection:
        for count in range(1, 300):
            assert sounds.find_known(connection, keys[:count]) == {}
    # Then the statements are of a few sizes
    assert len(set(asked)) < 15


def test_a_path_takes_less_than_twice_its_length_in_redis(
    database_url, library, settings, redis_url
):
    # Given a full window of full batches
    folder = library(100)
    settings = settings.model_copy(
        update={"broker_url": SecretStr(redis_url), "batch_size": 50, "window_batches": 2}
    )
    # When it is published
    submitted(settings, folder)
    # Then Redis holds the paths, some text around each of them, and a fixed part for each message
    with connected(database_url) as engine, reading(engine) as connection:
        paths = [path for row in connection.scalars(select(batches.c.paths)) for path in row]
    assert len(paths) == 100
    with redis.Redis.from_url(redis_url) as client:
        messages = client.lrange("classify.main:3", 0, -1)
    assert len(messages) == 2
    a_path = len(json.dumps(paths)) * 4 / 3 / 100  # kombu writes bodies in base64
    assert sum(map(len, messages)) < 100 * a_path + 2 * 1500


@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
def test_a_plain_header_takes_four_system_calls(tmp_path, library):
    if shutil.which("strace") is None:
        pytest.skip("strace is not here: apt-get install strace")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not look at processes here (ptrace is forbidden)")
    folder = library(300)
    program = (
        "import sys\n"
        "from workers.library_roots import LibraryRoot\n"
        "from workers.reading.sound_headers import read_sound\n"
        "with LibraryRoot('main', sys.argv[1].encode()).opened() as root:\n"
        "    for number in range(int(sys.argv[2])):\n"
        "        assert read_sound(root, f'a pack/{number}.wav').file_size_bytes\n"
    )

    def calls(count):
        log = tmp_path / f"calls of {count}"
        subprocess.run(
            ["strace", "-f", "-qq", "-o", log, sys.executable, "-c", program, folder, str(count)],
            env=clean_environment(tmp_path, {}),
            cwd=REPOSITORY,
            check=True,
        )
        return log.read_text().splitlines()

    # Given what 100 files cost, and what 300 cost, once Python has compiled its modules
    calls(1)
    few, many = calls(100), calls(300)
    # Then each of the 200 more is opened beneath the root, looked at, read once and closed
    for name in ("openat2", "(newfstatat|fstat)", "pread64", "close"):
        more = [
            sum(bool(re.search(rf" {name}\(", line)) for line in lines) for lines in (many, few)
        ]
        assert more[0] - more[1] == pytest.approx(200, abs=5), name
    # (memory is asked for now and then)
    assert len(many) - len(few) < 200 * 4.5


def test_notes_and_attributes_are_written_without_further_statements(database_url):
    result = sounds.SoundResult(
        "main", "a.wav", "p", "v", 1, 1, None, sounds.Prediction((1.0,) + (0.0,) * 11, "v1")
    )
    with connected(database_url) as engine, engine.begin() as connection, statements() as asked:
        sounds.save(connection, [result] * 3)
    assert len(asked) == 2  # the rows, and whether labels were given before
