"""Numbers with their nouns."""

import pytest

from cli.console.output import counted


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
