"""Storage that fails, a mount that is empty: one file's fault, or the host's."""

import errno

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from db.engine import create_engine, reading
from db.queue import ledger, root_names
from db.queue.batch import BatchEntry
from db.results import gone
from db.results.sounds import sound_key
from db.states import BatchState
from db.tables import batches
from tests.support import sounds
from workers.classification import classify_batch
from workers.context import WorkContext
from workers.errors import LibraryRootAwayError
from workers.reading import host_faults, sound_headers
from workers.settings import Settings

NAMES = [f"Pack/kick {number}.wav" for number in range(4)]


@pytest.fixture
def database_url(sqlite_url):
    """One database: what is decided here is not decided by it."""
    return sqlite_url


@pytest.fixture
def root(tmp_path):
    """A library root with a pack of four sounds."""
    (tmp_path / "root" / "Pack").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "root" / name).write_bytes(sounds.encoded())
    return tmp_path / "root"


@pytest.fixture
def context(database_url, root, tmp_path, monkeypatch):
    """A worker's means to work, which does not pause between its tries."""
    monkeypatch.setattr(sound_headers, "_PAUSES_SECONDS", (0, 0))
    settings = Settings(
        broker_url=SecretStr("redis://unused"),
        database_url=SecretStr(database_url),
        library_roots={"main": root},
        data_folder=tmp_path / "data",
    )
    context = WorkContext.create(settings, create_engine(settings.database))
    yield context
    context.close()


@pytest.fixture
def try_batch(context):
    """Hand in sounds as one batch and classify it."""

    def try_batch(names=NAMES, *, seen=True, setbacks=0):
        entries = [BatchEntry(name, "Pack", "Pack") for name in names]
        with context.database.begin() as connection:
            ingest_id = ledger.open_ingest(connection, "a test")
            ledger.add_batch(connection, ingest_id, "main", entries, seen=seen)
            (batch,) = ledger.take_pending(connection, window=9, limit=9)
            connection.execute(update(batches).values(setbacks=setbacks))
        return classify_batch(batch.id, context)

    return try_batch


@pytest.fixture
def fail_to_read(monkeypatch):
    """Make the storage fail for sounds whose name has this part, so many times."""

    def fail(part, times=10**6, fault=errno.EIO):
        read_header, left = sound_headers.read_header, iter(range(times))

        def failing(fd, size_bytes, name):
            if part in name and next(left, None) is not None:
                raise OSError(fault, "the storage fails")
            return read_header(fd, size_bytes, name)

        monkeypatch.setattr(sound_headers, "read_header", failing)

    return fail


@pytest.fixture
def outcomes(read_rows, database_url):
    """Return each path's category or error code."""
    return lambda: {row.path: row.category or row.error_code for row in read_rows(database_url)}


@pytest.mark.parametrize(
    "fault", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOLCK, errno.ENODEV]
)
def test_a_storage_error_of_one_sound_affects_no_other(
    try_batch, fail_to_read, outcomes, fault, read_rows, database_url
):
    fail_to_read("kick 2", fault=fault)
    outcome = try_batch()
    assert (outcome.classified, outcome.failed) == (3, 1)
    assert outcomes() | {"Pack/kick 2.wav": "drum"} == dict.fromkeys(NAMES, "drum")
    (failed,) = [row for row in read_rows(database_url) if row.error_code]
    assert failed.error_code == "storage_error"
    assert errno.errorcode[fault] in failed.error_message
    # And any ingest looks at it again
    assert failed.file_size_bytes is None


def test_a_short_storage_failure_affects_no_sound(try_batch, fail_to_read, outcomes):
    fail_to_read("kick 2", times=2)
    try_batch()
    assert outcomes() == dict.fromkeys(NAMES, "drum")


def test_storage_that_fails_for_all_sounds_requeues_the_batch(
    try_batch, fail_to_read, outcomes, batch_rows
):
    fail_to_read("kick")
    with pytest.raises(LibraryRootAwayError, match=r"Pack/kick 0\.wav.*EIO.*mounted"):
        try_batch()
    (row,) = batch_rows()
    assert (row["state"], row["setbacks"], row["attempts"]) == (BatchState.PENDING, 1, 0)
    assert "Pack/kick 0.wav" in row["reason"]
    assert outcomes() == {}


def test_storage_that_fails_during_a_batch_requeues_it(
    try_batch, fail_to_read, monkeypatch, outcomes
):
    # Given a mount that gives two sounds and nothing from then on
    read_header, left = sound_headers.read_header, iter(range(2))

    def failing(*arguments):
        if next(left, None) is None:
            raise OSError(errno.EIO, "the storage fails")
        return read_header(*arguments)

    monkeypatch.setattr(sound_headers, "read_header", failing)
    with pytest.raises(LibraryRootAwayError, match="kick 1"):
        try_batch()
    assert outcomes() == {}


def test_running_out_of_descriptors_requeues_the_batch(try_batch, fail_to_read, outcomes):
    fail_to_read("kick 2", fault=errno.EMFILE)
    with pytest.raises(OSError, match="the storage fails"):
        try_batch()
    assert outcomes() == {}


def empty(root):
    for name in NAMES:
        (root / name).unlink()
    (root / "Pack").rmdir()


def remove_pack(root):
    empty(root)
    (root / "another pack").mkdir()


def empty_pack(root):
    remove_pack(root)
    (root / "Pack").mkdir()


@pytest.mark.parametrize("lose", [empty, remove_pack, empty_pack])
def test_sounds_all_missing_from_an_empty_folder_requeue_the_batch(
    root, try_batch, outcomes, batch_rows, lose
):
    lose(root)
    with pytest.raises(LibraryRootAwayError, match="mounted"):
        try_batch()
    (row,) = batch_rows()
    assert (row["state"], row["setbacks"]) == (BatchState.PENDING, 1)
    assert outcomes() == {}


@pytest.mark.parametrize("forgotten", [1, 4])
def test_sounds_of_a_renamed_folder_end_at_once_without_rows(
    root, try_batch, outcomes, context, forgotten
):
    # Given a library of two packs
    (root / "Other").mkdir()
    (root / "Other" / "kick.wav").write_bytes(sounds.encoded())
    try_batch(["Other/kick.wav"])
    try_batch()
    # When one is renamed while a batch of it waits, and some of its rows are forgotten, or all
    (root / "Pack").rename(root / "New")
    with context.database.begin() as connection:
        gone.forget(connection, [sound_key("main", name) for name in NAMES[:forgotten]])
    outcome = try_batch()
    # Then the batch ends, and the forgotten rows stay away
    assert outcome.failed == len(NAMES)
    assert outcomes().keys() == {*NAMES[forgotten:], "Other/kick.wav"}


@pytest.mark.parametrize("left", ["an empty folder", "a link to nothing"])
def test_a_missing_mount_within_a_root_is_the_hosts_fault(root, try_batch, outcomes, left):
    (root / "Other.wav").write_bytes(sounds.encoded())
    try_batch(["Other.wav"])
    (root / "Pack").rename(root.parent / "Pack")
    if left == "an empty folder":
        (root / "Pack").mkdir()
    else:
        (root / "Pack").symlink_to("nothing")
    with pytest.raises(LibraryRootAwayError, match="mounted"):
        try_batch()
    with pytest.raises(LibraryRootAwayError, match="mounted"):
        try_batch(["Pack/below/kick.wav"])
    assert outcomes().keys() == {"Other.wav"}


def test_after_many_retries_they_are_recorded_as_missing(root, try_batch, outcomes):
    empty(root)
    try_batch(setbacks=host_faults.HOST_TRIES)
    assert outcomes() == dict.fromkeys(NAMES, "missing_file")


def test_sounds_never_seen_by_the_producer_are_missing_at_once(root, try_batch, outcomes):
    empty(root)
    try_batch(seen=False)
    assert outcomes() == dict.fromkeys(NAMES, "missing_file")


def test_missing_sounds_beside_readable_ones_are_missing_at_once(root, try_batch, outcomes):
    for name in NAMES[:3]:
        (root / name).unlink()
    try_batch(NAMES[:3])
    assert outcomes() == dict.fromkeys(NAMES[:3], "missing_file")


def test_a_root_without_any_known_name_is_another_folder(root, try_batch, context, outcomes):
    # Given a library of which a pack was classified
    try_batch()
    # When another folder is mounted there, which has a pack of that name and other sounds in it
    (root / "flat.wav").write_bytes(sounds.encoded())
    (root / "Pack").rename(root / "Other")
    with pytest.raises(LibraryRootAwayError, match="none of the files and folders known there"):
        try_batch(["missing.wav"])
    assert outcomes() == dict.fromkeys(NAMES, "drum")


def test_a_root_with_one_readable_known_sound_is_recognised(try_batch, context, outcomes):
    # Given a batch that begins with a sound that is not there
    try_batch(["gone.wav", NAMES[0]])
    assert outcomes() == {"gone.wav": "missing_file", NAMES[0]: "drum"}
    # Then the root would not be taken for another folder, for want of that one
    with reading(context.database) as connection:
        assert root_names.known_names(connection, "main") == ["Pack"]
