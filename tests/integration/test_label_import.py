"""Checking and writing a table of labels against a real table of sounds."""

import io
import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifier.tables.strict_csv import TableError
from cli.labels import importer
from cli.labels.csv_reader import FaultKind, read_label_table
from cli.labels.importer import check, checked_labels, write
from cli.labels.sound_lookup import AmbiguousPath, SoundFinder, WrittenPath
from db.results import labels, sounds, training_rows
from db.results.sounds import sound_key
from db.scratch_table import ScratchSpaceError
from tests.support.databases import connected
from tests.support.sound_results import predicted
from workers.settings import Settings


@pytest.fixture
def save(take):
    return lambda *paths, root="library": take(
        sounds.save, [predicted(path, root=root) for path in paths]
    )


@pytest.fixture
def finder(database, tmp_path):
    """Finds sounds as a host does that has these roots."""

    def make(*roots):
        return SoundFinder(
            Settings(_env_file=None, library_roots={root: tmp_path / root for root in roots}),
            database,
        )

    return make


def rows(content):
    return read_label_table(io.BytesIO(content), "t.csv")


# Paths


def nothing_same(_original, _others):
    """As where no file can be read."""
    return ()


def test_a_path_in_two_roots_is_ambiguous_without_its_root(save, finder):
    save("a.wav", "b.wav")
    save("a.wav", root="other")
    found = finder("library", "other").find(
        [WrittenPath((b"a.wav",)), WrittenPath((b"a.wav",), "other"), WrittenPath((b"b.wav",))]
    )
    assert found == [
        AmbiguousPath(("library", "other")),
        sound_key("other", "a.wav"),
        sound_key("library", "b.wav"),
    ]


def test_the_likelier_spelling_counts_if_both_are_sounds(save, finder):
    save("=1.wav", "'=1.wav", "'=2.wav")
    paths = [WrittenPath((b"=1.wav", b"'=1.wav")), WrittenPath((b"=2.wav", b"'=2.wav"))]
    assert finder("library").find(paths) == [
        sound_key("library", "=1.wav"),
        sound_key("library", "'=2.wav"),
    ]


def test_an_absolute_path_is_resolved_through_links(save, finder, tmp_path):
    save("kits/a.wav")
    (tmp_path / "library" / "kits").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "library")
    paths = [str(tmp_path / "link" / "kits" / "a.wav"), "link/kits/../kits/a.wav", "link"]
    found = finder("library").find([WrittenPath((path.encode(),)) for path in paths])
    assert found == [sound_key("library", "kits/a.wav")] * 2 + [None]


def test_a_path_refused_by_the_file_system_is_an_unknown_sound(save, finder, tmp_path):
    save("a.wav")
    (tmp_path / "chain0").symlink_to("library")
    for number in range(1, 1500):
        (tmp_path / f"chain{number}").symlink_to(f"chain{number - 1}")
    (tmp_path / "loop").symlink_to("loop")
    paths = (b"chain1499/a.wav", b"loop/a.wav", 65_000 * b"a/", 300 * b"n")
    assert finder("library").find([WrittenPath((path,)) for path in paths]) == [None] * 4


def test_a_path_in_no_root_is_not_a_sound(save, finder):
    save("a.wav")
    paths = (b"/elsewhere/a.wav", b"\0", b"", b"x" * 10_000, b"caf\xe9.wav")
    assert finder("library").find([WrittenPath((path,)) for path in paths]) == [None] * 5


# Tables


def test_rows_of_several_lookups_are_checked_against_each_other(save, finder, monkeypatch):
    monkeypatch.setattr(importer, "_ROWS_AT_ONCE", 2)
    save(*(f"{number}.wav" for number in range(5)))
    table = b"path,category\n" + b"".join(b"%d.wav,drum\n" % number for number in range(5))
    with checked_labels() as checked:
        faults = check(rows(table + b"0.wav,bass\n4.wav,drum\n"), finder("library"), checked)
        assert dict(faults.counts) == {FaultKind.CONFLICT: 1, FaultKind.DUPLICATE: 1}
        assert str(faults.first[FaultKind.CONFLICT][0]).startswith("line 7: 0.wav: bass here")
        assert str(faults.first[FaultKind.DUPLICATE][0]).endswith("as in line 6")


def test_a_failed_write_is_rolled_back(save, finder, database, monkeypatch, take):
    # Given checked labels that take two statements, the second of which fails
    monkeypatch.setattr(importer, "_LABELS_AT_ONCE", 3)
    save(*(f"{number}.wav" for number in range(5)))
    table = b"path,category\n" + b"".join(b"%d.wav,drum\n" % number for number in range(5))
    calls = []

    def give_once(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("the world is in the way")
        return labels.write_labels(*arguments, **options)

    with checked_labels() as checked:
        assert not check(rows(table), finder("library"), checked)
        # When they are written, then it is as if nothing had been tried
        monkeypatch.setattr(importer, "write_labels", give_once)
        with pytest.raises(OSError, match="in the way"):
            write(database, checked, same_content=nothing_same, labelled_by="ada")
        assert take(training_rows.last_label_id) == 0
        # And the next try gives them all
        monkeypatch.setattr(importer, "write_labels", labels.write_labels)
        assert write(
            database, checked, same_content=nothing_same, labelled_by="ada"
        ) == labels.LabelChanges(new=5)


def test_a_lack_of_space_for_checked_rows_is_reported(monkeypatch):
    def full(*_arguments, **_options):
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(ScratchSpaceError, match=r"disk is full.*TMPDIR"), checked_labels():
        full()


@given(st.binary(max_size=80))
@example(b"\xe9,drum,\xff\n")
@example(b"\0.wav,drum,\n")
@example(b"'=a.wav,drum,'=r\n")
def test_any_table_gives_errors_or_labels(sqlite_url, content):
    with connected(sqlite_url) as engine, checked_labels() as checked:
        finder = SoundFinder(Settings(_env_file=None), engine)
        try:
            faults = check(rows(b"path,category,root\n" + content), finder, checked)
        except TableError:
            return
        assert len(checked) == 0
        assert all(fault.reason for first in faults.first.values() for fault in first)
