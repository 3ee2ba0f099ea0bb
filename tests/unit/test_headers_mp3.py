"""MP3, which has no header of its own: frames behind tags, and a library that talks too much."""

import io

import pytest
import soundfile

from classifier.errors import ErrorCode
from tests import sounds


def test_what_only_looks_like_mp3_is_refused_in_words_of_ours(refusal_of):
    refused = refusal_of(b"\xff\xfb\x90\x00" * 1000)
    assert refused.code is ErrorCode.INVALID_HEADER
    assert "no sound can be found" in refused.message


def id3(body_length, footer=False):
    length = bytes(body_length >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    return b"ID3\4\0" + flags + length + bytes(body_length) + (b"3DI" + bytes(7) if footer else b"")


@pytest.mark.parametrize(
    "tag",
    [id3(0), id3(300), id3(200_000), id3(300, footer=True), id3(300) + bytes(1000)],
    ids=["empty", "small", "with a picture", "with a footer", "with padding it does not count"],
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
