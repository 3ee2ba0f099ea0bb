"""Ogg, read page by page: libsndfile's numbers without libvorbis ever seeing a byte."""

import io
import os

import numpy as np
import pytest
import soundfile

from classifier.errors import ErrorCode
from classifier.headers import ogg, reader
from tests.support import sounds
from tests.support.ogg_pages import (
    COMMENTS,
    FIRST,
    LAST,
    hostile,
    opus_head,
    page,
    pages_of,
    setup_of,
    signed,
    vorbis_head,
)


def noise(sub, channels=2, rate_hz=48000, frames=400_000):
    """Long enough for many pages, and loud enough that blocks of both lengths are used."""
    file = io.BytesIO()
    steps = np.random.default_rng(0).normal(0, 0.1, (frames, channels))
    fading = np.exp(-(np.arange(frames) % 20000) / 3000)[:, None]
    soundfile.write(file, steps * fading, rate_hz, sub, format="OGG")
    return file.getvalue()


def according_to_libsndfile(content):
    with soundfile.SoundFile(io.BytesIO(content)) as sound:
        return sound.frames, sound.samplerate, sound.channels, sound.subtype


def numbers_of(header):
    return header.frame_count, header.sample_rate_hz, header.channels, header.sample_type


@pytest.fixture(scope="module", params=["VORBIS", "OPUS"])
def long(request):
    """A sound of many pages, in both codecs."""
    return noise(request.param)


ENCODED = [
    (codec, channels, rate_hz, frames)
    for codec, rates in (("VORBIS", (8000, 44100, 192000)), ("OPUS", (8000, 12000, 16000, 24000)))
    for channels in (1, 2, 6)
    for rate_hz in rates
    for frames in (1, 960, 50001)
]


@pytest.mark.parametrize(("codec", "channels", "rate_hz", "frames"), ENCODED)
def test_values_match_libsndfile(header_of, codec, channels, rate_hz, frames):
    content = noise(codec, channels, rate_hz, frames)
    assert numbers_of(header_of(content).header) == according_to_libsndfile(content)


def test_values_of_real_files_match_libsndfile(header_of, shared_audio):
    for path in shared_audio.rglob("*.ogg"):
        content = path.read_bytes()
        assert numbers_of(header_of(content).header) == according_to_libsndfile(content), path


@pytest.mark.parametrize("n_lost", [1, 2, 5])
def test_the_length_of_a_stream_excludes_its_start_position(header_of, long, n_lost):
    # Given a recording that was cut at its front, as radio is: positions count from what is lost
    identification, titles, *pages = pages_of(long)
    content = b"".join([identification, titles, *pages[n_lost:]])
    # When its header is read
    header = header_of(content).header
    # Then what is lost is not counted
    assert numbers_of(header) == according_to_libsndfile(content)
    assert header.frame_count < 400_000


def test_libsndfile_is_not_called(header_of, monkeypatch, long):
    monkeypatch.setattr(soundfile, "SoundFile", None)
    assert header_of(long).header.frame_count == 400_000


@pytest.mark.parametrize(
    "behind",
    [b"TAG" + bytes(125), bytes(100_000), b"OggS and so on"],
    ids=["tag", "zeros", "a false page"],
)
def test_bytes_after_the_last_page_are_ignored(header_of, long, behind):
    assert header_of(long + behind).header.frame_count == 400_000


# Pages as some writers leave them


@pytest.mark.parametrize("gap", [bytes(1), bytes(966), b"OggS" + b"\xa5" * 300])
def test_bytes_between_pages_are_skipped(header_of, long, gap):
    assert header_of(gap.join(pages_of(long)) + gap).header.frame_count == 400_000


def test_gaps_between_pages_are_searched_up_to_a_limit(refusal_of, long):
    first, *rest = pages_of(long)
    assert refusal_of(first + bytes(70_000) + b"".join(rest)).code is ErrorCode.INVALID_HEADER


def merged(pages):
    """Return these pages as one."""
    heads = [each[27 : 27 + each[26]] for each in pages]
    lengths = b"".join(heads)
    bodies = b"".join(each[27 + len(head) :] for each, head in zip(pages, heads, strict=True))
    return signed(pages[-1][:26] + bytes([len(lengths)]) + lengths + bodies)


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("n_first", [0, 1])
def test_audio_may_start_on_a_header_page(header_of, codec, n_first):
    # Given a short sound, all pages of which but the first are one; or all
    pages = pages_of(noise(codec, 1, frames=4_000))
    one = merged(pages[n_first:])
    if n_first == 0:
        one = signed(one[:5] + bytes([FIRST | LAST]) + one[6:])
    # When it is read, it is as long as before
    assert header_of(b"".join(pages[:n_first]) + one).header.frame_count == 4_000


def test_a_first_audio_page_with_a_wrong_checksum_is_refused(header_of, long):
    pages = pages_of(long)
    n_headers = 2
    damaged = pages[n_headers][:-1] + bytes([pages[n_headers][-1] ^ 1])
    content = b"".join([*pages[:n_headers], damaged, *pages[n_headers + 1 :]])
    assert numbers_of(header_of(content).header) == according_to_libsndfile(content)
    assert header_of(content).header.frame_count < 400_000


# What libvorbis would not survive


@pytest.mark.parametrize(
    "setup",
    [setup_of(1, 20), setup_of(256, 19), b"\x05vorbis", b""],
    ids=["crashes it", "takes a gigabyte", "cut", "empty"],
)
def test_the_setup_header_is_not_parsed(header_of, monkeypatch, setup):
    # Given a file whose codebooks libvorbis 1.3.7 dies of, or only reads with a gigabyte
    monkeypatch.setattr(soundfile, "SoundFile", None)
    # When its header is read
    header = header_of(hostile(setup)).header
    # Then the numbers of its first page and its last come out
    assert (header.sample_rate_hz, header.channels) == (48000, 2)
    assert 1000 <= header.frame_count <= 1128


# Files that are cut short


@pytest.mark.parametrize("missing_bytes", [1, 100, 1000, 10_000, 100_000])
def test_a_file_that_ends_within_a_page_is_truncated(refusal_of, long, missing_bytes):
    assert refusal_of(long[:-missing_bytes]).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize("left_bytes", [1, 5, 20, 27, 30])
def test_a_file_that_ends_within_its_last_page_header_is_truncated(refusal_of, long, left_bytes):
    *pages, last = pages_of(long)
    assert refusal_of(b"".join(pages) + last[:left_bytes]).code is ErrorCode.TRUNCATED


def test_a_file_that_ends_between_pages_is_read(header_of, long):
    # Many writers forget the mark of the last page, so its absence says nothing
    content = b"".join(pages_of(long)[:-1])
    assert numbers_of(header_of(content).header) == according_to_libsndfile(content)


def test_a_file_that_ends_before_its_audio_is_truncated(refusal_of, long):
    first, second, *_ = pages_of(long)
    assert refusal_of(first).code is ErrorCode.TRUNCATED
    assert refusal_of(first + second[:50]).code is ErrorCode.TRUNCATED
    assert refusal_of(first + second).code is ErrorCode.TRUNCATED


def test_a_preallocated_file_ending_in_zeros_has_no_length(header_of, long):
    # Given what a download leaves that reserved its place first
    reading = header_of(long + bytes(300_000), "long.ogg")
    # Then its length is not guessed
    assert reading.header.frame_count is None
    assert "256 KiB" in reading.note


def test_gigabytes_of_zeros_after_the_audio_are_not_read(tmp_path, monkeypatch):
    # Given a sparse file
    path = tmp_path / "sparse.ogg"
    path.write_bytes(noise("VORBIS"))
    size = 8 << 30
    os.truncate(path, size)
    n_read = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: n_read.append(n) or pread(fd, n, at))
    # When its header is read
    with path.open("rb") as file:
        reader.read_header(file.fileno(), size, "sparse.ogg")
    # Then its beginning and its end were
    assert sum(n_read) < 1_000_000


# Streams beside and behind one another


def test_an_interleaved_stream_is_skipped(header_of, long):
    first, *rest = pages_of(long)
    other = page(b"\x80theora", flags=FIRST, serial=1)
    assert header_of(first + other + b"".join(rest)).header.frame_count == 400_000


def test_the_first_of_two_chained_streams_counts(header_of, long):
    behind = sounds.encoded("OGG")
    content = long + behind
    reading = header_of(content)
    assert numbers_of(reading.header) == according_to_libsndfile(content)
    assert "the first of several sounds" in reading.note


def test_a_stream_whose_end_is_far_from_the_files_end_has_no_length(header_of, long):
    content = sounds.encoded("OGG") + long * 3
    header = header_of(content).header
    assert (header.frame_count, header.sample_type) == (None, "VORBIS")


def ogg_flac():
    flac = sounds.encoded("FLAC", channels=2)
    streaminfo = bytes([0x80]) + flac[5:42]
    head = b"\x7fFLAC\1\0\0\0fLaC" + streaminfo
    return page(head, flags=FIRST) + page(flac[42:300], flags=LAST, position=2205, number=1)


def test_flac_in_ogg_is_read(header_of):
    header = header_of(ogg_flac()).header
    assert numbers_of(header) == (sounds.N_FRAMES, 44100, 2, "PCM_16")


def test_the_length_of_flac_in_ogg_without_a_stated_one_comes_from_its_last_page(header_of):
    head, sound = pages_of(ogg_flac())
    unstated = head[:28] + head[28:].replace(sounds.N_FRAMES.to_bytes(4, "big"), bytes(4))
    assert header_of(signed(unstated) + sound).header.frame_count == 2205


# What is refused


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"Speex   1.2", "Speex"),
        (b"\x80theora", "Theora"),
        (b"fishead\0", "Ogg Skeleton"),
        (b"fLaC", "2004"),
        (b"anything", "unknown"),
    ],
)
def test_an_unsupported_codec_is_named(refusal_of, head, what):
    refused = refusal_of(page(head, flags=FIRST))
    assert refused.code is ErrorCode.UNSUPPORTED_FORMAT
    assert what in refused.message


def whole(head, *, position=2000, flags=LAST):
    """Return a stream of this first packet with a page of sound behind it."""
    titles = (COMMENTS, setup_of(1, 3)) if head[:1] == b"\1" else (b"OpusTags" + bytes(8),)
    sound = (b"\0\0", b"\0\0")  # Opus: 480 samples each
    return (
        page(head, flags=FIRST)
        + page(*titles, number=1)
        + page(*sound, flags=flags, position=position, number=2)
    )


@pytest.mark.parametrize(
    "content",
    [
        whole(vorbis_head(channels=0)),
        whole(vorbis_head(rate_hz=0)),
        whole(vorbis_head(blocks=0x8B)),
        whole(vorbis_head(blocks=0xFF)),
        whole(vorbis_head()[:-1]),
        whole(vorbis_head()[:-1] + b"\0"),
        whole(b"\x01vorbis\1" + vorbis_head()[8:]),
        whole(opus_head()[:-1]),
        whole(opus_head(channels=0)),
        whole(opus_head(channels=3)),
        whole(opus_head(channels=9, mapping=1)),
        whole(b"OpusHead\2" + opus_head()[9:]),
        whole(opus_head(), position=100, flags=0),
        page(vorbis_head()),
        page(vorbis_head(), flags=FIRST) + bytes(1000),
    ],
)
def test_an_invalid_first_page_is_refused(refusal_of, content):
    assert refusal_of(content).code is ErrorCode.INVALID_HEADER


def test_the_unmodified_test_streams_are_valid(header_of):
    assert header_of(whole(vorbis_head())).header.channels == 1
    assert header_of(whole(opus_head(), position=960)).header.frame_count == 960


@pytest.mark.parametrize("position", [2**50, 2**63 - 1])
def test_an_impossible_length_is_not_accepted(refusal_of, position):
    # Given a stream whose last page counts six years and more
    content = whole(opus_head(), position=1000, flags=0) + page(
        b"\0\0", flags=LAST, position=position, number=3
    )
    # When its header is read, it is refused
    assert refusal_of(content).code is ErrorCode.LIMIT_EXCEEDED


def test_an_opus_packet_that_is_too_short_counts_no_samples(header_of):
    # Given packets whose first byte announces a second, or which have none
    content = (
        page(opus_head(), flags=FIRST)
        + page(b"OpusTags" + bytes(8), number=1)
        + page(b"\3", b"", b"\0\0", position=480, number=2)
    )
    # When its header is read, one packet is sound
    assert header_of(content).header.frame_count == 480


def test_a_first_page_with_a_wrong_checksum_is_refused(refusal_of):
    content = bytearray(sounds.encoded("OGG"))
    content[39] += 1
    assert "checksum" in refusal_of(bytes(content)).message


def test_test_pages_have_the_checksums_of_a_real_writer():
    assert all(signed(each) == each for each in pages_of(sounds.encoded("OGG")))


def test_comments_are_read_up_to_a_limit(refusal_of, monkeypatch):
    monkeypatch.setattr(ogg, "_MAX_HEADER_PAGES", 10)
    titles = b"".join(page(b"\xff" * 255, serial=9, number=n) for n in range(20))
    first, *rest = pages_of(sounds.encoded("OGG"))
    refused = refusal_of(first + titles + b"".join(rest))
    assert refused.code is ErrorCode.LIMIT_EXCEEDED


def test_false_pages_at_the_end_are_searched_up_to_a_limit(header_of, monkeypatch):
    checked = []
    has_valid_checksum = ogg._has_valid_checksum
    monkeypatch.setattr(
        ogg,
        "_has_valid_checksum",
        lambda file, page: checked.append(page) or has_valid_checksum(file, page),
    )
    reading = header_of(sounds.encoded("OGG") + b"OggS\0\0".ljust(27, b"\0") * 10_000)
    assert reading.header.frame_count is None
    assert len(checked) < 200
