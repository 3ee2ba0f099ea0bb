"""Opening files before their turn: in order, each fault where it belongs, and nothing left open."""

import os
import threading
import time

import pytest

from workers.reading.prefetch import opened_ahead


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.wav" for number in range(30)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]))
    return [str(path) for path in paths]


def open_one(path):
    fd = os.open(path, os.O_RDONLY)
    return fd, os.fstat(fd)


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_files_keep_their_order_whatever_each_takes(files):
    def unevenly(path):
        time.sleep(0.01 if path.endswith(("0.wav", "3.wav")) else 0)
        return open_one(path)

    seen = []
    with opened_ahead(unevenly, files) as opened:
        for take in opened:
            fd, _ = take()
            seen.append(os.pread(fd, 1, 0))
            os.close(fd)
    assert seen == [bytes([number]) for number in range(30)]


def test_an_error_is_raised_at_the_files_turn_and_the_others_follow(files):
    os.unlink(files[4])
    read, missing = [], []
    with opened_ahead(open_one, files) as opened:
        for number, take in enumerate(opened):
            try:
                fd, _ = take()
            except FileNotFoundError:
                missing.append(number)
                continue
            read.append(number)
            os.close(fd)
    assert missing == [4]
    assert read == [number for number in range(30) if number != 4]


def test_several_files_are_opened_at_once(files):
    # Given an opener that waits with each of two files until it has begun with the other. (In pairs
    # all through, one file could wait for another that is opened only after it was taken.)
    together = threading.Barrier(2, timeout=20)

    def with_the_other(path):
        if path in files[:2]:
            together.wait()
        return open_one(path)

    # Then both come to their end
    with opened_ahead(with_the_other, files) as opened:
        for take in opened:
            os.close(take()[0])


def test_unused_files_are_closed(files):
    fds = []

    def noted(path):
        fd, status = open_one(path)
        fds.append(fd)
        return fd, status

    with opened_ahead(noted, files) as opened:
        os.close(next(opened)()[0])
    assert len(fds) > 1
    assert not any(map(is_open, fds))


def test_the_number_of_open_files_is_bounded(files):
    most = now = 0
    lock = threading.Lock()

    def counted(path):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        return open_one(path)

    with opened_ahead(counted, files) as opened:
        for take in opened:
            os.close(take()[0])
            with lock:
                now -= 1
    assert most <= 17


def test_no_paths_give_no_files():
    with opened_ahead(open_one, []) as opened:
        assert list(opened) == []
