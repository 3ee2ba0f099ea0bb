"""Numbers with their nouns, and the width of the output."""

import io

import pytest

from cli.console.output import counted, output_width


@pytest.mark.parametrize(
    ("number", "nouns", "text"),
    [
        (1, ("sound",), "1 sound"),
        (0, ("sound",), "0 sounds"),
        (1200, ("sound",), "1,200 sounds"),
        (1, ("batch", "batches"), "1 batch"),
        (2, ("batch", "batches"), "2 batches"),
    ],
)
def test_a_noun_agrees_with_its_number(number: int, nouns: tuple[str, ...], text: str) -> None:
    assert counted(number, *nouns) == text


@pytest.mark.parametrize(
    ("columns", "width"),
    [("80", 80), ("", None), ("0", None), ("-1", None), ("wide", None), ("9" * 5000, None)],
)
def test_a_width_that_is_no_number_of_columns_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int | None
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert output_width(io.StringIO()) == width
