"""Messages are wrapped for a terminal alone, and what a user copies stays in one line."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.console import output
from cli.console.wrapping import wrapped

LONG = "the database cannot be used: connection refused"


def test_a_message_that_fits_or_has_no_width_is_unchanged():
    assert wrapped(f"  {LONG}", None) == [f"  {LONG}"]
    assert wrapped("two  spaces", 11) == ["two  spaces"]


def test_a_long_message_is_broken_at_spaces_and_its_further_lines_are_indented():
    assert wrapped(f" {LONG}", 30, "  ") == [
        " the database cannot be used:",
        "   connection refused",
    ]


@pytest.mark.parametrize(
    "copied",
    [
        "`cratesort labels import FILE.csv`",
        "'/mnt/my packs/Acme Vol 1'",
        '"a password with spaces"',
        "CRATESORT_LIBRARY_ROOTS=main=/mnt/my packs,library=/home/me/More Samples",
        "cratesort models promote 2026-01-01 --yes",
        "cratesort db copy FROM TO --root NAME=/their/folder",
    ],
)
@pytest.mark.parametrize("width", [10, 30, 60])
def test_commands_and_quoted_paths_are_not_broken(copied, width):
    lines = wrapped(f"this line would change what is wrong: {copied}; then try again", width)
    assert any(copied in line for line in lines)


def test_an_apostrophe_does_not_open_a_quotation():
    assert wrapped("Redis' memory and the users' files", 14) == [
        "Redis' memory",
        "and the users'",
        "files",
    ]


@given(st.lists(st.text(alphabet="ab音", min_size=1, max_size=9), min_size=1), st.integers(20, 40))
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(words, width):
    lines = wrapped(" ".join(words), width)
    assert all(cell_len(line) <= width for line in lines)
    assert " ".join(lines).split(" ") == words


def test_a_long_text_without_spaces_of_wide_letters_is_broken_between_them():
    assert wrapped("音の名前" * 3, 10) == ["音の名前音", "の名前音の", "名前"]


class Terminal(io.StringIO):
    """A terminal that does not know its width."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "width"), [(Terminal(), 80), (io.StringIO(), None)])
def test_a_terminal_without_a_width_has_80_columns_and_a_pipe_none(monkeypatch, stream, width):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output.output_width(stream) == width


def test_errors_are_wrapped_for_a_terminal_and_not_in_a_pipe(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    message = f"cratesort: {LONG} by the server at 127.0.0.1, port 5432\nSecond line"
    written = []
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", stream)
        output.tell(message)
        written.append(stream.getvalue())
    assert written == [
        "cratesort: the database cannot be used: connection refused by the server at\n"
        "  127.0.0.1, port 5432\nSecond line\n",
        f"{message}\n",
    ]
