"""How results are written: cells that no spreadsheet runs and that come back whole."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cli.console.csv_cells import csv_writer, spreadsheet_safe, unguarded
from cli.results import flat_top3


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1 dB.wav", "@SUM(A1)", "\t", "\r1", "=", '=cmd|"/c calc"!A1', '"=1"',
     "\uff1d1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)"],
    ids=ascii,
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_is_prefixed_with_a_quote(cell):
    assert spreadsheet_safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "kick.wav", "a=1", "'kick", "1-2", "drum:0.91 bass:0.01"])
def test_any_other_text_is_unchanged(cell):
    assert spreadsheet_safe(cell) == cell


@pytest.mark.parametrize("end", [";", "\t", "\n", "\r", ";;"], ids=ascii)
def test_no_cell_becomes_a_formula_when_a_spreadsheet_splits_it(end):
    assert spreadsheet_safe(f"a{end}=1") == f"a{end}'=1"
    assert spreadsheet_safe(f'a{end}"=1"') == f'a{end}\'"=1"'


@given(st.text("""'"=+-@;\t\r\n\uff1da"""))
@example("'=1")
@example(";''=1")
def test_the_original_text_of_an_escaped_cell_is_restored(cell):
    assert unguarded(spreadsheet_safe(cell)) == cell


@pytest.mark.parametrize("cell", [-1, -0.5, None, 0])
def test_a_number_stays_a_number_even_below_zero(cell):
    assert spreadsheet_safe(cell) is cell


@given(st.text())
@example("two\rhalves")
@example("\r\n")
def test_an_escaped_cell_survives_the_round_trip_through_csv(text):
    written = io.StringIO(newline="")
    csv_writer(written).writerow(["before", spreadsheet_safe(text)])
    [[_, cell]] = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert unguarded(cell) == text
    for part in re.split("[;\t\r\n]", cell):
        assert not part.startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert not cell.startswith(("\t", "\r"))


def test_rows_end_with_a_newline_alone():
    written = io.StringIO(newline="")
    csv_writer(written).writerows([["a", "b"], ["c", "d"]])
    assert written.getvalue() == "a,b\nc,d\n"


def test_the_three_best_fit_into_one_cell():
    best = [
        {"category": "drum", "probability": 0.91},
        {"category": "effects", "probability": 0.05},
        {"category": "bass", "probability": 0.01},
    ]
    assert flat_top3(best) == "drum:0.91 effects:0.05 bass:0.01"


def test_a_failed_sounds_cell_of_the_three_best_is_empty():
    assert flat_top3([]) == ""
