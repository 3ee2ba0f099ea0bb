"""Files that public bug reports led to, each with the length that independent readers give it."""

import csv
import re

import pytest

from classifier.errors import SoundError
from classifier.headers.reader import read_header
from tests.support.places import SHARED

CASES = SHARED / "cases"


def rows():
    table = CASES / "EXPECTED.tsv"
    if not table.exists():
        return [pytest.param(None, id="absent")]
    with table.open(newline="") as lines:
        return [pytest.param(row, id=row["file"]) for row in csv.DictReader(lines, delimiter="\t")]


@pytest.mark.parametrize("row", rows())
def test_a_file_from_a_bug_report_is_read_correctly(row):
    if row is None:
        pytest.skip(f"{CASES} is not here (TEST_SHARED names the folder above it)")
    # Given a file, and what is right of it: its container, its seconds or another code
    path, right = CASES / row["file"], row["right"]
    seconds = re.search(r"([\d.]+) s\b", right)
    # When its header is read
    code, reading = None, None
    with path.open("rb") as file:
        try:
            reading = read_header(file.fileno(), path.stat().st_size, path.name)
        except SoundError as refused:
            code = refused.code
    # Then it is refused as it may be, or its length is right to the hundredth part
    if reading is None:
        assert str(code) in right
    elif seconds is None:
        assert reading.is_midi == ("MIDI" in right)
    else:
        assert reading.header.duration_seconds == pytest.approx(float(seconds[1]), rel=0.01)
