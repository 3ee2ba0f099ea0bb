"""MP3, which has no header of its own: frames behind tags, and a library that talks too much."""

import errno
import io
import os
import struct

import pytest
import soundfile

from classifier.errors import ErrorCode
from classifier.headers import libsndfile_io
from classifier.headers.reader import read_header
from tests.support import sounds


def test_what_only_looks_like_mp3_is_refused_in_words_of_ours(refusal_of):
    refused = refusal_of(b"\xff\xfb\x90\x00" * 1000)
    assert refused.code is ErrorCode.INVALID_HEADER
    assert "no sound can be found" in refused.message


def id3(body_length, footer=False):
    length = bytes(body_length >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    return b"ID3\4\0" + flags + length + bytes(body_length) + (b"3DI" + bytes(7) if footer else b"")


def ape(body_length):
    numbers = struct.pack("<IIII8x", 2000, body_length + 32, 1, 0xA0000000)
    footer = struct.pack("<IIII8x", 2000, body_length + 32, 1, 0x80000000)
    return b"APETAGEX" + numbers + bytes(body_length) + b"APETAGEX" + footer


@pytest.mark.parametrize(
    "tag",
    [
        *(id3(0), id3(300), id3(200_000), id3(300, footer=True), id3(300) + bytes(1000)),
        *(id3(300) + id3(5000), ape(300), ape(300) + id3(70_000), id3(300) + bytes(50) + ape(9)),
    ],
    ids=[
        *("empty", "small", "with a picture", "with a footer", "with padding it does not count"),
        *("two", "APE", "APE and ID3", "ID3, padding and APE"),
    ],
)
def test_an_mp3_is_found_behind_its_tag(header_of, tag):
    mp3 = sounds.encoded("MP3")
    header = header_of(tag + mp3).header
    assert header.frame_count == header_of(mp3).header.frame_count
    assert header.file_size_bytes == len(tag) + len(mp3)


def test_a_flac_is_found_behind_a_tag(header_of):
    assert header_of(id3(300) + sounds.encoded("FLAC")).header.frame_count == sounds.N_FRAMES


@pytest.mark.parametrize(
    "content",
    [id3(300), id3(300) + b"Dear Sir", id3(10_000)[:300], b"ID3"],
    ids=["nothing", "text", "a cut tag", "three letters"],
)
def test_a_tag_with_no_sound_behind_it_is_not_audio(refusal_of, content):
    assert refusal_of(content).code is ErrorCode.NOT_AUDIO


def test_libmpg123_does_not_write_over_the_terminal(header_of, capfd):
    # Given a cut MP3, about which it has something to say
    cut = sounds.encoded("MP3")[:-100]
    soundfile.SoundFile(io.BytesIO(cut)).close()
    assert "Warning" in capfd.readouterr().err
    # When it is read here
    header_of(cut)
    # Then nobody hears it
    assert capfd.readouterr().err == ""


# What it is shown is bounded, and what happens on the way is not lost


@pytest.fixture
def open_mp3(tmp_path):
    """An MP3 as a descriptor, and its size."""
    content = sounds.encoded("MP3")
    (tmp_path / "kick.mp3").write_bytes(content)
    with (tmp_path / "kick.mp3").open("rb") as file:
        yield file.fileno(), len(content)


def test_a_large_tag_is_not_read(header_of, monkeypatch):
    # Given an MP3 behind pictures of 100 MB
    n_read = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: n_read.append(n) or pread(fd, n, at))
    # When its header is read
    header_of(id3(100_000_000) + sounds.encoded("MP3"))
    # Then they were not
    assert sum(n_read) < 200_000


def test_an_mp3_that_is_read_on_and_on_is_stopped(refusal_of, monkeypatch):
    # Given that less may be read than libmpg123 asks for
    monkeypatch.setattr(libsndfile_io, "MAX_BYTES_READ", 100)
    # When a header is read
    refused = refusal_of(sounds.encoded("MP3"))
    # Then that is the reason, not what libsndfile made of it
    assert refused.code is ErrorCode.INVALID_HEADER
    assert "as much of it as is read" in refused.message


def test_a_lost_frame_is_not_looked_for_byte_by_byte_for_long(refusal_of, monkeypatch):
    # Given what starts like a frame and then is something else, for longer than is looked at
    content = bytes.fromhex("fffb90c4") + b"something else" * 20_000
    n_reads = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: n_reads.append(n) or pread(fd, n, at))
    # When it is read
    refused = refusal_of(content)
    # Then only so many calls from C were made, each of which costs more than its byte
    assert refused.code is ErrorCode.INVALID_HEADER
    assert len(n_reads) < 35_000


def failing(error):
    def pread(fd, length, offset):
        if offset > 0 or length < 4096:
            raise error
        return b"\xff\xfb\x90\x00" + bytes(4092)

    return pread


def test_a_disc_that_fails_meanwhile_is_not_the_sounds_fault(open_mp3, monkeypatch):
    monkeypatch.setattr(os, "pread", failing(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        read_header(*open_mp3, "kick.mp3")


def test_a_time_limit_that_strikes_meanwhile_is_not_swallowed(open_mp3, monkeypatch):
    monkeypatch.setattr(os, "pread", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        read_header(*open_mp3, "kick.mp3")


@pytest.mark.parametrize("inspecting", [True, False], ids=["of ours", "in a read for libsndfile"])
def test_a_header_that_needs_more_memory_than_there_is_is_refused(
    refusal_of, monkeypatch, inspecting
):
    def pread(fd, length, offset):
        if inspecting:
            raise MemoryError
        return failing(MemoryError())(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    refused = refusal_of(sounds.encoded("MP3"))
    assert refused.code is ErrorCode.LIMIT_EXCEEDED
    assert "memory" in refused.message


def test_memory_that_libsndfile_does_not_get_is_a_refusal_too(refusal_of, monkeypatch):
    def without_memory(*_, **__):
        raise soundfile.LibsndfileError(17)

    content = sounds.encoded("MP3")
    monkeypatch.setattr(soundfile, "SoundFile", without_memory)
    assert "memory" in refusal_of(content).message
