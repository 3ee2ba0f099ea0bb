"""Opening a manifest: it can be read twice whatever it comes from, and it ends."""

import os
import threading

import click
import pytest

from cli.ingest import command


def read(name):
    with command._opened_manifest(str(name)) as stream:
        first = stream.read()
        stream.seek(0)
        assert stream.read() == first
    return first


def test_a_file_is_read_where_it_lies(tmp_path):
    (tmp_path / "list").write_bytes(b"a.wav\n")
    assert read(tmp_path / "list") == b"a.wav\n"


def test_what_comes_through_a_pipe_can_be_read_twice(tmp_path):
    os.mkfifo(tmp_path / "list")
    writing = threading.Thread(target=(tmp_path / "list").write_bytes, args=(b"a.wav\n",))
    writing.start()
    assert read(tmp_path / "list") == b"a.wav\n"
    writing.join()


def test_a_manifest_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr(command, "_MAX_MANIFEST_BYTES", 3 * 1024**2)
    with pytest.raises(click.UsageError, match="the manifest has over 3,145,728 bytes"):
        read("/dev/zero")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_MAX_MANIFEST_BYTES", 5)
    (tmp_path / "list").write_bytes(b"a.wav\n")
    with pytest.raises(click.UsageError, match="give it in parts"):
        read(tmp_path / "list")
