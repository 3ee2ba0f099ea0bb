"""CSV, row by row: what a row is, and what cannot be one."""

import io

import pytest

from classifier.tables import strict_csv
from classifier.tables.strict_csv import (
    BadLine,
    CsvRows,
    Row,
    TableError,
    bounded_lines,
    cell_bytes,
    decoded,
)


def rows(text, **options):
    return list(CsvRows(io.StringIO(text, newline=""), **options))


def test_a_row_is_numbered_by_its_first_line_counting_blank_lines():
    assert rows('a,b\n\n"two\nlines",c\r\nd\n', first_line=2) == [
        Row(2, ["a", "b"]),
        Row(4, ["two\nlines", "c"]),
        Row(6, ["d"]),
    ]


def test_a_row_gets_as_many_cells_as_there_are_columns():
    assert rows("a\nb,c, ,\n", width=2) == [Row(1, ["a", ""]), Row(2, ["b", "c"])]


def test_a_row_with_an_extra_cell_is_malformed():
    assert rows("kick, loud.wav,drum\nb,c\n", width=2) == [
        BadLine(
            1,
            "not CSV: 3 cells; expected 2. Put quotation marks around a path with a comma",
        ),
        Row(2, ["b", "c"]),
    ]


def test_reading_goes_on_after_a_malformed_row():
    bad, good = rows('"a"b,c\nd,e\n')
    assert (bad.line, good) == (1, Row(2, ["d", "e"]))


def test_an_unclosed_quotation_mark_is_reported():
    [bad] = rows('"a\nb\n')
    assert bad == BadLine(1, "not CSV up to line 2: unexpected end of data")


def test_an_error_message_is_one_line():
    assert str(BadLine(7, "too long")) == "line 7: too long"


def test_bytes_that_are_not_utf_8_are_preserved():
    content = b"\xef\xbb\xbfa\xe9,b\r\n"
    stream = io.BytesIO(content)
    with decoded(stream) as text:
        [(_, cells)] = CsvRows(text)
    assert [cell_bytes(cell) for cell in cells] == [b"a\xe9", b"b"]
    assert not stream.closed


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_with_advice(encoding):
    with (
        decoded(io.BytesIO("path\n".encode(encoding))) as text,
        pytest.raises(TableError, match=r"t\.csv is not UTF-8 text.*save it as “CSV UTF-8”"),
    ):
        list(bounded_lines(text, "t.csv"))


def test_an_endless_line_does_not_exhaust_memory(monkeypatch):
    monkeypatch.setattr(strict_csv, "LONGEST_LINE", 1000)
    with pytest.raises(
        TableError, match=r"t\.csv, line 2: the line has more than 1,000 characters"
    ):
        list(bounded_lines(io.StringIO("path\n" + "x" * 1001), "t.csv"))


def test_an_endless_row_does_not_exhaust_memory(monkeypatch):
    monkeypatch.setattr(strict_csv, "LONGEST_LINE", 20)
    endless = '"a\n",' * 5 + "\n"
    assert rows(f"kick.wav,drum\n{endless}pad.wav,synth\n")[:2] == [
        Row(1, ["kick.wav", "drum"]),
        BadLine(2, "not CSV up to line 6: the row has more than 20 characters"),
    ]
