"""Input that is read twice: whatever it comes from, and it ends."""

import os
import threading

import pytest

from cli.console.seekable_input import InputTooLargeError, seekable_input


def read(name, most_bytes=None):
    with seekable_input(str(name), most_bytes=most_bytes) as stream:
        first = stream.read()
        stream.seek(0)
        assert stream.read() == first
    return first


def test_a_file_is_read_without_a_copy(tmp_path):
    (tmp_path / "list").write_bytes(b"a.wav\n")
    assert read(tmp_path / "list") == b"a.wav\n"


def test_piped_input_can_be_read_twice(tmp_path):
    os.mkfifo(tmp_path / "list")
    writing = threading.Thread(target=(tmp_path / "list").write_bytes, args=(b"a.wav\n",))
    writing.start()
    assert read(tmp_path / "list", most_bytes=6) == b"a.wav\n"
    writing.join()


def test_an_endless_pipe_is_refused():
    with pytest.raises(InputTooLargeError, match="/dev/zero has over 3,145,728 bytes"):
        read("/dev/zero", most_bytes=3 * 1024**2)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    (tmp_path / "list").write_bytes(b"a.wav\n")
    with pytest.raises(InputTooLargeError, match="give it in parts"):
        read(tmp_path / "list", most_bytes=5)
