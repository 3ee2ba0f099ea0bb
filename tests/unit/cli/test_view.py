"""The screen of ``cratesort status --watch``: what it says, and that it fits."""

import pytest

from cli.status.snapshot import IngestStatus, RootStatus, SoundsStatus, Status
from cli.status.view import screen, status_lines
from db.reporting.throughput import HostActivity

HOSTILE = "packs/\x1b[2J\x1b]0;owned\x07evil\nline"


def ingest(number, **changes):
    values = {
        "ingest_id": number, "source": "/mnt/packs/Acme", "found": 1000, "ignored": 0,
        "skipped_unchanged": 0, "enqueued": 1000, "classified": 240, "failed": 10,
        "submitted": True, "finished": False, "files_per_second": 50.0,
    }  # fmt: skip
    return IngestStatus(**values | changes)


def status(**changes):
    values = {
        "sounds": SoundsStatus(classified=240, failed=10, needs_review=3, given_up=0),
        "batches": {"pending": 2, "queued": 1, "running": 1, "done": 1},
        "oldest_waiting_seconds": 75.0,
        "roots": [],
        "workers": {"host-a": HostActivity(processes=2, running_batches=1, files_per_second=50.0)},
        "ingests": [ingest(1)],
        "categories": {"drum": 240},
        "labelled": {},
        "errors": {"not_audio": 10},
        "model_version": "starter-3",
        "training": None,
        "files_per_second": 50.0,
        "inbox": None,
    }
    return Status(**values | changes)


def shown(status, away=None, width=80, height=24):
    return screen(status, away, width=width, height=height).plain


def test_an_open_ingest_shows_its_progress_speed_and_remaining_time():
    line = next(line for line in shown(status()).split("\n") if "250/1,000" in line)
    assert all(figure in line for figure in ("25%", "10 failed", "50/s", "0:00:15"))


def test_without_a_speed_no_remaining_time_is_shown():
    text = shown(status(ingests=[ingest(1, files_per_second=0.0)]))
    assert "waiting" in text
    assert "left" not in text


def test_a_growing_ingest_has_no_remaining_time():
    text = shown(status(ingests=[ingest(1, submitted=False)]))
    assert "50/s" in text
    assert "left" not in text


def test_open_ingests_come_before_finished_ones():
    text = shown(status(ingests=[ingest(2, finished=True, source="new"), ingest(1, source="old")]))
    assert text.index("old") < text.index("new")


def test_workers_are_listed_by_host():
    line = next(line for line in shown(status()).split("\n") if "2 processes" in line)
    assert line.endswith("2 processes, 1 batch running, 50/s")


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (50, 24), (20, 3)])
def test_it_fits_the_terminal_whatever_the_names(width, height):
    many = [ingest(number, source=HOSTILE * 9) for number in range(40)]
    text = screen(status(ingests=many), None, width=width, height=height)
    assert len(text.split("\n")) <= height
    assert all(line.cell_len <= width for line in text.split("\n"))


def test_control_characters_of_a_source_are_escaped():
    text = shown(status(ingests=[ingest(1, source=HOSTILE)]), width=200)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_an_unreachable_database_is_reported_beside_the_last_known_state():
    text = shown(status(), away="the database does not answer: connection refused")
    assert "connection refused" in text
    assert "250/1,000" in text


def test_an_empty_database_is_reported():
    assert "No ingest yet" in shown(status(ingests=[], workers={}, errors={}))


def test_in_a_pipe_no_source_is_cut_and_no_bar_is_drawn():
    lines = status_lines(status(ingests=[ingest(1, source="packs/" * 40)]), None)
    (line,) = [line for line in lines if "packs/" in line]
    assert line.endswith("packs/" * 40)
    assert "█" not in line


@pytest.mark.parametrize(
    ("changes", "pace"),
    [
        ({}, "50/s 0:00:15 left"),
        ({"submitted": False}, "50/s, incomplete"),
        ({"files_per_second": 0.0}, "waiting"),
        ({"files_per_second": 0.0, "submitted": False}, "waiting, incomplete"),
        ({"finished": True}, "done"),
    ],
)
def test_each_ingest_shows_its_state(changes, pace):
    (line,) = [line for line in status_lines(status(ingests=[ingest(1, **changes)]), None)
               if "/mnt/packs/Acme" in line]  # fmt: skip
    assert line.endswith(f"10 failed {pace} /mnt/packs/Acme")


def test_a_root_without_workers_and_requeued_batches_have_a_line_each():
    root = RootStatus("packs", 3, 150.0, True, 2, 4, "not mounted\x1b[2J")
    lines = status_lines(status(roots=[root]), None)
    unserved = "Unserved  no batch of library root 'packs' claimed for 0:02:30; is a worker with "
    assert f"{unserved}this root running?" in lines
    returned = "Returned  2 batches of library root 'packs', up to 4 times in a row: not mounted"
    assert f"{returned}\\x1b[2J" in lines


def test_one_of_each_is_in_the_singular():
    root = RootStatus("packs", 1, 150.0, False, 1, 1, "not mounted")
    host = HostActivity(processes=1, running_batches=1, files_per_second=1.0)
    sounds = SoundsStatus(classified=1, failed=1, needs_review=1, given_up=1)
    text = "\n".join(status_lines(status(roots=[root], workers={"a": host}, sounds=sounds), None))
    assert "1 batch of library root 'packs', up to 1 time in a row" in text
    assert "1 process, 1 batch running" in text
    assert "1 sound was given up" in text


def test_long_sentences_are_wrapped_after_their_label_for_a_terminal():
    root = RootStatus("packs", 1, 150.0, True, 0, 0, None)
    lines = status_lines(status(roots=[root]), 80)
    first = next(number for number, line in enumerate(lines) if line.startswith("Unserved"))
    assert lines[first + 1] == f"{'':10}this root running?"
