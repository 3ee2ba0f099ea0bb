"""Telling what a file is before libsndfile sees it: what is allowed, what is refused, and why."""

import struct

import pytest

from classifier.errors import ErrorCode, SoundError
from classifier.headers import layout, sniffing
from tests.support import sounds
from tests.support.riff_chunks import chunk, chunks_of, form, riff, wav

PCM, PCM_DATA = wav()
IMA, IMA_DATA = wav("IMA_ADPCM")
JUNK = chunk(b"JUNK", b"..")


@pytest.fixture
def refusal_of(layout_of):
    """The error with which a file of these bytes is refused, libsndfile not asked."""

    def refusal(content):
        with pytest.raises(SoundError) as refused:
            layout_of(content)
        return refused.value

    return refusal


@pytest.mark.parametrize(
    ("written_as", "container"),
    [
        *[(name, name) for name in ("WAV", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF", "W64")],
        ("RF64", "WAV"),
        ("WAVEX", "WAV"),
    ],
)
def test_a_supported_container_is_recognised_by_its_first_bytes(layout_of, written_as, container):
    layout = layout_of(sounds.encoded(written_as))
    assert (layout.container, layout.missing_bytes) == (container, 0)


TAG = b"ID3\3\0\0\0\0\1\x48" + b"TIT2\0\0\0\x08\0\0\0made up".ljust(200, b"\0")


@pytest.mark.parametrize(
    "container", ["WAV", "RF64", "AIFF", "FLAC", "OGG", "AU", "CAF", "W64", "MIDI"]
)
def test_tags_before_a_sound_do_not_change_its_header(layout_of, container):
    content = sounds.midi() if container == "MIDI" else sounds.encoded(container)
    for tags in (TAG, TAG + TAG, TAG[:10].ljust(9000, b"\0")):
        assert layout_of(tags + content) == layout_of(content)


def test_midi_in_riff_is_midi(layout_of, refusal_of):
    content = riff(chunk(b"LIST", b"INFO"), chunk(b"data", sounds.midi()), form=b"RMID")
    assert layout_of(content).container == "MIDI"
    assert refusal_of(content[:-3]).code is ErrorCode.TRUNCATED
    assert refusal_of(riff(form=b"RMID")).code is ErrorCode.INVALID_HEADER


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "MPEG-4"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
        (b"wvpk\0\0\0\0", "WavPack"),
        (b"MAC \x96\x0f", "Monkey's Audio"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"\x1a\x45\xdf\xa3\x01", "WebM"),
        (b"FORM\0\0\0\0" + b"8SVX", "Amiga"),
        (b"Creative Voice File\x1a", "Creative"),
        (b"\xff\xf1\x50\x80", "AAC"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_known_unsupported_format_is_named(refusal_of, content, what):
    refused = refusal_of(content + bytes(100))
    assert refused.code is ErrorCode.UNSUPPORTED_FORMAT
    assert what in refused.message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"Dear Sir or Madam,\r\n", "text"),
        ("Sehr geehrte Damen".encode("utf-16"), "text"),
        (bytes(5000), "zeros"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary data"),
        (b"\xff\xff\xff\xff" * 10, "binary data"),
        (b"RIFF\x04\0\0\0AVI ", "binary data"),
        (b"R", "text"),
    ],
    ids=["letter", "UTF-16", "zeros", "PNG", "ones", "AVI", "one letter"],
)
def test_what_is_not_audio_is_described(refusal_of, content, what):
    refused = refusal_of(content)
    assert refused.code is ErrorCode.NOT_AUDIO
    assert refused.message.startswith(f"its first bytes are {what};")


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *[("WAV", subtype) for subtype in ("IMA_ADPCM", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_32")],
        *[("AIFF", subtype) for subtype in ("IMA_ADPCM", "GSM610", "DWVW_16", "DWVW_24")],
        *[("AU", subtype) for subtype in ("G721_32", "G723_24", "G723_40")],
        ("W64", "IMA_ADPCM"),
    ],
)
def test_an_encoding_that_is_not_listed_never_reaches_libsndfile(refusal_of, container, subtype):
    assert refusal_of(sounds.encoded(container, subtype)).code is ErrorCode.UNSUPPORTED_FORMAT


def test_ima_adpcm_is_named_in_the_error(refusal_of):
    assert "IMA ADPCM" in refusal_of(sounds.encoded("WAV", "IMA_ADPCM")).message


def test_an_encoding_hidden_in_an_extensible_format_is_found(refusal_of):
    extensible = chunks_of(sounds.encoded("WAVEX"))[b"fmt "]
    guid = 8 + 24
    assert extensible[guid : guid + 2] == b"\1\0", "the tag is where it is looked for"
    forged = extensible[:guid] + b"\x11\0" + extensible[guid + 2 :]
    assert refusal_of(riff(forged, PCM_DATA)).code is ErrorCode.UNSUPPORTED_FORMAT


def test_rifx_is_checked(refusal_of):
    forged = chunk(b"fmt ", struct.pack(">HHIIHH", 0x11, 1, 44100, 0, 0, 4), order=">")
    refused = refusal_of(riff(forged, magic=b"RIFX", order=">"))
    assert refused.code is ErrorCode.UNSUPPORTED_FORMAT


def test_a_caf_of_another_encoding_is_refused(refusal_of):
    forged = sounds.encoded("CAF").replace(b"lpcm", b"ima4", 1)
    assert refusal_of(forged).code is ErrorCode.UNSUPPORTED_FORMAT


# Ways to show libsndfile another encoding than was checked, or a chunk that it reads for ever. Each
# worked once: its walk over the chunks is not ours. Now it sees a stand-in and none of this.

PLAIN = riff(PCM, PCM_DATA)
IMA_FILE = IMA + IMA_DATA
ENDLESS = {
    "text": b"INFO" + chunk(b"IART", bytes(16)) + chunk(b"what", b"this", stated=2**32 - 32),
    "labels": b"adtl" + chunk(b"what", b"this", stated=2**32 - 8),
    "out of step": b"exif" + chunk(b"etim", b"", stated=0x460004) + b"abcd" + b"\xf8\xff\xff\xff",
    "astride its end": b"adtl" + b"olym\xf8\xff",
}
TRICKS = {
    "smpl": [chunk(b"smpl", b""), chunk(b"JUNK", bytes(28) + IMA_FILE), PCM, PCM_DATA],
    "acid": [chunk(b"acid", b"."), chunk(b"JUNK", bytes(9) + IMA_FILE), PCM, PCM_DATA],
    "fact before": [chunk(b"fact", b"..."), chunk(b"JUNK", bytes(9) + IMA_FILE), PCM, PCM_DATA],
    "fact behind": [PCM, chunk(b"fact", b""), PCM_DATA],
    "unprintable": [chunk(b"\1\2\3\4", IMA_FILE), PCM, PCM_DATA],
    "a second format": [PCM, IMA, PCM_DATA],
    "a format behind the sound": [PCM, PCM_DATA, IMA],
    "a lying ds64": [PCM, chunk(b"ds64", bytes(8) + b"\xff" * 8 + bytes(12)), PCM_DATA],
    **{
        f"{name}, before": [PCM, chunk(b"LIST", inner), PCM_DATA] for name, inner in ENDLESS.items()
    },
    **{
        f"{name}, behind": [PCM, PCM_DATA, chunk(b"LIST", inner)] for name, inner in ENDLESS.items()
    },
}


@pytest.mark.parametrize("parts", TRICKS.values(), ids=TRICKS)
def test_libsndfile_gets_only_the_format_and_the_length_of_a_wav(layout_of, stand_in_of, parts):
    assert stand_in_of(lambda: layout_of(riff(*parts))) == stand_in_of(lambda: layout_of(PLAIN))


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([*[JUNK] * 300, IMA, IMA_DATA], ErrorCode.LIMIT_EXCEEDED),
        ([chunk(b"LIST", b"adtl"), IMA, IMA_DATA], ErrorCode.UNSUPPORTED_FORMAT),
        ([chunk(b"data", b""), IMA, IMA_DATA], ErrorCode.UNSUPPORTED_FORMAT),
        ([chunk(b"JUNK", b"", stated=0xFFFFFF00), IMA, IMA_DATA], ErrorCode.INVALID_HEADER),
        ([PCM], ErrorCode.INVALID_HEADER),
    ],
    ids=["flood", "LIST", "data first", "beyond the end", "no sound"],
)
def test_a_wav_with_an_unsupported_format_is_refused(refusal_of, parts, code):
    assert refusal_of(riff(*parts)).code is code


def test_a_compressed_aiff_that_is_not_marked_aifc_is_passed_on_as_plain_aiff(layout_of):
    forged = sounds.encoded("AIFF", "IMA_ADPCM").replace(b"AIFC", b"AIFF", 1)
    stand_in = layout_of(forged).source
    assert stand_in.header[8:12] == b"AIFF"
    assert b"ima4" not in stand_in.header


def test_a_second_comm_chunk_of_an_aiff_is_not_passed_on(layout_of):
    good = sounds.encoded("AIFF")
    ima = chunks_of(sounds.encoded("AIFF", "IMA_ADPCM"), ">")[b"COMM"]
    forged = good[:12] + b"".join(chunks_of(good, ">").values()) + ima
    assert layout_of(forged).source == layout_of(good).source


def test_a_second_format_chunk_after_the_samples_of_a_w64_is_not_passed_on(layout_of):
    good, ima = sounds.encoded("W64"), sounds.encoded("W64", "IMA_ADPCM")
    forged = good + bytes(-len(good) % 8) + bytes(24) + ima[40:]
    assert layout_of(forged).source == layout_of(good).source


def test_a_w64_with_a_length_beyond_the_file_is_refused(refusal_of):
    good = sounds.encoded("W64")
    far = b"list" + good[44:56] + struct.pack("<Q", 1 << 63)
    assert refusal_of(good[:40] + far + good[40:]).code is ErrorCode.INVALID_HEADER


@pytest.mark.parametrize(
    "file",
    [
        riff(PCM, *[JUNK] * 5000, PCM_DATA),
        riff(*[chunk(b"JUNK", b"")] * 5000),
        form(*[chunk(b"ANNO", b"", order=">")] * 5000),
    ],
    ids=["WAV", "WAV without a sound", "AIFF"],
)
def test_a_file_of_thousands_of_chunks_is_not_read_to_its_end(refusal_of, file):
    assert refusal_of(file).code is ErrorCode.LIMIT_EXCEEDED


def test_any_file_takes_few_reads(layout_of, monkeypatch):
    # Given a WAV whose chunks are spread over half a megabyte
    spread = riff(PCM, *[chunk(b"JUNK", bytes(5000))] * 100, PCM_DATA)
    reads = []
    pread = layout.os.pread
    monkeypatch.setattr(layout.os, "pread", lambda fd, n, at: reads.append(n) or pread(fd, n, at))
    # When it is inspected
    layout_of(spread)
    # Then only chunk headers were read
    assert sum(reads) < layout.HEAD_BYTES + 8 * 110


@pytest.mark.parametrize(
    ("content", "audio"),
    [
        (sounds.encoded("FLAC"), True),
        (b"\0\0\0\x20ftypM4A ", True),  # its owner is told that it is not read
        (riff(PCM), True),  # or that it is broken
        (b"#!/bin/sh\n", False),
        (b"", False),
    ],
    ids=["FLAC", "MPEG-4", "a WAV without a sound", "script", "empty"],
)
def test_a_file_without_an_extension_is_recognised_by_its_first_bytes(tmp_path, content, audio):
    (tmp_path / "file").write_bytes(content)
    with open(tmp_path / "file", "rb") as file:
        assert sniffing.looks_like_audio(file.fileno()) is audio
