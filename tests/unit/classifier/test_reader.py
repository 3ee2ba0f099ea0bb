"""The numbers of a header: right for all that is read, and a typed refusal for the rest."""

import io
import struct

import pytest
import soundfile

from classifier.errors import ErrorCode
from classifier.headers import reader
from tests.support import sounds
from tests.support.riff_chunks import chunk, chunks_of, form, riff, wav

#: By which of libsndfile's names the containers that are read can be written.
WRITTEN_AS = ("WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF", "W64")

#: What libsndfile may write and `classifier.headers.sniffing` does not let in again.
REFUSED = ("IMA_ADPCM", "DWVW_", "G721_", "G723_", "NMS_")
REFUSED_IN_AIFF = (*REFUSED, "GSM610")

FORMATS = [
    (container, subtype, channels)
    for container in WRITTEN_AS
    for subtype in soundfile.available_subtypes(container)
    for channels in (1, 2)
    if not subtype.startswith(REFUSED_IN_AIFF if container == "AIFF" else REFUSED)
    # libsndfile reads these three but writes them nowhere.
    and subtype not in ("MPEG_LAYER_I", "MPEG_LAYER_II")
    and (container, subtype) != ("WAV", "MPEG_LAYER_III")
    # Mono by definition.
    and (subtype, channels) != ("GSM610", 2)
]

FMT, DATA = wav()
FRAMES = sounds.N_FRAMES


@pytest.mark.parametrize(("container", "subtype", "channels"), FORMATS)
def test_every_container_and_encoding_gives_its_header_values(
    header_of, container, subtype, channels
):
    rate_hz = 48000 if subtype == "OPUS" else 44100
    content = sounds.encoded(container, subtype, channels, rate_hz)
    header = header_of(content).header
    # Some encodings pad the sound to whole blocks of their own.
    frames = len(soundfile.read(io.BytesIO(content))[0])
    assert frames >= FRAMES
    assert header == reader.AudioHeader(
        file_size_bytes=len(content),
        duration_seconds=frames / rate_hz,
        sample_rate_hz=rate_hz,
        channels=channels,
        frame_count=frames,
        sample_type=subtype,
    )


@pytest.mark.parametrize(
    "file",
    [
        riff(FMT, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"odd")), DATA),
        riff(FMT, DATA, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"odd"))),
        riff(chunk(b"JUNK", bytes(27)), chunk(b"bext", bytes(603)), FMT, DATA),
        riff(FMT, chunk(b"JUNK", bytes(5000)), DATA),
        riff(FMT, DATA, chunk(b"smpl", bytes(36)), chunk(b"acid", bytes(24))),
    ],
    ids=["LIST before", "LIST behind", "odd lengths first", "far away", "smpl and acid"],
)
def test_the_samples_are_found_among_other_chunks(header_of, file):
    assert header_of(file).header.frame_count == FRAMES


def test_the_comm_chunk_of_an_aiff_may_follow_the_samples(header_of):
    parts = chunks_of(sounds.encoded("AIFF"), ">")
    assert header_of(form(parts[b"SSND"], parts[b"COMM"])).header.frame_count == FRAMES


def test_rifx_is_read(header_of):
    fmt = chunk(b"fmt ", struct.pack(">HHIIHH", 1, 2, 48000, 192000, 4, 16), order=">")
    file = riff(fmt, chunk(b"data", bytes(400), order=">"), magic=b"RIFX", order=">")
    header = header_of(file).header
    assert (header.frame_count, header.channels, header.sample_rate_hz) == (100, 2, 48000)


@pytest.mark.parametrize(
    ("riff_length", "data_length"), [(0xFFFFFFFF, 0xFFFFFFFF), (8, 0)], ids=["all ones", "zero"]
)
def test_a_streamed_wav_extends_to_the_end_of_the_file(header_of, riff_length, data_length):
    whole = riff(FMT, chunk(b"data", DATA[8:], stated=data_length))
    streamed = whole[:4] + struct.pack("<I", riff_length) + whole[8:]
    assert header_of(streamed).header.frame_count == FRAMES


# Files that are cut short


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "AIFF", "W64", "AU", "CAF"])
@pytest.mark.parametrize("missing_bytes", [100, 1000])
def test_a_truncated_file_is_reported_with_the_missing_bytes(refusal_of, container, missing_bytes):
    refused = refusal_of(sounds.encoded(container)[:-missing_bytes])
    assert refused.code is ErrorCode.TRUNCATED
    assert f"{missing_bytes:,} more bytes" in refused.message


def test_a_truncated_float_wav_is_reported(refusal_of):
    refused = refusal_of(sounds.encoded("WAV", "FLOAT")[:-400])
    assert refused.code is ErrorCode.TRUNCATED


def test_a_truncated_alac_file_is_reported(refusal_of):
    assert refusal_of(sounds.encoded("CAF", "ALAC_16")[:-100]).code is ErrorCode.TRUNCATED


def test_a_file_truncated_before_its_first_sample_is_truncated_not_empty(refusal_of):
    assert refusal_of(riff(FMT, DATA)[: -len(DATA) + 8]).code is ErrorCode.TRUNCATED


def test_a_sound_without_its_final_padding_is_complete(header_of):
    odd = riff(*wav("PCM_U8"))
    assert FRAMES % 2 == 1
    assert odd.endswith(b"\0")
    assert header_of(odd[:-1]).header.frame_count == FRAMES


# Headers that state nonsense


def wav_stating(channels=1, rate_hz=44100, bits=16):
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block % 2**32, block, bits)
    return riff(chunk(b"fmt ", fmt), chunk(b"data", bytes(block * 4)))


@pytest.mark.parametrize(
    "content",
    [
        riff(FMT, chunk(b"data", b"")),
        form(*[part for name, part in chunks_of(sounds.encoded("AIFF"), ">").items()][:1]),
    ],
    ids=["WAV", "AIFF"],
)
def test_a_header_without_samples_gives_a_typed_error(refusal_of, content):
    assert refusal_of(content).code in (ErrorCode.EMPTY_FILE, ErrorCode.INVALID_HEADER)


def test_a_file_without_bytes_is_empty(refusal_of):
    assert refusal_of(b"").code is ErrorCode.EMPTY_FILE


@pytest.mark.parametrize("limit", [{"channels": 256}, {"rate_hz": 1_000_000}], ids=str)
def test_a_value_at_its_limit_is_accepted(header_of, limit):
    header = header_of(wav_stating(**limit)).header
    assert header.channels == limit.get("channels", 1)
    assert header.sample_rate_hz == limit.get("rate_hz", 44100)


@pytest.mark.parametrize("beyond", [{"channels": 257}, {"rate_hz": 1_000_001}], ids=str)
def test_a_value_beyond_its_limit_is_refused(refusal_of, beyond):
    assert refusal_of(wav_stating(**beyond)).code is ErrorCode.LIMIT_EXCEEDED


def test_an_impossible_length_is_refused(refusal_of, monkeypatch):
    monkeypatch.setattr(reader, "MAX_FRAME_COUNT", FRAMES - 1)
    assert refusal_of(sounds.encoded("FLAC")).code is ErrorCode.LIMIT_EXCEEDED


# Not AU: its first 24 bytes are all the header it has.
@pytest.mark.parametrize("container", [name for name in WRITTEN_AS if name != "AU"])
def test_half_a_header_gives_a_typed_error(refusal_of, container):
    assert refusal_of(sounds.encoded(container)[:30]).code in (
        ErrorCode.INVALID_HEADER,
        ErrorCode.NOT_AUDIO,
        ErrorCode.UNSUPPORTED_FORMAT,
    )


@pytest.mark.parametrize(
    "content",
    [
        *[sounds.encoded(container, "IMA_ADPCM") for container in ("WAV", "AIFF", "W64")],
        sounds.encoded("CAF").replace(b"lpcm", b"ima4", 1),
    ],
    ids=["WAV", "AIFF", "W64", "CAF"],
)
def test_libsndfile_never_gets_an_unsupported_encoding(refusal_of, monkeypatch, content):
    shown = []
    monkeypatch.setattr(soundfile, "SoundFile", lambda *arguments, **_: shown.append(arguments))
    assert refusal_of(content).code is ErrorCode.UNSUPPORTED_FORMAT
    assert shown == []


# What a person is told of a readable file


@pytest.mark.parametrize(
    ("container", "name", "note"),
    [
        ("FLAC", "kick.wav", "its extension is .wav, but its format is FLAC"),
        ("WAV", "KICK.MP3", "its extension is .mp3, but its format is WAV"),
        ("WAV", "kick.WAV", None),
        ("WAV", "kick", None),
        ("WAV", "wav", None),
        ("FLAC", "kick.txt", None),
        ("AIFF", "kick.aifc", None),
        ("OGG", "kick.oga", None),
    ],
)
def test_a_misleading_extension_gets_a_note(header_of, container, name, note):
    assert header_of(sounds.encoded(container), name).note == note


def test_reading_does_not_close_the_file(tmp_path):
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    with open(tmp_path / "kick.wav", "rb") as file:
        size = len(sounds.encoded())
        once = reader.read_header(file.fileno(), size, "kick.wav")
        assert once.header.frame_count == FRAMES
        assert file.readable()
        assert file.seek(0) == 0
