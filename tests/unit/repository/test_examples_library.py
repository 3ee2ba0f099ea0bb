"""The example library: what `make ingest` classifies for somebody who brings no sounds."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from classifier.categories import CATEGORIES
from tests.support.places import REPOSITORY

MAKE_LIBRARY = REPOSITORY / "examples" / "make_library.py"

#: "NV_128_...", "... - 120 BPM ...", "Bpm124_...", "100bpm ..."
BPM_IN_NAME = re.compile(r"(?i)bpm ?(\d+)|(\d+) ?bpm|_(\d+)_")


def sounds_of(library: Path) -> dict[Path, str]:
    with open(library / "MANIFEST.csv", newline="", encoding="utf-8") as manifest:
        return {library / row["path"]: row["category"] for row in csv.DictReader(manifest)}


def make_library(folder: Path) -> str:
    command = [sys.executable, MAKE_LIBRARY, folder]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_manifest_lists_every_sound_and_nothing_else(library):
    files = {path for path in library.rglob("*") if path.is_file()}
    assert set(sounds_of(library)) == files - {library / "MANIFEST.csv"}


def test_the_example_library_is_small(library):
    sounds = sounds_of(library)
    assert 60 <= len(sounds) <= 100
    assert sum(path.stat().st_size for path in sounds) < 10_000_000


def test_all_twelve_categories_are_present(library):
    assert set(sounds_of(library).values()) == set(CATEGORIES)


def test_the_usual_containers_and_encodings_are_present(library):
    headers = [soundfile.info(path) for path in sounds_of(library)]
    assert {header.format for header in headers} == {"WAV", "AIFF", "FLAC", "OGG", "MP3"}
    assert {"PCM_16", "PCM_24", "PCM_32", "FLOAT"} <= {header.subtype for header in headers}
    assert {header.channels for header in headers} == {1, 2}
    assert len({header.samplerate for header in headers}) >= 4


def test_every_sound_is_audible_and_none_clips(library):
    for path in sounds_of(library):
        frames, _ = soundfile.read(path)
        assert 0.05 < abs(frames).max() < 1.0, path.name


def test_a_loop_lasts_whole_bars_of_the_tempo_in_its_name(library):
    loops = [path for path, category in sounds_of(library).items() if "loop" in category]
    assert len(loops) >= 15
    for path in loops:
        header = soundfile.info(path)
        bpm = int(next(filter(None, BPM_IN_NAME.search(path.name).groups())))
        frames_per_bar = 240 / bpm * header.samplerate
        bars = round(header.frames / frames_per_bar)
        assert bars in (1, 2)
        assert header.frames == pytest.approx(bars * frames_per_bar, abs=0.5), path.name


def test_two_runs_give_the_same_sounds(library, tmp_path):
    make_library(tmp_path)
    for ours, theirs in zip(sounds_of(library), sounds_of(tmp_path), strict=True):
        # Frames, not bytes: Ogg streams carry a random serial number, float files a time stamp.
        assert (soundfile.read(ours)[0] == soundfile.read(theirs)[0]).all(), ours.name


def test_a_second_run_changes_no_file(tmp_path):
    make_library(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in sounds_of(tmp_path)}
    assert "0 new" in make_library(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_only_a_damaged_sound_is_written_again(tmp_path):
    make_library(tmp_path)
    damaged = tmp_path / "free stuff" / "snare-03.wav"
    damaged.write_bytes(b"")
    assert "1 new" in make_library(tmp_path)
    assert soundfile.info(damaged).frames > 0
