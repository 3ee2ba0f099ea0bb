"""One batch from claim to rows, on both databases, and the three fates of a fault."""

import math
import shutil
import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy.exc
from pydantic import SecretStr

from classifier.errors import ErrorCode, SoundError
from db.engine import create_engine
from db.queue import ledger, recovery
from db.queue.batch import BatchEntry
from db.states import BatchState
from tests.support import sounds
from workers import classification, library_roots
from workers.classification import classify_batch
from workers.context import WorkContext
from workers.errors import LibraryRootAwayError
from workers.faults import Fault
from workers.library_roots import ABSOLUTE
from workers.reading import sound_headers
from workers.reading.folder_cache import FolderCache
from workers.recovery.crash_marker import live_markers
from workers.recovery.crash_recovery import recover_batches
from workers.settings import Settings


@pytest.fixture
def folder(library, tmp_path):
    """One pack of the example library, and a text file that is called a sound."""
    shutil.copytree(library / "free stuff", tmp_path / "packs")
    (tmp_path / "packs" / "letter.wav").write_text("Dear Sir\n")
    return tmp_path / "packs"


@pytest.fixture
def context(database_url, folder, tmp_path):
    """A process's means to work, its library root at `folder`."""
    settings = Settings(
        database_url=SecretStr(database_url),
        library_roots={"packs": folder},
        data_folder=tmp_path / "data",
    )
    context = WorkContext.create(settings, create_engine(settings.database))
    yield context
    context.close()


@pytest.fixture
def queued(context):
    """Write these names as one batch and queue it; return its id."""

    def queue(names):
        entries = [BatchEntry(name, "a pack", "a vendor") for name in names]
        with context.database.begin() as connection:
            ingest_id = ledger.open_ingest(connection, "a test")
            ledger.add_batch(connection, ingest_id, "packs", entries)
            (batch,) = ledger.take_pending(connection, window=9, limit=9)
        return batch.id

    return queue


@pytest.fixture
def all_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_batch_writes_one_row_per_file_good_or_bad(
    queued, context, all_names, batch_rows, read_rows, database_url
):
    outcome = classify_batch(queued([*all_names, "gone.wav"]), context)

    assert (outcome.classified, outcome.failed) == (len(all_names) - 1, 2)
    rows = {row.path: row for row in read_rows(database_url)}
    assert sorted(rows) == sorted([*all_names, "gone.wav"])
    assert rows["letter.wav"].error_code == "not_audio"
    assert rows["gone.wav"].error_code == "missing_file"
    assert all(rows[name].category for name in all_names if name != "letter.wav")
    (batch,) = batch_rows()
    assert batch["state"] == BatchState.DONE
    assert (batch["classified"], batch["failed"]) == (outcome.classified, outcome.failed)


@pytest.fixture
def classified(queued, context, folder, read_rows, database_url):
    """Write files of these contents below the root, classify them; their rows by path."""

    def classified(**settings):
        files = {
            "Bass Loops/bass_120_Am.wav": sounds.encoded(),
            "Bass Loops/bass_120_Am.mid": sounds.midi(),
            "Pianos/Am/take 7.wav": sounds.encoded(),
            "Pianos/letter.mid": b"Dear Sir\n",
        }
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        asked = replace(context, settings=context.settings.model_copy(update=settings))
        classify_batch(queued(list(files)), asked)
        return {row.path: row for row in read_rows(database_url)}

    return classified


def test_a_midi_file_and_a_sound_of_the_same_name_are_two_sounds(classified):
    rows = classified()
    midi, wav = rows["Bass Loops/bass_120_Am.mid"], rows["Bass Loops/bass_120_Am.wav"]
    assert (midi.category, midi.confidence, midi.evidence) == ("stems-n-midi", 1.0, "format")
    assert wav.category == "bass-loop"
    assert midi.file_size_bytes == len(sounds.midi())
    assert (midi.duration_seconds, midi.sample_rate_hz, midi.sample_type) == (None, None, None)
    assert (midi.tempo_bpm, midi.musical_key, midi.playback) == (120.0, "A minor", "loop")
    # Fifty milliseconds hold no beat at 120.
    assert (wav.tempo_bpm, wav.musical_key) == (None, "A minor")
    letter = rows["Pianos/letter.mid"]
    assert (letter.error_code, letter.instrument, letter.playback) == ("not_audio", None, None)


@pytest.mark.parametrize(
    ("folder_words", "expected"),
    [(True, ("piano", "folder", "A minor")), (False, (None, None, None))],
)
def test_folder_words_give_attributes_when_they_are_enabled(classified, folder_words, expected):
    row = classified(folder_words=folder_words)["Pianos/Am/take 7.wav"]
    assert (row.instrument, row.instrument_source, row.musical_key) == expected


def test_a_row_does_not_depend_on_other_files_of_the_batch(
    queued, context, all_names, read_rows, database_url
):
    classify_batch(queued(all_names), context)
    together = read_rows(database_url)
    for name in all_names:
        classify_batch(queued([name]), context)
    assert read_rows(database_url) == together


# Pack-mates


@pytest.fixture
def voices(folder):
    """A folder in which most names say what all of them are; their paths."""
    names = ("take 01", "take 02", "Vox Chop 03", "vocal adlib", "vox 5", "Vocal Phrase 6")
    (folder / "Pack").mkdir()
    for name in names:
        (folder / "Pack" / f"{name}.wav").write_bytes(sounds.encoded())
    return [f"Pack/{name}.wav" for name in names]


@pytest.fixture
def said(read_rows, database_url):
    """What the table says of each path, but for when."""

    def said():
        return {
            row.path: (row.category, row.confidence, row.top3, row.evidence, row.needs_review)
            for row in read_rows(database_url)
        }

    return said


def test_a_row_does_not_depend_on_the_batch_boundaries(queued, context, voices, all_names, said):
    # Given two folders' sounds, classified in one batch
    paths = [*voices, *all_names]
    classify_batch(queued(paths), context)
    together = said()
    # When they come in another order, and one by one to a process that has listed nothing
    classify_batch(queued(paths[::-1]), context)
    backwards = said()
    for path in paths:
        classify_batch(queued([path]), replace(context, folders=FolderCache()))
    # Then all rows are equal
    assert backwards == together
    assert said() == together


def test_a_sound_with_an_uninformative_name_gets_its_folders_category(
    queued, context, voices, said
):
    classify_batch(queued(["Pack/take 01.wav"]), context)
    category, _, _, evidence, _ = said()["Pack/take 01.wav"]
    assert (category, evidence) == ("vocal", "mates")


def test_new_files_in_a_folder_count_from_the_next_batch(queued, context, voices, folder, said):
    # Given a folder of one sound
    for path in voices[1:]:
        (folder / path).rename(folder / path.replace("/", " "))
    classify_batch(queued(voices[:1]), context)
    alone = said()
    # When others come, and it is visited again by the same process
    for path in voices[1:]:
        (folder / path.replace("/", " ")).rename(folder / path)
    classify_batch(queued(voices[:1]), context)
    # Then they are heard
    assert said() != alone
    assert said()[voices[0]][0] == "vocal"


def test_other_files_in_a_folder_change_no_prediction(queued, context, voices, folder, said):
    classify_batch(queued(voices), context)
    before = said()
    for name in ("._Kick 1.wav", "Kick 2.txt", "Kick 3"):
        (folder / "Pack" / name).write_bytes(b"x")
    classify_batch(queued(voices), context)
    assert said() == before


def test_an_unlistable_folder_does_not_fail_its_sounds(queued, context, voices, said, monkeypatch):
    def refused(*_, **__):
        raise SoundError(ErrorCode.PERMISSION_DENIED, "it may be entered, not listed")

    monkeypatch.setattr(library_roots, "open_folder_beneath", refused)
    classify_batch(queued(voices), context)
    rows = said()
    assert rows["Pack/vox 5.wav"][0] == "vocal"
    assert {evidence for _, _, _, evidence, _ in rows.values()} <= {"name", "none"}


def test_a_row_has_whether_its_sound_needs_a_review(queued, context, voices, said, folder):
    (folder / "zzq.wav").write_bytes(sounds.encoded())
    classify_batch(queued([*voices, "zzq.wav"]), context)
    review_below = context.model.current(context.database).review_below
    rows = said()
    assert all(unsure == (confidence < review_below) for _, confidence, *_, unsure in rows.values())
    assert not rows["Pack/vocal adlib.wav"][-1]


def test_a_second_copy_of_a_message_does_nothing(queued, context, all_names, batch_rows):
    batch_id = queued(all_names)
    classify_batch(batch_id, context)
    before = batch_rows()
    assert classify_batch(batch_id, context) is None
    assert batch_rows() == before


def test_a_worker_that_lost_its_lease_writes_nothing(
    queued, context, all_names, monkeypatch, batch_rows, read_rows, database_url
):
    # Given a worker whose batch is taken from it while it reads
    batch_id = queued(all_names)
    read_headers = classification.read_headers

    def taken_away(*arguments):
        readings = read_headers(*arguments)
        token = batch_rows()[0]["token"]
        with context.database.begin() as connection:
            recovery.count_attempt(connection, batch_id, token=token)
            ledger.take_pending(connection, window=9, limit=9)
            ledger.claim(connection, batch_id, token="theirs", worker="other", lease_seconds=60)
        return readings

    monkeypatch.setattr(classification, "read_headers", taken_away)

    # When it comes to write
    assert classify_batch(batch_id, context) is None

    # Then nothing of it is there, and the other still holds the batch
    assert read_rows(database_url) == []
    (row,) = batch_rows()
    assert (row["state"], row["token"]) == (BatchState.RUNNING, "theirs")


def assert_handed_back(batch_rows):
    (row,) = batch_rows()
    assert (row["state"], row["attempts"], row["token"]) == (BatchState.PENDING, 0, None)


def test_a_missing_library_root_counts_no_attempt(
    queued, context, folder, all_names, batch_rows, read_rows, database_url
):
    batch_id = queued(all_names)
    folder.rename(folder.with_name("unmounted"))
    with pytest.raises(LibraryRootAwayError, match=str(folder)):
        classify_batch(batch_id, context)
    assert_handed_back(batch_rows)
    assert read_rows(database_url) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_stop_during_a_batch_counts_no_attempt(
    queued, context, all_names, monkeypatch, batch_rows, stop
):
    def stopping(*_):
        raise stop

    monkeypatch.setattr(sound_headers, "read_header", stopping)
    with pytest.raises(stop):
        classify_batch(queued(all_names), context)
    assert_handed_back(batch_rows)


def test_a_process_killed_by_its_time_limit_leaves_its_batch_to_the_supervisor(
    queued, context, all_names, monkeypatch, batch_rows
):
    # Given a limit so short that every batch has used it up
    hasty = replace(context, time_limit_seconds=1e-9)

    def stopping(*_):
        raise SystemExit

    monkeypatch.setattr(sound_headers, "read_header", stopping)
    # When a process is stopped for that
    with pytest.raises(SystemExit):
        classify_batch(queued(all_names), hasty)
    # Then it requeues nothing, and its crash marker has the sound that it was reading
    (row,) = batch_rows()
    assert (row["state"], row["attempts"]) == (BatchState.RUNNING, 0)
    (marker,) = live_markers(context.settings.running_folder)
    assert (marker.batch_id, marker.index) == (row["id"], 0)
    assert marker.overdue_seconds() > 0


def test_the_time_of_a_batch_starts_before_its_claim(queued, context, all_names, monkeypatch):
    # Given a database that takes half a second to give a batch out
    claim = classification.ledger.claim

    def slowly(*args, **kwargs):
        time.sleep(0.5)
        return claim(*args, **kwargs)

    left = []

    def looking(*_):
        (marker,) = live_markers(context.settings.running_folder)
        left.append(-marker.overdue_seconds())
        raise SystemExit

    monkeypatch.setattr(classification.ledger, "claim", slowly)
    monkeypatch.setattr(sound_headers, "read_header", looking)
    # When it is worked on, within a limit of a minute
    with pytest.raises(SystemExit):
        classify_batch(queued(all_names), replace(context, time_limit_seconds=60))
    # Then the half second is counted, as the pool does
    assert left[0] <= 59.5


def marked(context):
    """The batch and the sound in the context's own crash marker."""
    (marker,) = live_markers(context.settings.running_folder)
    return marker.batch_id, marker.index


def test_the_crash_marker_has_the_sound_that_is_being_read_and_then_none(
    queued, context, all_names, monkeypatch
):
    # Given an observer while sounds are read, and while the model runs
    noted = []
    read_one, results = sound_headers.read_sound, classification._results

    def reading(*arguments):
        noted.append(marked(context))
        return read_one(*arguments)

    def predicting(*arguments):
        noted.append(marked(context))
        return results(*arguments)

    monkeypatch.setattr(sound_headers, "read_sound", reading)
    monkeypatch.setattr(classification, "_results", predicting)
    # And storage that passes for fast, or files would be opened ahead and read by another function
    monkeypatch.setattr(sound_headers, "_SLOW_STORAGE_SECONDS", math.inf)
    batch_id = queued(all_names)
    # When a batch is classified
    classify_batch(batch_id, context)
    # Then the marker had each sound in turn, none with the model, and nothing at the end
    assert noted == [*((batch_id, index) for index in range(len(all_names))), (batch_id, None)]
    assert marked(context) == (None, None)


@pytest.mark.parametrize(
    ("waits", "ahead"),
    [
        pytest.param([0.4, 0, 0, 0], False, id="a few files wait long, for a processor"),
        pytest.param([0.12, 0.12, 0.12, 0], True, id="most files wait, for storage"),
    ],
)
def test_a_busy_host_is_not_reported_as_slow_storage(
    queued, context, folder, monkeypatch, waits, ahead
):
    # Given files that keep their reader waiting
    names = [f"{number:02}.wav" for number in range(20)]
    for name in names:
        (folder / name).write_bytes(sounds.encoded())
    read_one, opened_ahead, opened = sound_headers.read_sound, sound_headers.opened_ahead, []

    def reading(root, path):
        time.sleep(waits[names.index(path) % len(waits)])
        return read_one(root, path)

    def opening(open_one, paths):
        opened.extend(paths)
        return opened_ahead(open_one, paths)

    monkeypatch.setattr(sound_headers, "read_sound", reading)
    monkeypatch.setattr(sound_headers, "opened_ahead", opening)
    monkeypatch.setattr(sound_headers, "_SLOW_STORAGE_SECONDS", 0.1)
    # When they are read, then the rest is opened ahead if it was storage that they waited for
    classify_batch(queued(names), context)
    assert opened == (names[16:] if ahead else [])


def break_prediction(context, monkeypatch):
    def failing(*_):
        raise ZeroDivisionError("a fault of our own")

    classifier = context.model.current(context.database)
    monkeypatch.setattr(type(classifier), "predict_detailed", failing)


def test_a_bug_is_logged_and_counted_as_an_attempt(
    queued, context, all_names, monkeypatch, batch_rows
):
    batch_id = queued(all_names)
    break_prediction(context, monkeypatch)
    with pytest.raises(ZeroDivisionError):
        classify_batch(batch_id, context)
    (row,) = batch_rows()
    assert (row["state"], row["attempts"]) == (BatchState.PENDING, 1)


def test_a_sound_that_triggers_a_bug_is_isolated(
    queued, context, all_names, monkeypatch, batch_rows
):
    # Given a fault of our own in reading one sound of several
    read_header = sound_headers.read_header

    def failing(fd, size_bytes, name):
        if name == all_names[1]:
            raise ZeroDivisionError("a fault of our own")
        return read_header(fd, size_bytes, name)

    monkeypatch.setattr(sound_headers, "read_header", failing)
    # When its batch is read
    with pytest.raises(ZeroDivisionError):
        classify_batch(queued(all_names), context)
    # Then it alone is a suspect, the others are requeued without it, and the marker is empty
    rest, suspect = batch_rows()
    assert (suspect["paths"], suspect["suspect"]) == ([all_names[1]], True)
    assert rest["paths"] == [name for name in all_names if name != all_names[1]]
    assert (rest["attempts"], rest["suspect"]) == (0, False)
    assert marked(context) == (None, None)


def test_a_sound_with_three_internal_errors_gets_an_error_row(
    queued, context, monkeypatch, batch_rows, read_rows, database_url
):
    batch_id = queued(["snare-03.wav"])
    break_prediction(context, monkeypatch)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            classify_batch(batch_id, context)
        with context.database.begin() as connection:
            ledger.take_pending(connection, window=9, limit=9)
    (row,) = read_rows(database_url)
    assert row.error_code == "internal_error"
    assert "a fault of our own" in row.error_message
    assert row.file_size_bytes > 0  # known, so that only another file is tried again
    assert [batch["state"] for batch in batch_rows()] == [BatchState.DONE]


def test_an_unrequested_exit_is_an_internal_error(
    queued, context, all_names, monkeypatch, batch_rows
):
    def exiting(*_):
        raise SystemExit

    monkeypatch.setattr(sound_headers, "read_header", exiting)
    with pytest.raises(SystemExit):
        classify_batch(queued([all_names[0]]), replace(context, is_stopping=lambda: False))
    (row,) = batch_rows()
    assert (row["state"], row["attempts"]) == (BatchState.PENDING, 1)


def test_a_batch_too_large_for_memory_is_halved_until_it_fits(
    queued, context, all_names, monkeypatch, batch_rows, read_rows, database_url
):
    # Given a process with room for the names of three sounds
    claimed_entries = classification.claimed_entries

    def short_of_memory(*arguments, **options):
        entries = claimed_entries(*arguments, **options)
        if len(entries) > 3:
            raise MemoryError
        return entries

    monkeypatch.setattr(classification, "claimed_entries", short_of_memory)
    queued(all_names)
    # When it works until nothing is open
    raised = 0
    while any(batch["state"] != BatchState.DONE for batch in batch_rows()):
        with context.database.begin() as connection:
            batch_id = ledger.next_open(connection)
        try:
            classify_batch(batch_id, context)
        except MemoryError:
            raised += 1
        assert raised <= 2 * len(all_names), "tries without end"
    # Then each sound has its row, in the batch's order, and no attempt is counted
    assert raised > 0
    assert {row.path for row in read_rows(database_url)} == set(all_names)
    assert sum(batch["sound_count"] for batch in batch_rows()) == len(all_names)
    assert [row.path for row in read_rows(database_url) if row.error_code] == ["letter.wav"]


# Rows that the database refuses


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"frame_count": 2**70}, id="a number beyond its column"),
        pytest.param({"note": "half of a pair \udcff"}, id="a text that is no Unicode"),
        pytest.param({"note": "a NUL \0"}, id="a text that PostgreSQL does not take"),
    ],
)
def test_a_row_that_the_database_refuses_becomes_an_error_row_and_the_others_are_written(
    queued, context, all_names, monkeypatch, batch_rows, read_rows, database_url, changed
):
    # Given a sound among others of which we say what a column cannot hold
    read_header, bad = sound_headers.read_header, all_names[2]

    def reading(fd, size_bytes, name):
        found = read_header(fd, size_bytes, name)
        if name != bad:
            return found
        if "note" in changed:
            return found._replace(note=changed["note"])
        return found._replace(header=found.header._replace(**changed))

    monkeypatch.setattr(sound_headers, "read_header", reading)
    # When its batch is classified
    outcome = classify_batch(queued(all_names), context)
    # Then its row has the error at once, and all others are unchanged
    rows = {row.path: row for row in read_rows(database_url)}
    assert sorted(rows) == all_names
    assert [name for name in all_names if not rows[name].category] in (
        [bad, "letter.wav"],
        ["letter.wav"],  # SQLite holds a NUL
    )
    if not rows[bad].category:
        assert rows[bad].error_code == "internal_error"
        assert rows[bad].error_message.startswith("the database refused its row: ")
        assert rows[bad].file_size_bytes > 0
    (batch,) = batch_rows()
    assert (batch["state"], batch["attempts"]) == (BatchState.DONE, 0)
    assert (batch["classified"], batch["failed"]) == (outcome.classified, outcome.failed)


def test_a_path_too_long_for_its_column_gets_a_row(
    queued, context, all_names, batch_rows, read_rows, database_url
):
    classify_batch(queued([all_names[0], "half \udcff.wav"]), context)
    rows = {row.path: row.error_code for row in read_rows(database_url)}
    assert rows == {all_names[0]: None, "half \\udcff.wav": "internal_error"}
    assert [batch["state"] for batch in batch_rows()] == [BatchState.DONE]


def test_a_table_that_rejects_all_rows_is_not_an_error_of_the_sounds(
    queued, context, all_names, monkeypatch, batch_rows, read_rows, database_url
):
    def without_a_column(*_arguments, **_options):
        raise sqlalchemy.exc.ProgrammingError("INSERT", {}, Exception("no such column"))

    monkeypatch.setattr(classification.sounds, "save", without_a_column)
    with pytest.raises(sqlalchemy.exc.ProgrammingError):
        classify_batch(queued(all_names), context)
    (row,) = batch_rows()
    assert (row["state"], row["attempts"]) == (BatchState.PENDING, 1)
    assert read_rows(database_url) == []


def test_a_link_that_leaves_the_root_is_not_read(
    queued, context, folder, tmp_path, read_rows, database_url
):
    (tmp_path / "secret.wav").write_bytes(sounds.encoded())
    (folder / "out.wav").symlink_to(tmp_path / "secret.wav")
    classify_batch(queued(["out.wav", "../secret.wav", str(tmp_path / "secret.wav")]), context)
    codes = {row.path: row.error_code for row in read_rows(database_url)}
    assert codes == {
        "out.wav": "outside_root",
        "../secret.wav": "outside_root",
        str(tmp_path / "secret.wav"): "invalid_path",
    }


def test_a_link_that_replaced_a_resolved_file_is_not_followed(tmp_path):
    # Given an absolute path that was resolved, and its file then replaced by a link
    (tmp_path / "secret.wav").write_bytes(sounds.encoded())
    (tmp_path / "kick.wav").symlink_to("secret.wav")

    # When it is read as a path without a library root
    with ABSOLUTE.opened() as root:
        reading = sound_headers.read_sound(root, str(tmp_path / "kick.wav"))

    # Then the link is refused
    assert isinstance(reading.outcome, SoundError)
    assert reading.outcome.code is ErrorCode.OUTSIDE_ROOT


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_batch_is_requeued_with_no_attempt_counted_when_a_stopped_database_answers(
    queued, context, all_names, monkeypatch, batch_rows, read_rows, database_url, postgres_server
):
    # Given a database that dies while the batch is read
    batch_id = queued(all_names)
    read_headers = classification.read_headers

    def power_cut(*arguments):
        readings = read_headers(*arguments)
        postgres_server.kill()
        return readings

    monkeypatch.setattr(classification, "read_headers", power_cut)
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011  (which one is the next line)
            classify_batch(batch_id, context)
        assert Fault.of(caught.value) is Fault.TRANSIENT
    finally:
        postgres_server.start()

    # Then the batch is as it was claimed, with nothing written, and its lease will end
    (row,) = batch_rows()
    assert (row["state"], row["attempts"]) == (BatchState.RUNNING, 0)
    assert row["lease_expires_at"] is not None
    assert read_rows(database_url) == []
    # And who lives on has left word of it, so that it need not
    assert recover_batches(context.database, context.settings) == 1
    assert_handed_back(batch_rows)


def test_slow_storage_gives_the_same_rows(
    queued, context, all_names, read_rows, database_url, monkeypatch
):
    # Given storage that keeps its reader waiting, and more files than it is judged by
    folder = context.settings.library_roots["packs"]
    for number in range(30):
        (folder / f"more {number}.wav").hardlink_to(folder / all_names[0])
    names = [*all_names, *(f"more {number}.wav" for number in range(30)), "gone.wav", "../out.wav"]
    open_beneath, threads = library_roots.open_beneath, set()

    def slowly(*arguments, **options):
        threads.add(threading.current_thread())
        time.sleep(0.002)
        return open_beneath(*arguments, **options)

    classify_batch(queued(names), context)
    before = read_rows(database_url)
    # When the same batch is classified there
    monkeypatch.setattr(library_roots, "open_beneath", slowly)
    classify_batch(queued(names), context)
    # Then other processes opened the files, and every row is unchanged
    assert len(threads) > 1
    assert read_rows(database_url) == before


def test_a_sound_twice_in_a_batch_has_one_row(queued, context, all_names, read_rows, database_url):
    outcome = classify_batch(queued([all_names[0]] * 3), context)
    assert outcome.classified == 3
    assert len(read_rows(database_url)) == 1
