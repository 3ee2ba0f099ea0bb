"""The marker of the file that a process was reading when it died."""

import errno
import math
import os
import signal
import subprocess
import sys

import pytest

from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import die_with_parent, wait_until
from workers.recovery.crash_marker import (
    CrashMarker,
    claim_dead_marker,
    live_markers,
    markers_in,
)

#: A process with a crash marker of its own: it follows orders line by line and answers each.
_WRITER = """
import os
import sys
from pathlib import Path
from workers.recovery.crash_marker import CrashMarker
marker = CrashMarker(Path(sys.argv[1]), f"a-host:{os.getpid()}:abc")
print("ready", flush=True)
for line in sys.stdin:
    order, *numbers = line.split()
    if order == "become":
        os.execvp("sleep", ["sleep", "600"])
    if order == "begin":
        marker.begin(int(numbers[0]), time_limit_seconds=float(numbers[1]))
    else:
        getattr(marker, order)(*map(int, numbers))
    print("done", flush=True)
"""


class Writer:
    """Another process that keeps a marker."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, folder],
            env=clean_environment(folder.parent, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        assert self.process.stdout.readline() == "ready\n"
        (self.path,) = markers_in(folder)

    def send(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def order(self, *lines):
        for line in lines:
            self.send(line)
            assert self.process.stdout.readline() == "done\n"

    def die(self):
        """End as by a power cut: no handler runs."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "running"


@pytest.fixture
def writer(folder):
    writer = Writer(folder)
    yield writer
    writer.process.kill()
    writer.process.communicate()


def left_at(path):
    """What a dead process left behind, as batch and sound; None while it lives."""
    with claim_dead_marker(path) as content:
        return None if content is None else (content.batch_id, content.index)


# What the dead leave


def test_a_marker_survives_a_sigkill_of_its_process(writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    writer.die()
    with claim_dead_marker(writer.path) as content:
        assert (content.batch_id, content.index) == (12, 34)
        assert content.worker == f"a-host:{writer.process.pid}:abc"
        assert (content.pid, content.parent_pid) == (writer.process.pid, os.getpid())


def test_a_marker_names_the_file_that_was_read_last(writer):
    writer.order("begin 12 60", "begin_reading 12 34", "begin_reading 12 35")
    writer.die()
    assert left_at(writer.path) == (12, 35)


@pytest.mark.parametrize(
    "orders", [["begin 12 60"], ["begin 12 60", "begin_reading 12 3", "stop_reading 12"]]
)
def test_a_process_that_dies_between_files_leaves_a_batch_without_a_suspect(writer, orders):
    writer.order(*orders)
    writer.die()
    assert left_at(writer.path) == (12, None)


def test_the_next_batch_keeps_nothing_of_the_last(writer):
    writer.order("begin 12 60", "begin_reading 12 34", "clear", "begin 13 60")
    writer.die()
    assert left_at(writer.path) == (13, None)


@pytest.mark.parametrize("orders", [[], ["begin 12 60", "begin_reading 12 34", "clear"]])
def test_a_process_that_dies_while_idle_leaves_no_marker(writer, orders):
    writer.order(*orders)
    writer.die()
    assert left_at(writer.path) == (None, None)


@pytest.mark.parametrize("data", [b"", b"12345"])
def test_a_process_killed_at_its_start_leaves_an_empty_marker(folder, data):
    folder.mkdir()
    path = folder / "a-host-12-abc.note"
    path.write_bytes(data)
    with claim_dead_marker(path) as content:
        assert (content.worker, content.batch_id, content.index) == ("a-host:12:abc", None, None)
        assert content.overdue_seconds() == -math.inf


@pytest.mark.parametrize(("limit", "is_overdue"), [("-1", True), ("600", False), ("inf", False)])
def test_a_marker_shows_whether_its_batch_was_over_its_time_limit(writer, limit, is_overdue):
    writer.order(f"begin 12 {limit}", "begin_reading 12 34")
    writer.die()
    with claim_dead_marker(writer.path) as content:
        assert (content.overdue_seconds() > 0) is is_overdue


# Who is dead


def test_a_zombie_process_counts_as_dead(writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    # Given a process that is killed, and stays a zombie because its parent does not wait for it
    os.kill(writer.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, writer.process.pid, os.WEXITED | os.WNOWAIT)
    # Then its marker can be claimed
    assert left_at(writer.path) == (12, 34)


def test_a_running_process_does_not_count_as_dead(writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    assert left_at(writer.path) is None
    assert writer.path.exists()


def test_a_frozen_process_does_not_count_as_dead(writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    os.kill(writer.process.pid, signal.SIGSTOP)
    try:
        assert left_at(writer.path) is None
    finally:
        os.kill(writer.process.pid, signal.SIGCONT)


def test_checking_a_marker_does_not_disturb_its_process(writer):
    writer.order("begin 12 60")
    assert left_at(writer.path) is None
    writer.order("begin_reading 12 34")
    writer.die()
    assert left_at(writer.path) == (12, 34)


def test_the_lock_of_a_marker_is_not_inherited_through_exec(writer):
    writer.order("begin 12 60")
    writer.send("become")
    found = []
    wait_until(lambda: found.append(left_at(writer.path)) or found[-1], "the marker is released")
    assert found[-1] == (12, None)
    assert writer.process.poll() is None


# Claiming a marker


def test_a_handled_marker_is_removed(writer):
    writer.order("begin 12 60")
    writer.die()
    with claim_dead_marker(writer.path) as content:
        assert content is not None
        assert writer.path.exists()
    assert not writer.path.exists()
    assert left_at(writer.path) is None


def test_a_marker_that_could_not_be_handled_is_kept(writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    writer.die()
    with pytest.raises(ConnectionError), claim_dead_marker(writer.path):
        raise ConnectionError("the database is away")
    assert left_at(writer.path) == (12, 34)


def test_only_one_of_several_supervisors_handles_a_marker(writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    writer.die()
    look = (
        "import sys; from pathlib import Path\n"
        "from workers.recovery.crash_marker import claim_dead_marker\n"
        "with claim_dead_marker(Path(sys.argv[1])) as content: print(content)"
    )
    with claim_dead_marker(writer.path) as first:
        second = subprocess.run(
            [sys.executable, "-c", look, writer.path],
            env=clean_environment(writer.path.parent, {}),
            capture_output=True,
            text=True,
            check=True,
        )
    assert first is not None
    assert second.stdout == "None\n"


def test_a_missing_marker_means_no_dead_process(folder):
    assert left_at(folder / "a-host-1-abc.note") is None
    assert markers_in(folder) == []


# The writer's end


def test_a_process_that_exits_normally_leaves_no_marker(writer):
    writer.order("begin 12 60", "begin_reading 12 34", "clear", "close")
    assert not writer.path.exists()


def test_a_marker_with_a_running_batch_is_kept_when_closed(writer):
    writer.order("begin 12 60", "begin_reading 12 34", "close")
    # Its writer still runs, but has let go of it
    assert writer.process.poll() is None
    assert left_at(writer.path) == (12, 34)


# Markers of live processes


def test_live_markers_are_listed_with_their_batches(folder, writer):
    writer.order("begin 12 -5", "begin_reading 12 34")
    (content,) = live_markers(folder)
    assert (content.batch_id, content.index) == (12, 34)
    assert (content.pid, content.parent_pid) == (writer.process.pid, os.getpid())
    assert content.overdue_seconds() > 0


def test_an_idle_process_is_never_over_its_time_limit(folder, writer):
    writer.order("begin 12 -5", "clear")
    (content,) = live_markers(folder)
    assert content.batch_id is None
    assert content.overdue_seconds() == -math.inf


def test_dead_processes_are_not_listed_as_live_and_their_markers_are_kept(folder, writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    writer.die()
    assert live_markers(folder) == []
    assert left_at(writer.path) == (12, 34)


def test_a_dead_marker_being_handled_is_not_listed_as_live(folder, writer):
    writer.order("begin 12 60", "begin_reading 12 34")
    writer.die()
    with claim_dead_marker(writer.path):
        assert live_markers(folder) == []


def test_several_markers_are_kept_apart(folder, writer):
    with_batch = CrashMarker(folder, "a-host:1:a")
    idle = CrashMarker(folder, "a-host:2:b")
    with_batch.begin(7)
    writer.die()
    living = {content.worker: content.batch_id for content in live_markers(folder)}
    assert living == {"a-host:1:a": 7, "a-host:2:b": None}
    idle.close()
    assert [content.worker for content in live_markers(folder)] == ["a-host:1:a"]
    with_batch.close()


# A batch to be handed back later


def test_a_batch_to_requeue_later_keeps_its_marker_and_the_process_gets_a_new_one(folder, writer):
    writer.order("begin 12 60", "begin_reading 12 34", "hand_back_later", "begin 13 60")
    # Its first marker is that of a process which is gone, and says what to do
    with claim_dead_marker(writer.path) as marker:
        assert (marker.batch_id, marker.index, marker.awaits_hand_back) == (12, None, True)
    # The second is alive, of the same process
    (now,) = live_markers(folder)
    assert (now.batch_id, now.pid, now.awaits_hand_back) == (13, writer.process.pid, False)
    assert now.worker != marker.worker


def test_an_earlier_version_reads_a_batch_to_requeue_later_as_timed_out_without_a_suspect(writer):
    """Such a batch goes back without an attempt, too."""
    writer.order("begin 12 60", "begin_reading 12 34", "hand_back_later")
    with claim_dead_marker(writer.path) as marker:
        assert marker.index is None
        assert marker.overdue_seconds() > 0


def test_the_old_marker_stays_in_use_if_no_new_one_can_be_written(folder, marker, monkeypatch):
    marker.begin(12)
    worker = marker.worker

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="no space left"):
        marker.hand_back_later()
    assert marker.worker == worker
    assert markers_in(folder) == [marker.path]
    marker.begin_reading(12, 3)
    assert marker.index == 3


def test_other_files_of_an_earlier_version_are_ignored(folder):
    folder.mkdir()
    (folder / "12-0c4b.iou").touch()
    assert markers_in(folder) == []


# The file


@pytest.fixture
def marker(folder):
    """The marker of this very process."""
    marker = CrashMarker(folder, "a-host:1:abc")
    yield marker
    marker.clear()
    marker.close()


def test_a_process_can_read_its_own_marker(marker):
    marker.begin(12)
    assert marker.index is None
    marker.begin_reading(12, 34)
    assert marker.index == 34
    marker.stop_reading(12)
    assert marker.index is None


def test_the_largest_numbers_of_a_ledger_fit(folder, marker):
    marker.begin(2**63 - 1)
    marker.begin_reading(2**63 - 1, 10_000)
    (found,) = live_markers(folder)
    assert (found.batch_id, found.index) == (2**63 - 1, 10_000)


def test_a_symlink_in_place_of_a_marker_is_not_followed(folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder.mkdir()
    (folder / "a-host-1-abc.note").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        CrashMarker(folder, "a-host:1:abc")
    assert victim.read_bytes() == b"precious"


def test_a_marker_is_readable_only_by_its_owner(marker):
    assert marker.path.stat().st_mode & 0o777 == 0o600
