"""Text in columns: aligned, cut only for a terminal, and no name drives the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.console.text_tables import labelled, shortened, table_line, table_lines

ROWS = [("bass", 1_234, 0.5), ("音の名前", 7, None)]


def test_numbers_are_right_aligned_and_wide_letters_count_twice():
    assert table_lines(ROWS, "<>>", ("name", "sounds", "share")) == [
        "  name      sounds  share",
        "  bass       1,234  0.500",
        "  音の名前       7",
    ]


def test_without_rows_there_is_only_the_header():
    assert table_lines([], "<>", ("name", "sounds")) == ["  name  sounds"]
    assert table_lines([], "<>") == []


def test_a_column_is_shortened_at_its_start_and_only_on_a_terminal():
    rows = [("packs/" * 30 + "kick.wav", 1)]
    (cut,) = table_lines(rows, "<>", cut=0, width=40)
    assert (len(cut), cut.endswith("packs/kick.wav  1")) == (40, True)
    assert table_lines(rows, "<>", cut=0, width=None) == [f"  {rows[0][0]}  1"]


def test_a_column_is_as_wide_as_its_cells_if_there_is_room():
    assert table_lines([("kick.wav", 1)], "<>", cut=0, width=40) == ["  kick.wav  1"]


def test_a_streamed_row_keeps_a_text_wider_than_its_column():
    assert table_line(("packs/kick.wav", "drum", "0.91"), (8, 6, 5), "<<>") == (
        "packs/kick.wav  drum     0.91"
    )


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_shortened_text_fits_its_width_whatever_the_name(text, width):
    assert cell_len(shortened(text, width)) <= width


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.integers(20, 60))
def test_columns_start_at_the_same_cell_whatever_the_names(names, width):
    lines = table_lines([(name, "|") for name in names], "<<", cut=0, width=width)
    assert len({cell_len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0123456789", "0123456789"),
        ("packs/kick.wav", "…/kick.wav"),
        ("音楽音楽音楽", "…音楽音楽"),
        ("a\nb", r"a\x0ab"),
        ("", ""),
    ],
)
def test_a_path_keeps_its_end(text, shown):
    assert shortened(text, 10) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\x0ab"),
        ("\x1b[2Jclear", r"\x1b[2Jclear"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egnp.wav", r"\u202egnp.wav"),
        ("a\u2028b", r"a\u2028b"),
        ("[red]a[/red]", "[red]a[/red]"),
    ],
    ids=ascii,
)
def test_control_characters_are_escaped(text, shown):
    assert shortened(text, 40) == labelled("", text, 0) == shown
    assert table_lines([(text,)], "<", indent=0) == [shown]


@given(st.text(alphabet=st.characters(categories=["Cc", "Lu"]), max_size=30))
def test_no_control_character_reaches_the_terminal(text):
    assert shortened(text, 20).isprintable()
    assert all(line.isprintable() for line in table_lines([(text, text)], "<>"))


def test_a_labelled_text_is_wrapped_only_on_a_terminal(monkeypatch):
    text = "the model is not sure below 0.63"
    monkeypatch.delenv("COLUMNS", raising=False)
    assert labelled("  Review", text, 12) == f"  Review    {text}"
    monkeypatch.setenv("COLUMNS", "32")
    assert labelled("  Review", text, 12) == (
        "  Review    the model is not\n            sure below 0.63"
    )


@pytest.mark.parametrize("width", [1, 0, -3])
def test_without_room_only_an_ellipsis_is_left(width):
    assert shortened("kick.wav", width) == "…"
