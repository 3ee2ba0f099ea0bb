"""Tables of labels: how their bytes are read, and what is refused."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifier.categories import CATEGORIES
from classifier.files.paths import printable
from classifier.tables import strict_csv
from classifier.tables.strict_csv import TableError
from cli.labels.csv_reader import Fault, FaultKind, LabelRow, Unlabelled, read_label_table
from cli.results import COLUMNS as COLUMNS_OF_RESULTS
from db.states import LABEL_SOURCES

HUMAN, VENDOR, IMPORT = LABEL_SOURCES


def read(content):
    return list(read_label_table(io.BytesIO(content), "t.csv"))


def rows(content):
    """Line, path and category of each row; all must be good."""
    return [(row.line, row.path, row.category) for row in read(content)]


def the_fault(content):
    (fault,) = read(content)
    assert isinstance(fault, Fault)
    return fault


# What is read


@pytest.mark.parametrize(
    "content",
    [
        b"path,category\na.wav,drum\nb.wav,bass\n",
        b"path,category\na.wav,drum\nb.wav,bass",
        b"path,category\r\na.wav,drum\r\nb.wav,bass\r\n",
        b"path,category\ra.wav,drum\rb.wav,bass\r",
        b"\xef\xbb\xbfpath,category\na.wav,drum\nb.wav,bass\n",
        b"\xef\xbb\xbfpath;category\r\na.wav;drum\r\nb.wav;bass\r\n",
        b"path\tcategory\na.wav\tdrum\nb.wav\tbass\n",
        b"Path, Category \na.wav, drum\nb.wav,bass \n",
        b'"path","category"\n"a.wav","drum"\n"b.wav","bass"\n',
        b"category,path\ndrum,a.wav\nbass,b.wav\n",
        b"path,note,category\na.wav,loud,drum\nb.wav,,bass\n",
        b"path,category,,\na.wav,drum,,\nb.wav,bass,,,,\n",
    ],
    ids=ascii,
)
def test_a_table_is_read_however_a_spreadsheet_saved_it(content):
    assert rows(content) == [(2, "a.wav", "drum"), (3, "b.wav", "bass")]


def test_blank_rows_are_skipped_but_counted_as_lines():
    assert rows(b"path,category\n\n,\n , \na.wav,drum\n") == [(5, "a.wav", "drum")]


def test_a_row_is_reported_with_its_first_line_number():
    table = b'path,category\n"two\nlines.wav",drum\nb.wav,bass\n'
    assert rows(table) == [(2, "two\nlines.wav", "drum"), (4, "b.wav", "bass")]


def test_a_path_keeps_its_spaces_and_its_bytes():
    assert rows(b"path,category\n a .wav ,drum\n\xe9.wav,bass\n") == [
        (2, " a .wav ", "drum"),
        (3, "\udce9.wav", "bass"),
    ]


def test_the_default_source_is_import():
    table = b"path,category,source\na,drum,\nb,drum,human\nc,drum, vendor \nd,drum,import\ne,drum\n"
    assert [row.source for row in read(table)] == [IMPORT, HUMAN, VENDOR, IMPORT, IMPORT]


def test_the_root_column_is_read():
    table = b"path,category,root\na,drum,packs\nb,drum,\n"
    assert [row.root for row in read(table)] == ["packs", ""]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)))
@example(["two\rhalves", "\n", '"', ",;\t", "'", "\u2028"])
def test_any_path_survives_the_round_trip(paths):
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("path", "category"), *((path, "drum") for path in paths)])
    assert [row.path for row in read(written.getvalue().encode())] == paths


@given(st.binary(max_size=200), st.sampled_from([b"", b"path,category\n"]))
@example(b'"never closed,drum\n', b"path,category\n")
@example(b"\0,category,path\n", b"")
def test_any_bytes_give_rows_errors_or_a_refusal(content, header):
    try:
        said = [row.reason for row in read(header + content) if isinstance(row, Fault)]
    except TableError as refused:
        said = [str(refused)]
    assert said == list(map(printable, said))


def test_columns_may_be_mapped_and_categories_have_other_spellings():
    table = b"Label;Filename\nDrum Loops;a.wav\n"
    renamed = {"category": "label", "path": "filename"}
    [row] = read_label_table(io.BytesIO(table), "t.csv", renamed)
    assert (row.path, row.category) == ("a.wav", "drum-loop")


def test_from_a_table_of_results_only_labels_filled_in_by_the_user_are_read():
    header = ",".join(COLUMNS_OF_RESULTS)
    filled = {"path": "a.wav", "category": "drum", "label": "Bass Loop"}
    empty = {"path": "b.wav", "category": "drum", "label": " "}
    lines = [",".join(row.get(c, "") for c in COLUMNS_OF_RESULTS) for row in (filled, empty)]
    assert read("\n".join([header, *lines]).encode()) == [
        LabelRow(2, "a.wav", "", "bass-loop", None),
        Unlabelled(3),
    ]


def test_the_column_label_is_read_if_there_is_no_category():
    assert rows(b"path,label\na.wav,drum\n") == [(2, "a.wav", "drum")]


def test_filed_as_is_no_label_under_another_name():
    table = b"path,category,filed_as,confidence\na.wav,drum,drum,0.9\n"
    with pytest.raises(TableError, match="never imported as labels"):
        list(read_label_table(io.BytesIO(table), "t.csv", {"category": "filed_as"}))


def test_the_source_copy_is_refused():
    fault = the_fault(b"path,category,source\na.wav,drum,copy\n")
    assert fault.reason == "unknown source 'copy'; expected human, vendor, import"


# Rows that cannot be taken


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Drun", "drum?"),
        ("DRUM_LOUP", "drum-loop or"),
        ("vocalist", "vocal?"),
        ("synthlop", "synth-loop or"),
    ],
)
def test_an_unknown_category_is_reported_with_a_suggestion(written, meant):
    fault = the_fault(f"path,category\na.wav,{written}\n".encode())
    assert (fault.kind, fault.line) == (FaultKind.UNKNOWN_CATEGORY, 2)
    assert fault.reason.startswith(f"unknown category '{written}'; did you mean {meant}")


@pytest.mark.parametrize("written", ["zebra", "", "x" * 100_000], ids=["far", "none", "long"])
def test_without_a_similar_category_all_twelve_are_listed(written):
    fault = the_fault(f"path,category\na.wav,{written}\n".encode())
    assert fault.kind is FaultKind.UNKNOWN_CATEGORY
    assert fault.reason.endswith(f"expected {', '.join(CATEGORIES)}") or written == ""
    assert CATEGORIES[-1] in fault.reason
    assert len(fault.reason) < 500


@pytest.mark.parametrize("source", ["Human", "model", "a person"])
def test_an_unknown_source_is_reported_with_the_valid_ones(source):
    fault = the_fault(f"path,category,source\na.wav,drum,{source}\n".encode())
    assert fault.kind is FaultKind.UNKNOWN_SOURCE
    assert fault.reason == f"unknown source '{source}'; expected human, vendor, import"


def test_a_row_without_a_path_is_an_error():
    assert the_fault(b"path,category\n,drum\n").kind is FaultKind.NO_PATH


def test_an_unquoted_path_with_a_comma_is_an_error():
    fault = the_fault(b"path,category\nkick, loud.wav,drum\n")
    assert fault.kind is FaultKind.NOT_CSV
    assert "quotation marks" in fault.reason


def test_an_unclosed_quotation_mark_is_reported():
    fault = the_fault(b'path,category\n"a.wav,drum\nb.wav,bass\n')
    assert str(fault).startswith("line 2: not CSV up to line 3: ")


def test_control_characters_are_shown_escaped():
    fault = the_fault(b"path,category\na.wav,\x1b[31m\xff\n")
    assert r"\x1b[31m\xff" in fault.reason


# Tables that are refused whole


@pytest.mark.parametrize(
    "column", ["confidence", "top3", "model_version", "filed_as", "evidence", "Confidence"]
)
def test_a_table_with_a_column_of_predictions_is_refused(column):
    with pytest.raises(TableError, match="never imported as labels"):
        read(f"path;category;{column}\n".encode())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "path and category are missing in: an empty file"),
        (b"\xef\xbb\xbf", "path and category are missing in: an empty file"),
        (b"path\na.wav\n", "category is missing in: path"),
        (b"a.wav,drum\n", "path and category are missing in: a.wav,drum"),
        (b"path,genre\n", "category is missing in: path,genre"),
        (b"path,category,path\n", "line 1: the column path occurs twice"),
        (b"\x1b[31m\n", r"path and category are missing in: \\x1b\[31m"),
        ("path,category\n".encode("utf-16"), "is not UTF-8 text"),
        ("path,category\n".encode("utf-16-be"), "is not UTF-8 text"),
        (b"PK\x03\x04rest", "is a ZIP archive or an Excel workbook"),
        (b"\x1f\x8b\x08\x08", "is compressed with gzip; unpack it first"),
    ],
    ids=ascii,
)
def test_a_table_without_labels_is_refused(content, reason):
    with pytest.raises(TableError, match=reason):
        read(content)


def test_an_endless_line_does_not_exhaust_memory(monkeypatch):
    monkeypatch.setattr(strict_csv, "LONGEST_LINE", 1000)
    with pytest.raises(
        TableError, match=r"t\.csv, line 2: the line has more than 1,000 characters"
    ):
        read(b"path,category\n" + b"x" * 1001)
