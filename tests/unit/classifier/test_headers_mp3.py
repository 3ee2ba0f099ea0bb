"""MP3, which has no header of its own: frames among tags and remains of other things."""

import contextlib
import errno
import io
import os
import struct

import pytest
import soundfile

from classifier.errors import ErrorCode, SoundError
from classifier.headers import mpeg
from classifier.headers.reader import read_header
from tests.support import sounds
from tests.support.riff_chunks import chunk, riff


def frames(*headers_and_lengths, n=1):
    """Return silent frames, of which the header and the length are given."""
    one_of_each = b"".join(
        bytes.fromhex(header).ljust(length, b"\0") for header, length in headers_and_lengths
    )
    return one_of_each * n


#: 1,152 samples in stereo at 44.1 kHz, of three bit rates.
FRAME, SMALL, LARGE = ("fffb9064", 417), ("fffb1064", 104), ("fffbe064", 1044)
FRAME_SAMPLES = 1152
TEN_FRAMES = frames(FRAME, n=10)


def id3(body_length, footer=False):
    length = bytes(body_length >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    return b"ID3\4\0" + flags + length + bytes(body_length) + (b"3DI" + bytes(7) if footer else b"")


def ape(body):
    numbers = struct.pack("<IIII8x", 2000, len(body) + 32, 1, 0xA0000000)
    footer = struct.pack("<IIII8x", 2000, len(body) + 32, 1, 0x80000000)
    return b"APETAGEX" + numbers + body + b"APETAGEX" + footer


#: Samples that libmpg123 takes for its own delay where a header counts the frames.
DROPPED = 529


def counting_frame(n_frames, n_bytes, name=b"Xing"):
    """Return a first frame that states the number of the others, as encoders write it."""
    content = bytes.fromhex(FRAME[0]) + bytes(32) + name + struct.pack(">III", 3, n_frames, n_bytes)
    return content.ljust(FRAME[1], b"\0")


# Where the first frame is


@pytest.mark.parametrize(
    "before",
    [
        *(id3(0), id3(300), id3(200_000), id3(300, footer=True), id3(300) + bytes(1000)),
        *(id3(300) + id3(5000), ape(bytes(300)), ape(b"") + id3(70_000)),
        id3(300) + bytes(50) + ape(bytes(9)),
        *(bytes(64), bytes(60_000), b"\x55" * 1000, frames(FRAME)[100:], b"\xff\xfb\x90\x64" * 9),
        *(b"HTTP/1.1 200 OK\r\n\r\n", b"ID3\4\0\0\xff\xff\xff\xff"),
    ],
    ids=[
        *("empty tag", "tag", "picture", "footer", "padding that the tag does not count"),
        *("two tags", "APE", "APE and ID3", "ID3, padding and APE"),
        *("zeros", "many zeros", "junk", "part of a frame", "false frames"),
        *("text", "forged tag"),
    ],
)
def test_an_mp3_is_found_after_tags_and_junk(header_of, before):
    header = header_of(before + TEN_FRAMES).header
    assert header.frame_count == 10 * FRAME_SAMPLES
    assert header.file_size_bytes == len(before + TEN_FRAMES)


def test_a_flac_is_found_after_a_tag(header_of):
    assert header_of(id3(300) + sounds.encoded("FLAC")).header.frame_count == sounds.N_FRAMES


@pytest.mark.parametrize(
    "content",
    [
        *(id3(300), id3(300) + b"Dear Sir", id3(10_000)[:300], b"ID3", bytes(70_000) + TEN_FRAMES),
        *(frames(FRAME), frames(FRAME) + bytes(9000), b"\xff\xfb\x90\0" * 1000),
    ],
    ids=[
        *("nothing", "text", "a cut tag", "three letters", "too many zeros"),
        *("one frame", "one frame and zeros", "frames that overlap"),
    ],
)
def test_a_file_without_two_consecutive_frames_is_no_mp3(refusal_of, content):
    assert refusal_of(content).code is ErrorCode.NOT_AUDIO


def wav_of(content):
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 2, 44100, 16000, 1, 0, 12, 1, 2, 417, 1, 1393)
    return riff(chunk(b"fmt ", fmt), chunk(b"data", content))


def test_the_frames_of_an_mp3_in_a_wav_are_counted(header_of):
    reading = header_of(wav_of(TEN_FRAMES))
    assert (reading.header.frame_count, reading.note) == (10 * FRAME_SAMPLES, None)
    assert reading.header.sample_type == "MPEG_LAYER_III"


def test_a_wav_without_the_mp3_it_states_is_refused(refusal_of):
    refused = refusal_of(wav_of(bytes(5000)))
    assert refused.code is ErrorCode.INVALID_HEADER
    assert "states MP3" in refused.message


# How long it is


@pytest.mark.parametrize(
    "after",
    [
        *(b"TAG" + bytes(125), ape(b"\xff\xfb\x90\x64" * 500), id3(300, footer=True)),
        *(b"LYRICSBEGIN" + b"la " * 99 + b"000308LYRICS200TAG" + bytes(125), bytes(9000)),
    ],
    ids=["ID3v1", "APE", "ID3v2", "Lyrics3", "zeros"],
)
def test_bytes_after_the_last_frame_are_not_counted(header_of, after):
    reading = header_of(TEN_FRAMES + after, "kick.mp3")
    assert (reading.header.frame_count, reading.note) == (10 * FRAME_SAMPLES, None)


@pytest.mark.parametrize(
    ("one", "sample_type", "rate_hz", "channels", "samples"),
    [
        (("fffb90c4", 417), "MPEG_LAYER_III", 44100, 1, 1152),
        (("fffb9264", 418), "MPEG_LAYER_III", 44100, 2, 1152),
        (("fffa5464", 192), "MPEG_LAYER_III", 48000, 2, 1152),
        (("fff38064", 208), "MPEG_LAYER_III", 22050, 2, 576),
        (("ffe31864", 72), "MPEG_LAYER_III", 8000, 2, 576),
        (("fffda064", 626), "MPEG_LAYER_II", 44100, 2, 1152),
        (("ffff9064", 312), "MPEG_LAYER_I", 44100, 2, 384),
        (("fffb0064", 800), "MPEG_LAYER_III", 44100, 2, 1152),
    ],
    ids=["mono", "padded", "checksum", "MPEG-2", "MPEG-2.5", "layer II", "layer I", "free format"],
)
def test_every_kind_of_frame_is_counted_as_libsndfile_counts_it(
    header_of, one, sample_type, rate_hz, channels, samples
):
    # Given 20 frames
    content = frames(one, n=20)
    # When they are read
    header = header_of(content).header
    # Then that is what libsndfile finds in them
    with soundfile.SoundFile(io.BytesIO(content)) as sound:
        assert (sound.subtype, sound.samplerate, sound.channels) == (sample_type, rate_hz, channels)
        assert len(sound.read()) == 20 * samples
    assert header[2:6] == (rate_hz, channels, 20 * samples, sample_type)


def test_frames_of_varying_length_are_counted_one_by_one(header_of):
    content = frames(LARGE, SMALL, SMALL, SMALL, n=20)
    assert header_of(content).header.frame_count == 80 * FRAME_SAMPLES


@pytest.mark.parametrize("length", [500, 2205, 20_000, 200_000])
def test_encoder_delay_and_padding_are_subtracted(header_of, length):
    file = io.BytesIO()
    soundfile.write(file, [[0.1, 0.2]] * length, 44100, format="MP3")
    assert header_of(file.getvalue()).header.frame_count == length


@pytest.mark.parametrize("name", [b"Xing", b"Info"])
def test_a_plausible_xing_header_is_accepted(header_of, name):
    content = frames(SMALL, FRAME, n=200)
    header = counting_frame(400, FRAME[1] + len(content), name)
    assert header_of(header + content).header.frame_count == 400 * FRAME_SAMPLES - DROPPED


def test_a_vbri_header_frame_counts_as_sound_as_in_decoders(header_of):
    vbri = bytes.fromhex(FRAME[0]) + bytes(32) + b"VBRI" + bytes(6)
    vbri += struct.pack(">II", FRAME[1] * 11, 10)
    reading = header_of(vbri.ljust(FRAME[1], b"\0") + TEN_FRAMES, "kick.mp3")
    assert (reading.header.frame_count, reading.note) == (11 * FRAME_SAMPLES, None)


@pytest.mark.parametrize(
    ("content", "n_frames", "note"),
    [
        (
            counting_frame(20, FRAME[1] * 21) + TEN_FRAMES,
            10,
            "its header states 0.52 s of sound, but it contains 0.26 s",
        ),
        (
            (counting_frame(10, FRAME[1] * 11) + TEN_FRAMES) * 2,
            21,
            "its header states 0.26 s of sound, but it contains 0.55 s",
        ),
        (
            counting_frame(400, FRAME[1] * 401) + frames(FRAME, n=200),
            200,
            "its header states 10.45 s of sound, but it contains 5.22 s",
        ),
        (TEN_FRAMES[:-1], 9, "its last frame is incomplete"),
        (TEN_FRAMES + bytes(3000) + TEN_FRAMES, 20, "other data is between its frames"),
        (
            TEN_FRAMES + id3(90_000) + frames(SMALL, n=5),
            15,
            "other data is between its frames",
        ),
    ],
    ids=["shorter", "joined", "longer than a block", "cut", "a gap", "a tag inside"],
)
def test_an_ambiguous_length_gets_a_note(header_of, content, n_frames, note):
    reading = header_of(content, "kick.mp3")
    assert reading.note == note
    dropped = DROPPED if b"Xing" in content else 0
    assert reading.header.frame_count == n_frames * FRAME_SAMPLES - dropped


# What it costs


@pytest.fixture
def n_read(monkeypatch):
    """The lengths of all reads."""
    lengths = []
    pread = os.pread

    def counted(fd, length, at):
        data = pread(fd, length, at)
        lengths.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    return lengths


def test_neither_a_large_tag_nor_counted_frames_are_read(header_of, n_read):
    content = frames(FRAME, n=2000)
    header = counting_frame(2000, FRAME[1] + len(content))
    header_of(id3(10_000_000) + header + content)
    assert sum(n_read) < 10_000


def test_only_parts_of_a_long_constant_bit_rate_mp3_are_read(header_of, n_read):
    # Given 80 seconds without a header, tagged at the end
    content = frames(FRAME, n=3100) + b"TAG" + bytes(125)
    # When its header is read
    reading = header_of(content, "mix.mp3")
    # Then its length is right, without a look at all of it
    assert reading.header.frame_count == pytest.approx(3100 * FRAME_SAMPLES, rel=0.001)
    assert reading.note is None
    assert sum(n_read) < len(content) + 2 * 65536


@pytest.fixture
def _little_counted(monkeypatch):
    monkeypatch.setattr(mpeg, "_COUNTED_BYTES", (100_000, 200_000))


@pytest.mark.usefixtures("_little_counted")
def test_the_length_of_a_very_long_variable_bit_rate_mp3_is_estimated(header_of, n_read):
    # Given more than is counted: loud, then quiet
    content = frames(LARGE, n=600) + frames(SMALL, n=6000)
    # When its header is read
    reading = header_of(content, "mix.mp3")
    # Then its length is nearly right and marked as an estimate
    assert reading.header.frame_count == pytest.approx(6600 * FRAME_SAMPLES, rel=0.1)
    assert reading.note == "its length is an estimate: only parts of the file were read"
    assert sum(n_read) < 1_000_000


@pytest.mark.usefixtures("_little_counted")
def test_an_estimate_does_not_contradict_a_header(header_of):
    content = frames(LARGE, n=600) + frames(SMALL, n=6000)
    header = counting_frame(6600, 0)  # it does not state how many bytes these are
    reading = header_of(header + content, "mix.mp3")
    assert (reading.header.frame_count, reading.note) == (6600 * FRAME_SAMPLES - DROPPED, None)


@pytest.mark.parametrize(
    "content",
    [
        bytes.fromhex("fffb90c4") * 300_000,
        bytes.fromhex("fffb00c4fff300c4") * 150_000,
        TEN_FRAMES + bytes.fromhex("fffb90c4") * 300_000,
    ],
    ids=["at the start", "of free format", "after frames"],
)
def test_false_frame_headers_are_followed_up_to_a_limit(layout_of, monkeypatch, content):
    # Given that a look at what follows a header is counted
    looks = []
    stream = mpeg._stream
    monkeypatch.setattr(mpeg, "_stream", lambda *of: looks.append(of) or stream(*of))
    # When many headers that no frames follow are read
    with contextlib.suppress(SoundError):
        layout_of(content)
    # Then few of them were looked at
    assert len(looks) < 20_000


# What happens on the way


@pytest.fixture
def open_mp3(tmp_path):
    """An MP3 as a descriptor, and its size."""
    (tmp_path / "kick.mp3").write_bytes(TEN_FRAMES)
    with (tmp_path / "kick.mp3").open("rb") as file:
        yield file.fileno(), len(TEN_FRAMES)


def failing(error):
    pread = os.pread

    def pread_once(fd, length, offset):
        if length > 4096:
            raise error
        return pread(fd, length, offset)

    return pread_once


def test_a_disk_error_while_reading_is_a_storage_error(open_mp3, monkeypatch):
    monkeypatch.setattr(os, "pread", failing(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        read_header(*open_mp3, "kick.mp3")


def test_a_time_limit_while_reading_is_raised(open_mp3, monkeypatch):
    monkeypatch.setattr(os, "pread", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        read_header(*open_mp3, "kick.mp3")


def test_a_header_that_needs_too_much_memory_is_refused(refusal_of, monkeypatch):
    monkeypatch.setattr(os, "pread", failing(MemoryError()))
    refused = refusal_of(TEN_FRAMES)
    assert refused.code is ErrorCode.LIMIT_EXCEEDED
    assert "memory" in refused.message


def test_a_failed_allocation_in_libsndfile_is_a_typed_error(refusal_of, monkeypatch):
    def without_memory(*_, **__):
        raise soundfile.LibsndfileError(17)

    content = sounds.encoded("AIFF")
    monkeypatch.setattr(soundfile, "SoundFile", without_memory)
    assert "memory" in refusal_of(content).message


def test_a_file_that_shrinks_while_being_read_ends_at_its_new_size(open_mp3, tmp_path):
    fd, size = open_mp3
    os.truncate(tmp_path / "kick.mp3", 3 * FRAME[1])
    assert read_header(fd, size, "kick.mp3").header.frame_count == 3 * FRAME_SAMPLES
