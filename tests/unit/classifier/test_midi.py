"""MIDI files beside sounds: found, checked, and without any number but their size."""

import struct

import pytest

from classifier.errors import ErrorCode
from classifier.headers.reader import AudioHeader
from tests.support import sounds


def test_a_midi_file_has_a_size_and_no_other_header_values(header_of):
    content = sounds.midi(n_tracks=3)
    reading = header_of(content, "Chords_Am.mid")
    assert reading.header == AudioHeader(len(content), None, None, None, None, None)
    assert reading.note is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.EMPTY_FILE),
        (b"Dear Sir\n", ErrorCode.NOT_AUDIO),
        (b"MThd", ErrorCode.INVALID_HEADER),
        (b"MThd\0\0\0\x06\0\1", ErrorCode.INVALID_HEADER),
        (b"MThd\0\0\0\x06\0\x07\0\1\1\xe0MTrk\0\0\0\0", ErrorCode.INVALID_HEADER),
        (b"MThd\0\0\0\x06\0\1\0\0\1\xe0", ErrorCode.INVALID_HEADER),
        (b"MThd\0\0\0\x06\0\1\0\1\0\0MTrk\0\0\0\0", ErrorCode.INVALID_HEADER),
        (b"MThd\0\0\0\0\0\1\0\1\1\xe0MTrk\0\0\0\0", ErrorCode.INVALID_HEADER),
        (b"MThd\xff\xff\xff\xff\0\1\0\1\1\xe0MTrk\0\0\0\0", ErrorCode.INVALID_HEADER),
        (sounds.midi(n_tracks=0, stated=1), ErrorCode.INVALID_HEADER),
        (sounds.midi()[:-1], ErrorCode.TRUNCATED),
    ],
    ids=[
        "empty", "text", "magic alone", "cut header", "format 7", "no tracks", "no division",
        "length 0", "length beyond the file", "no track there", "cut track",
    ],
)  # fmt: skip
def test_an_invalid_midi_file_is_refused_with_the_reason(refusal_of, content, code):
    refused = refusal_of(content, "chords.mid")
    assert refused.code is code
    assert refused.message.isprintable()


def test_fewer_tracks_than_stated_are_accepted(header_of):
    assert header_of(sounds.midi(n_tracks=1, stated=9), "a.mid").note is None


def test_thousands_of_tracks_are_not_read(header_of, monkeypatch):
    from classifier.headers import layout

    reads = []
    pread = layout.os.pread
    monkeypatch.setattr(layout.os, "pread", lambda fd, n, at: reads.append(n) or pread(fd, n, at))
    track = b"MTrk" + struct.pack(">I", 5000) + bytes(5000)
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, 65535, 480)
    header_of(header + 1000 * track, "a.mid")
    assert len(reads) < 70


@pytest.mark.parametrize(
    ("content", "name", "note"),
    [
        (sounds.encoded("WAV"), "a.mid", "its extension is .mid, but its format is WAV"),
        (sounds.midi(), "a.wav", "its extension is .wav, but its format is MIDI"),
        (sounds.midi(), "A.MIDI", None),
    ],
    ids=["WAV", "MIDI", "as it should be"],
)
def test_a_misleading_extension_of_a_midi_file_gets_a_note(header_of, content, name, note):
    assert header_of(content, name).note == note


def test_a_walk_finds_midi_files_beside_sounds(put, found):
    put("sounds/chords.mid", "sounds/chords.wav", "sounds/MELODY.MIDI")
    names = [sound.path.rpartition("/")[2] for sound in found("sounds")]
    assert names == ["MELODY.MIDI", "chords.mid", "chords.wav"]


def test_a_midi_file_without_an_extension_is_found(put, found):
    put("sounds/chords", content=sounds.midi())
    assert len(found("sounds")) == 1
