"""Headers of real sounds from ten public collections, against what their publishers' table says."""

import csv
import os
import re
from collections import Counter

import pytest

from classifier.errors import ErrorCode, SoundError
from classifier.files.safe_open import open_beneath, open_root
from classifier.headers.reader import read_header

#: No header counts their frames, so the table has an estimate. What libsndfile decodes of them:
DECODED = {
    "beep3.mp3": 9792,
    "resonance1.mp3": 150336,
    "slide3.mp3": 13824,
    "splash1.mp3": 27072,
}


def table_of(folder):
    with open(folder / "MANIFEST.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def read(shared_audio):
    """What a worker would learn of a file below the shared folder: a reading or a refusal."""

    def read(kind, path):
        root_fd = open_root(str(shared_audio / kind))
        try:
            fd, status = open_beneath(root_fd, path)
            try:
                return read_header(fd, status.st_size, os.path.basename(path))
            except SoundError as refused:
                return refused
            finally:
                os.close(fd)
        finally:
            os.close(root_fd)

    return read


def test_headers_of_all_real_sounds_match_the_reference_table(shared_audio, read):
    rows = table_of(shared_audio / "library")
    assert len(rows) > 700
    for row in rows:
        path = row["local_path"]
        header = read("library", path).header
        assert header.file_size_bytes == int(row["file_size"]), path
        assert header.sample_rate_hz == int(row["sample_rate"]), path
        assert header.channels == int(row["channels"]), path
        decoded = DECODED.get(os.path.basename(path))
        assert header.frame_count == (decoded or int(row["frame_count"])), path
        assert header.sample_type == row["sample_type"], path
        if not decoded:
            assert header.duration_seconds == pytest.approx(float(row["duration"]), abs=1e-5), path


def test_no_real_sound_has_a_misleading_extension(shared_audio, read):
    paths = [row["local_path"] for row in table_of(shared_audio / "library")]
    assert [path for path in paths if read("library", path).note] == []


def test_default_chunks_written_by_tools_are_not_read_as_loops(shared_audio, read):
    paths = [row["local_path"] for row in table_of(shared_audio / "library")]
    stated = [info for path in paths if (info := read("library", path).header.loop_info)]
    # Of 19 ACID chunks eight say 120 BPM and no beats, of drum hits.
    assert len(stated) == 15
    assert Counter(info.is_one_shot for info in stated) == {True: 9, None: 4, False: 2}
    assert sorted(info.tempo_bpm for info in stated if info.tempo_bpm) == [155.0, 170.0]


def test_unreadable_wavs_get_typed_errors_and_the_mp3s_are_read(shared_audio, read):
    paths = [row["local_path"] for row in table_of(shared_audio / "unreadable")]
    outcomes = {os.path.basename(path): read("unreadable", path) for path in paths}
    codes = {
        name: outcome.code for name, outcome in outcomes.items() if isinstance(outcome, SoundError)
    }
    # Each MP3 has a tag that understates its own length; twelve WAVs are test files of a parser.
    assert {name for name in outcomes if name not in codes} == {
        "beep4.mp3",
        "scale1.mp3",
        "slide4.mp3",
    }
    assert Counter(codes.values()) == {
        ErrorCode.INVALID_HEADER: 7,
        ErrorCode.NOT_AUDIO: 3,
        ErrorCode.EMPTY_FILE: 1,
        ErrorCode.UNSUPPORTED_FORMAT: 1,
    }


def test_lengths_of_unusual_files_match_independent_readers(shared_cases):
    with open(shared_cases / "EXPECTED.tsv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 25
    for row in rows:
        path = shared_cases / row["file"]
        with path.open("rb") as file:
            header = read_header(file.fileno(), path.stat().st_size, path.name).header
        stated = re.search(r"([0-9.]+) s\b", row["right"])
        right = pytest.approx(float(stated[1]), rel=0.01) if stated else None  # MIDI has no length
        assert header.duration_seconds == right, path
