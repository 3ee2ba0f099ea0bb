"""The note that says which file a process was reading when it died."""

import os
import signal
import subprocess
import sys

import pytest

from tests.processes import clean_environment
from tests.servers.lifecycle import die_with_parent, wait_until
from workers.reading_note import ReadingNote, Suspect, suspect_of, writer_is_dead

#: A process with a note of its own: it follows orders line by line and answers each.
_WRITER = """
import os
import sys
from pathlib import Path
from workers.reading_note import ReadingNote
note = ReadingNote(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    order, *numbers = line.split()
    if order == "become":
        os.execvp("sleep", ["sleep", "600"])
    getattr(note, order)(*map(int, numbers))
    print("done", flush=True)
"""


class Writer:
    """Another process that keeps a note."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, path],
            env=clean_environment(path.parent, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        assert self.process.stdout.readline() == "ready\n"

    def send(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def order(self, line):
        self.send(line)
        assert self.process.stdout.readline() == "done\n"

    def die(self):
        """End as by a power cut: no handler runs."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "running" / "host-1-abc.note"


@pytest.fixture
def writer(path):
    writer = Writer(path)
    yield writer
    writer.process.kill()
    writer.process.communicate()


def test_a_note_survives_the_kill_of_its_writer(path, writer):
    writer.order("write 12 34")
    writer.die()
    assert writer_is_dead(path)
    assert suspect_of(path) == Suspect(batch_id=12, index=34)


def test_a_note_names_the_file_that_was_read_last(path, writer):
    writer.order("write 12 34")
    writer.order("write 12 35")
    writer.die()
    assert suspect_of(path) == Suspect(batch_id=12, index=35)


def test_who_dies_between_two_batches_leaves_no_suspect(path, writer):
    writer.order("write 12 34")
    writer.order("clear")
    writer.die()
    assert writer_is_dead(path)
    assert suspect_of(path) is None


def test_who_dies_before_the_first_file_leaves_no_suspect(path, writer):
    writer.die()
    assert writer_is_dead(path)
    assert suspect_of(path) is None


def test_a_writer_that_lives_is_not_taken_for_dead(path, writer):
    writer.order("write 12 34")
    assert not writer_is_dead(path)


def test_a_frozen_writer_is_not_taken_for_dead(path, writer):
    writer.order("write 12 34")
    os.kill(writer.process.pid, signal.SIGSTOP)
    try:
        assert not writer_is_dead(path)
    finally:
        os.kill(writer.process.pid, signal.SIGCONT)


def test_looking_does_not_take_the_note_away_from_the_next_who_looks(path, writer):
    writer.order("write 12 34")
    writer.die()
    assert [writer_is_dead(path), writer_is_dead(path)] == [True, True]


def test_a_writer_that_ends_in_peace_leaves_no_note(path, writer):
    writer.order("write 12 34")
    writer.order("remove")
    assert not path.exists()
    assert not writer_is_dead(path)


def test_where_there_is_no_note_nobody_is_dead(path):
    assert not writer_is_dead(path)


def test_the_largest_numbers_of_a_ledger_fit(path):
    note = ReadingNote(path)
    note.write(2**63 - 1, 10_000)
    assert suspect_of(path) == Suspect(2**63 - 1, 10_000)
    note.remove()


def test_a_note_is_not_passed_on_to_a_program_that_its_writer_starts(path, writer):
    writer.order("write 12 34")
    writer.send("become")
    wait_until(lambda: writer_is_dead(path), "the program has let go of the note")
    assert writer.process.poll() is None


def test_a_link_in_the_place_of_a_note_is_not_followed(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path.parent.mkdir()
    path.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        ReadingNote(path)
    assert not writer_is_dead(path)
    assert victim.read_bytes() == b"precious"


def test_a_note_cut_short_names_nobody(path):
    path.parent.mkdir()
    path.write_bytes(b"12345")
    assert suspect_of(path) is None


def test_a_note_is_for_its_owner_alone(path):
    note = ReadingNote(path)
    assert path.stat().st_mode & 0o777 == 0o600
    note.remove()
