"""What a table is made of, against numbers counted by hand."""

import pytest

pytest.importorskip("pandas")

from classifier.headers.reader import AudioHeader
from training.data.csv_tables import TableCounts, read_counted
from training.data.dataset import LabelledSounds
from training.study.table_profile import NOT_STATED, analyse

NOTHING = AudioHeader(None, None, None, None, None, None)


def header(size, seconds, kind="PCM_16"):
    return AudioHeader(size, seconds, 44_100, 2, int(seconds * 44_100), kind)


@pytest.fixture
def analysis():
    sounds = LabelledSounds.from_rows(
        ["a.wav", "b.wav", "c.wav", "d.wav"],
        [header(1_000, 1.0), header(3_000, 2.0), header(2_000, 4.0, "FLOAT"), NOTHING],
        ["drum", "drum", "bass", "drum"],
        ["ann", "ann", "ann", "b\x1bob"],
    )
    return analyse(sounds, TableCounts(rows=9, labelled=6, duplicates=2))


def test_rows_are_counted_at_each_step_from_the_table_to_the_study(analysis):
    assert (analysis.rows, analysis.labelled, analysis.duplicates, analysis.sounds) == (9, 6, 2, 4)


def test_each_category_has_its_number_of_vendors(analysis):
    rows = {row.category: row for row in analysis.categories}
    assert len(rows) == 12
    assert (rows["drum"].sounds, rows["drum"].vendors) == (3, 2)
    assert rows["drum"].largest_vendor_share == pytest.approx(2 / 3)
    assert (rows["vocal"].sounds, rows["vocal"].largest_vendor_share) == (0, 0.0)


def test_sample_types_are_listed_most_frequent_first_with_missing_ones(analysis):
    assert list(analysis.sample_types.items()) == [("PCM_16", 2), ("FLOAT", 1), (NOT_STATED, 1)]


def test_header_values_are_summarised_where_present(analysis):
    columns = {one.column: one for one in analysis.headers}
    size = columns["file_size_bytes"]
    assert (size.stated, size.lowest, size.median, size.highest) == (3, 1_000, 2_000, 3_000)
    assert (size.mean, size.std) == (2_000, 1_000)
    assert columns["sample_rate_hz"].lowest == 44_100
    assert columns["duration_seconds"].mean == pytest.approx(7 / 3, rel=1e-5)


def test_missing_values_are_counted_by_column(analysis):
    assert analysis.nulls == {
        "file_size_bytes": 1,
        "duration_seconds": 1,
        "sample_rate_hz": 1,
        "channels": 1,
        "frame_count": 1,
        "sample_type": 1,
        "vendor": 0,
        "folder": 4,
    }


def test_vendors_are_listed_largest_first_with_printable_names(analysis):
    assert [(row.vendor, row.sounds, row.categories) for row in analysis.vendors] == [
        ("ann", 3, 2),
        ("b\\x1bob", 1, 1),
    ]


def test_duplicates_by_name_and_rows_without_category_are_counted(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("category,file_path\ndrum,a.wav\n,b.wav\ndrum,a.wav\nbass,c.wav\n")
    sounds, counts = read_counted(str(table))
    assert (counts.rows, counts.labelled, counts.duplicates) == (4, 3, 1)
    assert analyse(sounds, counts).headers == ()
