"""Files that are gone, and files that moved: what a walk tells of rows it did not meet."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from classifier.errors import ErrorCode
from classifier.files.safe_open import mtime_ns
from db.reporting import counts
from db.results import folders, gone, labels, sounds
from db.results.queries import results
from db.states import LabelSource
from db.tables import label_history
from tasks.producer.discovery import Ignored
from tasks.producer.file_source import FileSource
from tasks.producer.gone_files import paired
from tasks.producer.locator import Locator
from tasks.producer.submission import submit_source
from tests.support.sound_results import failed, predicted
from workers.settings import Settings


@pytest.fixture
def folder(tmp_path):
    """A library of three files of different sizes."""
    for number, path in enumerate(("a/kick.wav", "a/snare.wav", "b/pad.wav"), start=1):
        file = tmp_path / "library" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * number)
    return tmp_path / "library"


@pytest.fixture
def settings(database_url, folder):
    return Settings(database_url=SecretStr(database_url), library_roots={"main": folder})


def key(path):
    return sounds.sound_key("main", path)


@pytest.fixture
def visit(database, folder):
    """Write rows of files as they are now, as a worker does."""

    def visit(*paths):
        with database.begin() as connection:
            sounds.save(connection, [visited(path) for path in paths])

    def visited(path):
        status = (folder / path).stat()
        stamp = {"file_size_bytes": status.st_size, "mtime_ns": mtime_ns(status)}
        return predicted(path, root="main", **stamp)

    return visit


@pytest.fixture
def walk(database, settings):
    """Ingest folders, without classifying anything."""

    def walk(*paths, during=lambda: None, exclude=()):
        source = FileSource(list(map(str, paths)), Locator(settings), exclude=exclude)
        return submit_source(
            source, settings=settings, database=database, on_progress=lambda _: during()
        )

    return walk


@pytest.fixture
def known(visit, walk, folder):
    """The library after its first ingest."""
    visit("a/kick.wav", "a/snare.wav", "b/pad.wav")
    assert walk(folder).skipped_unchanged == 3
    return folder


@pytest.fixture
def listed(database):
    """The paths that are listed; with gone=True, those that are gone."""

    def listed(**narrowed):
        with database.begin() as connection:
            return [row.path for row in results(connection, **narrowed)]

    return listed


@pytest.fixture
def label(database):
    def label(path, category="vocal", source=LabelSource.HUMAN):
        given = [labels.NewLabel(key(path), category, source)]
        with database.begin() as connection:
            labels.write_labels(connection, given, labelled_by="ada")

    return label


@pytest.fixture
def label_of(database):
    def label_of(path):
        with database.begin() as connection:
            found = labels.labels_of(connection, [key(path)]).get(key(path))
        return found and (found.category, found.source, found.labelled_by)

    return label_of


# Gone


def test_a_gone_file_is_omitted_from_lists_and_counts(known, walk, listed, label, database):
    # Given a labelled file that is deleted
    label("a/kick.wav")
    (known / "a/kick.wav").unlink()
    # When its folder is walked again
    submission = walk(known)
    # Then it is gone, and still known
    assert (submission.gone, submission.moved, submission.enqueued) == (1, 0, 0)
    assert listed() == ["a/snare.wav", "b/pad.wav"]
    assert listed(gone=True) == ["a/kick.wav"]
    with database.begin() as connection:
        (row,) = results(connection, gone=True)
        counted = counts.sound_counts(connection)
    assert (row.filed_as, row.category, row.label) == ("vocal", "drum", "vocal")
    assert (counted.classified, counted.categories) == (2, {"drum": 2})
    # And the next walk does not report it
    assert walk(known).gone == 0


def test_the_files_of_a_deleted_folder_are_gone(known, walk, listed):
    (known / "b/pad.wav").unlink()
    (known / "b").rmdir()
    assert walk(known).gone == 1
    assert listed(gone=True) == ["b/pad.wav"]


def test_a_file_that_reappears_is_no_longer_gone(known, walk, listed):
    # Given a file that was gone for one walk
    (known / "a/kick.wav").rename(known.parent / "kick.wav")
    assert walk(known).gone == 1
    # When it is back as it was
    (known.parent / "kick.wav").rename(known / "a/kick.wav")
    submission = walk(known)
    # Then it is listed, without being classified again
    assert submission.enqueued == 0
    assert listed(gone=True) == []
    assert "a/kick.wav" in listed()


def test_a_dangling_link_that_reappears_is_no_longer_gone(known, walk, listed, database):
    # Given a link to nothing, which was gone for a walk
    link = known / "a/link.wav"
    link.symlink_to("nothing.wav")
    missing = failed("a/link.wav", ErrorCode.MISSING_FILE, root="main")
    with database.begin() as connection:
        sounds.save(connection, [missing])
    link.unlink()
    assert walk(known).gone == 1
    # When it is back, and a worker does not find its target
    link.symlink_to("nothing.wav")
    assert walk(known).enqueued == 1
    with database.begin() as connection:
        sounds.save(connection, [missing])
    # Then it is there
    assert listed(gone=True) == []
    # And to name a file that is not there does not bring it back
    link.unlink()
    walk(known)
    walk(link)
    assert listed(gone=True) == ["a/link.wav"]


def test_a_result_marks_a_file_as_present_unless_it_is_missing(
    known, walk, visit, listed, database
):
    (known / "a/kick.wav").unlink()
    walk(known)
    with database.begin() as connection:
        sounds.save(connection, [failed("a/kick.wav", ErrorCode.MISSING_FILE, root="main")])
    assert listed(gone=True) == ["a/kick.wav"]
    (known / "a/kick.wav").write_bytes(b"back")
    visit("a/kick.wav")
    assert listed(gone=True) == []


def test_only_files_of_walked_folders_are_marked_as_gone(known, walk, listed):
    # Given two files that are deleted, and a folder whose name begins like theirs
    (known / "b 2").mkdir()
    (known / "b 2/x.wav").write_bytes(b"other")
    (known / "a/kick.wav").unlink()
    (known / "b/pad.wav").unlink()
    # When other folders are walked, and a file is named by itself
    assert walk(known / "b 2").gone == 0
    assert walk(known / "a/snare.wav").gone == 0
    # Then nothing is gone
    assert listed(gone=True) == []
    assert walk(known / "a").gone == 1


def test_an_empty_folder_with_known_sounds_marks_none_as_gone(known, walk, listed):
    # Given a mount point without its mount
    for path in ("a/kick.wav", "a/snare.wav"):
        (known / path).unlink()
    # When it is walked, beside a folder of which a file is gone
    submission = walk(known / "a", known / "b")
    # Then what is known below it stays
    assert submission.empty == {str(known / "a"): (2, 0)}
    assert submission.gone == 0
    assert listed(gone=True) == []
    # Nor when it is met within the folder above it, unless it was emptied since
    changed = os.stat(known / "a")
    os.utime(known / "a", (0, 0))
    assert (walk(known).empty, listed(gone=True)) == ({str(known / "a"): (2, 0)}, [])
    os.utime(known / "a", ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert (walk(known).gone, walk(known).empty) == (2, {})


@pytest.mark.parametrize("names", ["folders", "files"])
def test_a_stray_file_in_a_mount_point_does_not_make_the_library_gone(
    known, walk, listed, label, names
):
    # Given that a mount is away, and a program has written a sound into the mount point
    label("a/kick.wav")
    walked = known if names == "folders" else known / "a"
    walked.rename(known.parent / "away")
    walked.mkdir(parents=True)
    (walked / "stray.wav").write_bytes(b"stray")
    # When it is walked
    submission = walk(walked)
    # Then nothing is gone, and the stray is classified
    assert submission.empty == {str(walked): (3 if walked == known else 2, 1)}
    assert (submission.gone, submission.enqueued) == (0, 1)
    assert listed(gone=True) == []


def test_a_folder_of_one_known_name_is_no_mount_point(known, walk, listed):
    # Given a folder with one sound, which is replaced by another
    (known / "b/pad.wav").unlink()
    (known / "b/other.wav").write_bytes(b"another")
    assert (walk(known / "b").empty, listed(gone=True)) == ({}, ["b/pad.wav"])


def test_an_empty_root_within_a_walked_one_marks_none_as_gone(known, walk, settings, database):
    # Given that a folder of the root is a root of its own, whose mount is away
    settings.library_roots["inner"] = known / "inner"
    (known / "inner").mkdir()
    with database.begin() as connection:
        sounds.save(connection, [predicted("x.wav", root="inner")])
    # When the root around it is walked
    submission = walk(known)
    # Then its sounds are not gone
    assert (submission.gone, submission.empty) == (0, {str(known / "inner"): (1, 0)})
    # Unless it is within a folder that is not walked
    assert walk(known, exclude=["inner"]).empty == {}


@pytest.mark.parametrize("unknown", ["unreadable", "excluded", "hidden"])
def test_a_folder_that_was_not_walked_marks_none_as_gone(
    known, walk, visit, listed, monkeypatch, unknown
):
    # Given a file of a folder that is not walked
    inner = known / (".hidden" if unknown == "hidden" else "inner")
    inner.mkdir()
    (inner / "x.wav").write_bytes(b"xyz" * 9)
    visit(f"{inner.name}/x.wav")
    (inner / "x.wav").unlink()
    if unknown == "unreadable":
        scandir = os.scandir

        def fails(path):
            if os.fspath(path) == os.fsencode(inner):
                raise OSError(5, "Input/output error")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", fails)
    # When the folder above it is
    submission = walk(known, exclude=["inner"] if unknown == "excluded" else ())
    # Then it is not known whether the file is gone
    assert submission.gone == 0
    assert listed(gone=True) == []


def test_a_file_skipped_by_a_walk_is_not_gone(known, walk, visit, listed):
    (known / "a/odd.name").write_bytes(b"named by itself")
    visit("a/odd.name")
    assert walk(known).gone == 0
    assert "a/odd.name" in listed()


# Moved


@pytest.mark.parametrize("first", ["result", "walk"])
def test_a_moved_file_keeps_its_label_history_and_holdout(
    known, walk, visit, listed, label, label_of, database, first
):
    # Given a file with two labels, which is held out
    label("a/kick.wav", "bass")
    label("a/kick.wav", "vocal")
    with database.begin() as connection:
        connection.execute(
            update(sounds.sounds)
            .where(sounds.sounds.c.key == key("a/kick.wav"))
            .values(held_out=True)
        )
    # When it moves, and a worker classifies it before or after the walk has ended
    (known / "b/renamed.wav").parent.mkdir(exist_ok=True)
    (known / "a/kick.wav").rename(known / "b/renamed.wav")
    early = first == "result"
    submission = walk(known, during=(lambda: visit("b/renamed.wav")) if early else lambda: None)
    if not early:
        visit("b/renamed.wav")
    # Then all labels are at its new path, and none at the old one
    assert (submission.moved, submission.gone, submission.enqueued) == (1, 0, 1)
    assert label_of("b/renamed.wav") == ("vocal", "human", "ada")
    assert listed() == ["a/snare.wav", "b/pad.wav", "b/renamed.wav"]
    assert listed(gone=True) == []
    with database.begin() as connection:
        history = connection.execute(select(label_history.c.path, label_history.c.category)).all()
        held_out = connection.execute(
            select(sounds.sounds.c.held_out).where(sounds.sounds.c.key == key("b/renamed.wav"))
        ).scalar_one()
    assert history == [("b/renamed.wav", "bass"), ("b/renamed.wav", "vocal")]
    assert held_out is True
    # And a new file at the old path has no label
    (known / "a/kick.wav").write_bytes(b"another")
    visit("a/kick.wav")
    assert label_of("a/kick.wav") is None


def test_a_gone_file_is_recognised_later_at_its_new_path(known, walk, label, label_of, listed):
    # Given a file that moved to a folder which is walked later
    label("a/kick.wav")
    (known / "a/kick.wav").rename(known / "b/kick.wav")
    assert walk(known / "a").gone == 1
    # When that one is walked
    submission = walk(known / "b")
    # Then it has moved
    assert (submission.moved, submission.gone) == (1, 0)
    assert label_of("b/kick.wav") == ("vocal", "human", "ada")
    assert listed(gone=True) == []


@pytest.fixture
def ingested_elsewhere(known, walk, visit, label):
    """A file that moved to a folder which was ingested before its old path had a label."""
    (known / "a/kick.wav").rename(known / "b/moved.wav")
    walk(known / "b")
    visit("b/moved.wav")
    label("a/kick.wav")
    return known


@pytest.mark.parametrize("has_copied_label", [False, True])
def test_a_label_moves_to_a_new_path_that_was_ingested_first(
    ingested_elsewhere, walk, label, label_of, listed, has_copied_label
):
    # Given that the new path has no label, or follows that of another sound
    if has_copied_label:
        label("b/moved.wav", "bass", source=LabelSource.COPY)
    # When the old folder is ingested
    submission = walk(ingested_elsewhere / "a")
    # Then it has moved
    assert (submission.moved, submission.gone) == (1, 0)
    assert label_of("b/moved.wav") == ("vocal", "human", "ada")
    assert listed(gone=True) == []


def test_the_own_label_of_the_new_path_is_kept(ingested_elsewhere, walk, label, label_of):
    label("b/moved.wav", "bass")
    submission = walk(ingested_elsewhere / "a")
    assert (submission.moved, submission.gone) == (0, 1)
    assert label_of("b/moved.wav") == ("bass", "human", "ada")


def test_a_file_that_was_changed_or_deleted_since_its_visit_gets_no_label(
    ingested_elsewhere, walk, label_of
):
    (ingested_elsewhere / "b/moved.wav").write_bytes(b"another")
    assert walk(ingested_elsewhere / "a").gone == 1
    assert label_of("b/moved.wav") is None


def test_a_neighbour_of_the_same_size_and_time_gets_no_label(known, walk, visit, label, label_of):
    # Given two files of a folder that are of one size and time, one with a label
    os.truncate(known / "a/snare.wav", 1)
    for name in ("kick.wav", "snare.wav"):
        os.utime(known / "a" / name, ns=(10**18, 10**18))
    visit("a/kick.wav", "a/snare.wav")
    label("a/kick.wav")
    # When that one is deleted
    (known / "a/kick.wav").unlink()
    # Then it is gone, and the other is no copy of it
    assert (walk(known).gone, label_of("a/snare.wav")) == (1, None)


@pytest.mark.parametrize("there", ["gone", "overwritten"])
def test_a_label_moves_to_a_row_without_a_label(known, walk, label, label_of, listed, there):
    # Given a labelled file, which moves to a path where another one was or is
    label("a/kick.wav")
    if there == "gone":
        (known / "b/pad.wav").unlink()
        (known / "b/new.wav").write_bytes(b"new")
        walk(known)
        os.rename(known / "b/new.wav", known.parent / "new.wav")
    (known / "a/kick.wav").rename(known / "b/pad.wav")
    # When both are walked
    assert walk(known).moved == 1
    # Then the label is there
    assert label_of("b/pad.wav") == ("vocal", "human", "ada")
    assert listed(gone=True) == []


def test_a_folder_whose_sounds_are_all_found_elsewhere_has_moved(
    known, walk, label, label_of, listed
):
    # Given a folder from which all files moved
    label("a/kick.wav")
    (known / "c").mkdir()
    for name in ("kick.wav", "snare.wav"):
        (known / "a" / name).rename(known / "c" / name)
    # When it is walked beside the new one
    submission = walk(known / "a", known / "c")
    # Then that is no mount point without its mount
    assert (submission.empty, submission.moved, submission.gone) == ({}, 2, 0)
    assert label_of("c/kick.wav") == ("vocal", "human", "ada")


def test_an_empty_folder_is_reported_with_its_missing_sounds_and_labels(known, walk, label):
    label("a/kick.wav")
    label("a/snare.wav")
    (known / "a/snare.wav").rename(known / "b/snare.wav")
    (known / "a/kick.wav").unlink()
    submission = walk(known / "a", known / "b")
    assert (submission.empty, submission.moved) == ({str(known / "a"): (1, 1)}, 1)


def test_a_copy_of_an_existing_file_is_no_move(known, walk, label, label_of):
    label("a/kick.wav")
    stamp = (known / "a/kick.wav").stat()
    (known / "b/kick.wav").write_bytes(b"x")
    os.utime(known / "b/kick.wav", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert walk(known).moved == 0
    assert label_of("b/kick.wav") is None


def test_a_concurrent_write_of_the_new_path_loses_no_label(known, walk, visit, label, label_of):
    label("a/kick.wav")
    (known / "a/kick.wav").rename(known / "b/kick.wav")
    with ThreadPoolExecutor() as pool:
        submission = walk(known, during=lambda: pool.submit(visit, "b/kick.wav"))
    assert submission.moved == 1
    assert label_of("b/kick.wav") == ("vocal", "human", "ada")


def test_labels_follow_a_folder_that_is_renamed_beside_the_walked_one(
    known, walk, label, label_of, listed
):
    # Given a folder with a label, which is renamed
    label("a/kick.wav")
    (known / "a").rename(known / "c")
    # When only the new name is walked
    submission = walk(known / "c")
    # Then the label is there
    assert submission.moved == 1
    assert label_of("c/kick.wav") == ("vocal", "human", "ada")
    assert "a/kick.wav" not in listed()


def test_labels_of_a_missing_mount_are_not_transferred_to_copies(known, walk, label, label_of):
    # Given a copy of a folder whose mount is away
    label("a/kick.wav")
    (known / "a").rename(known / "c")
    (known / "a").mkdir()
    # When the copy is walked
    assert walk(known / "c").moved == 0
    # Then the label waits for the mount
    assert label_of("a/kick.wav") == ("vocal", "human", "ada")


@pytest.mark.parametrize("other", ["known", "new"])
def test_a_modification_time_shared_by_other_files_is_no_evidence_of_a_move(
    known, walk, visit, label, label_of, other
):
    # Given a labelled file of a time in whole seconds
    archive_time = 315_532_800 * 10**9

    def unpack(path, size):
        (known / path).write_bytes(b"x" * size)
        os.utime(known / path, ns=(archive_time, archive_time))

    unpack("a/kick.wav", 50)
    visit("a/kick.wav")
    label("a/kick.wav")
    # And another file of that time and another size
    unpack("b/other.wav", 70)
    if other == "known":
        visit("b/other.wav")
    # When it is deleted, and a file of its time and size is added
    (known / "a/kick.wav").unlink()
    unpack("b/added.wav", 50)
    submission = walk(known)
    # Then that has nothing to do with it
    assert (submission.moved, submission.gone) == (0, 1)
    assert label_of("b/added.wav") is None
    # Unless it has its name, too
    unpack("b/kick.wav", 50)
    assert walk(known).moved == 1
    assert label_of("b/kick.wav") == ("vocal", "human", "ada")


def test_a_moved_file_with_a_unique_time_is_recognised(known, walk, visit, label, label_of):
    os.utime(known / "a/kick.wav", ns=(10**18, 10**18))
    visit("a/kick.wav")
    label("a/kick.wav")
    (known / "a/kick.wav").rename(known / "b/renamed.wav")
    assert walk(known, during=lambda: visit("b/renamed.wav")).moved == 1
    assert label_of("b/renamed.wav") == ("vocal", "human", "ada")


def test_a_file_moved_over_another_keeps_its_label(known, walk, label, label_of, database):
    # Given two labelled files
    label("a/kick.wav", "vocal")
    label("a/snare.wav", "bass")
    # When one is moved over the other
    (known / "a/snare.wav").rename(known / "a/kick.wav")
    assert walk(known).moved == 1
    # Then its label is there, and the history has both
    assert label_of("a/kick.wav") == ("bass", "human", "ada")
    with database.begin() as connection:
        history = connection.execute(select(label_history.c.path, label_history.c.category)).all()
    assert sorted(history) == [("a/kick.wav", "bass"), ("a/kick.wav", "vocal")]


def place(path):
    return gone.NewLocation("main", path, "a pack", "a vendor")


def left(path):
    return gone.GoneFile(1, "main", path, 1, 1, datetime.now(UTC))


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        (["a/1.wav"], ["b/2.wav"], [("a/1.wav", "b/2.wav")]),
        (["a/1.wav", "a/2.wav"], ["b/3.wav", "b/4.wav"], []),
        (["a/1.wav"], ["b/1 copy.wav", "b/1.wav"], [("a/1.wav", "b/1.wav")]),
        (["a/1.wav"], ["b/1.wav", "c/1.wav"], []),
        (["a/1.wav", "b/1.wav"], ["c/1.wav"], []),
        (
            ["a/1.wav", "a/2.wav"],
            ["b/2.wav", "b/1.wav"],
            [("a/1.wav", "b/1.wav"), ("a/2.wav", "b/2.wav")],
        ),
    ],
    ids=["one", "two renamed", "and a copy", "two copies", "two old ones", "a folder"],
)
def test_moved_files_of_equal_size_and_time_are_matched_only_by_name(old, new, pairs):
    found = paired([left(path) for path in old], [place(path) for path in new])
    assert [(file.path, at.path) for file, at in found] == pairs


# Forgotten


def test_a_forgotten_sound_has_no_row_and_its_label_comes_back_with_it(
    known, visit, listed, label, label_of, database
):
    label("a/kick.wav")
    with database.begin() as connection:
        keys = folders.keys_below(connection, folders.folder_of("main", "a"))
        assert gone.forget(connection, keys) == 2
    assert listed() == ["b/pad.wav"]
    visit("a/kick.wav")
    assert label_of("a/kick.wav") == ("vocal", "human", "ada")


def test_a_walk_records_the_folders_it_did_not_enter(known, settings):
    ignored = Ignored()
    (known / ".git").mkdir()
    source = FileSource([str(known)], Locator(settings))
    source.ignored = ignored
    assert len(list(source)) == 3
    assert ignored.not_walked == {os.fsencode(known / ".git")}
    assert ignored.sounds_in == {os.fsencode(known): {"main": 3}}
