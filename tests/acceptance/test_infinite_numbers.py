"""Infinite numbers in the table of sounds, as another program may write them, in every format."""

import io
import json
import sqlite3
import struct
from contextlib import closing

import pyarrow.parquet
import pytest

from tests.support import sounds
from tests.support.command_line import parsed

NUMBERS = (
    "confidence",
    "file_size_bytes",
    "duration_seconds",
    "sample_rate_hz",
    "channels",
    "frame_count",
    "tempo_bpm",
)


@pytest.fixture(scope="module", params=["9e999", "-9e999"])
def forged(request, run_at_home, home, tmp_path_factory):
    """A classified sound, each of whose numbers was then replaced by infinity."""
    folder = tmp_path_factory.mktemp("sounds")
    (folder / "kick.wav").write_bytes(sounds.encoded())
    assert run_at_home("ingest", folder).code == 0
    database_file = home / ".local/share/cratesort/cratesort.db"
    with closing(sqlite3.connect(database_file)) as database, database:
        values = ", ".join(f"{column} = {request.param}" for column in NUMBERS)
        database.execute(
            f"UPDATE sounds SET {values}, probabilities = ?",  # noqa: S608
            [struct.pack("<12f", *[float(request.param)] * 12)],
        )
    return run_at_home


def test_json_has_null_in_place_of_infinity(forged):
    def refuse(constant):
        raise ValueError(constant)

    done = forged("results", "--format", "json")
    assert done.code == 0, done.stderr
    row = json.loads(done.stdout.splitlines()[0], parse_constant=refuse)
    columns = {column.replace("file_size_bytes", "file_size") for column in NUMBERS}
    assert {column: row[column] for column in columns} == dict.fromkeys(columns)
    assert (row["category"], row["top3"]) == ("drum", [])


def test_csv_has_empty_cells_in_place_of_infinity(forged):
    done = forged("results", "--format", "csv")
    assert done.code == 0, done.stderr
    assert "inf" not in done.stdout


def test_parquet_agrees_with_json(forged):
    done = forged("results", "--format", "parquet")
    assert done.code == 0, done.stderr
    table = pyarrow.parquet.read_table(io.BytesIO(done.stdout.encode(errors="surrogateescape")))
    assert table.to_pylist() == parsed(forged("results", "--format", "json").stdout)


def test_the_table_shows_the_category_without_a_confidence(forged):
    done = forged("results")
    assert done.code == 0, done.stderr
    assert "kick.wav" in done.stdout
    assert "inf" not in done.stdout
