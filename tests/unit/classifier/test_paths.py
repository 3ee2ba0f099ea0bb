"""One text for any file name: reversible, valid Unicode, and harmless to look at."""

import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.files.paths import from_printed, path_bytes, path_text, printable, readable_name
from tests.support.command_line import clean_environment

#: Names are mostly ASCII; what decides is how backslashes, escapes and broken UTF-8 meet.
TRICKY = st.sampled_from(
    [b"\\", b"\\x", b"\\x5c", b"\\xff", b"x5c", b"\xff", b"\xc3", b"\xa9", b"/"]
)
RAW_PATHS = st.one_of(
    st.binary(max_size=40), st.lists(st.one_of(TRICKY, st.binary(max_size=3))).map(b"".join)
).filter(lambda raw: b"\0" not in raw)


@given(RAW_PATHS)
def test_path_text_converts_back_to_the_bytes(raw):
    assert path_bytes(path_text(raw)) == raw


@given(RAW_PATHS, RAW_PATHS)
def test_two_paths_never_have_the_same_text(one, other):
    assert (path_text(one) == path_text(other)) == (one == other)


@given(RAW_PATHS)
def test_the_text_is_valid_unicode_for_any_database(raw):
    assert not any("\ud800" <= character <= "\udfff" for character in path_text(raw))


@given(RAW_PATHS)
def test_a_path_with_surrogate_escapes_has_the_same_text(raw):
    assert path_text(os.fsdecode(raw)) == path_text(raw)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\\\0")))
def test_a_utf8_name_is_unchanged(name):
    assert path_text(name.encode()) == name


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"kick.wav", "kick.wav"),
        ("Größe.wav".encode(), "Größe.wav"),
        (b"caf\xe9.wav", r"caf\xe9.wav"),
        (rb"a\b.wav", r"a\b.wav"),
        (rb"a\x41.wav", r"a\x41.wav"),
        (rb"a\xe9.wav", r"a\x5cxe9.wav"),
        (rb"a\x5c.wav", r"a\x5cx5c.wav"),
        (b"a\\\xff.wav", r"a\\xff.wav"),
    ],
    ids=ascii,
)
def test_path_text_of_example_paths(raw, text):
    # The texts are in databases: a change here would make every such file a new one.
    assert path_text(raw) == text


def test_the_text_is_the_same_whatever_the_locale(tmp_path):
    # Given a process whose file names are ASCII to Python (a cron job without a locale)
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = (
        "import sys; from classifier.files.paths import path_text; "
        r"print(sys.getfilesystemencoding(), ascii(path_text(b'Gr\xc3\xb6\xc3\x9fe.wav')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(tmp_path, settings),
        capture_output=True,
        text=True,
        check=True,
    )
    encoding, text = done.stdout.split()
    if encoding == "utf-8":
        pytest.skip("this Python reads file names as UTF-8 in every locale")
    assert text == ascii("Größe.wav")


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "udcff: \udcff"], ids=ascii)
def test_a_text_that_is_no_possible_path_is_refused(text):
    with pytest.raises(ValueError, match="a path"):
        path_bytes(text)


@given(st.text())
def test_any_text_is_a_path_or_a_value_error(text):
    try:
        assert isinstance(path_bytes(text), bytes)
    except ValueError:
        pass


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_printed_paths_contain_no_control_or_bidi_characters(text):
    shown = printable(text)
    bidi_controls = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in bidi_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kick.wav", "kick.wav"),
        ("Größe 東京.wav", "Größe 東京.wav"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines", r"two\x0alines"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("\u202egnp.wav", r"\u202egnp.wav"),
        ("\u2028", r"\u2028"),
    ],
    ids=ascii,
)
def test_printed_form_of_example_names(text, shown):
    assert printable(text) == shown
    assert from_printed(shown) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\\")))
def test_a_printed_path_converts_back(text):
    assert from_printed(printable(text)) == text


@pytest.mark.parametrize("text", ["kick.wav", r"caf\xe9.wav", r"a\x41.wav", r"\u97f3", "\\x0"])
def test_a_path_without_escapes_is_printed_unchanged(text):
    assert from_printed(text) == text


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"kick.wav", "kick.wav"),
        ("Größe.wav".encode(), "Größe.wav"),
        (b"Gr\xf6\xdfe.wav", "Größe.wav"),
        (rb"a\xe9.wav", r"a\xe9.wav"),
    ],
    ids=ascii,
)
def test_the_model_reads_a_name_that_is_not_utf8_as_latin_1(raw, name):
    assert readable_name(path_text(raw)) == name
