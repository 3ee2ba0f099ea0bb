"""Lists of files: how their bytes are cut into entries."""

import io
import os
import tracemalloc
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifier.tables.strict_csv import BadLine, TableError
from tasks.producer.file_lists import ListedFile, read_file_list


def read(content):
    return list(read_file_list(io.BytesIO(content)))


def entries(content):
    return [(entry.line, entry.path, entry.vendor) for entry in read(content)]


@pytest.mark.parametrize("first", [b"path,pack,category", b"\xef\xbb\xbfPath,root,label"])
def test_a_table_with_unknown_columns_is_refused(first):
    with pytest.raises(TableError, match=r"starts like a table.*expected.*path,vendor"):
        read(first + b"\na.wav,b,c\n")


def test_a_table_whose_first_column_has_another_name_is_refused(tmp_path):
    table = b"file,pack\na.wav,b\n"
    with pytest.raises(TableError, match=r"looks like a table, with 'file,pack'.*path,vendor"):
        read(table)
    # But names of files may have commas
    (tmp_path / "kick, hard.wav").touch()
    listed = os.fsencode(tmp_path / "kick, hard.wav")
    assert entries(b"a, b.wav\n" + listed) == [(1, b"a, b.wav", None), (2, listed, None)]
    assert len(read(b"a, b.wav\n")) == 1
    assert len(read(table + b"kick.wav\n")) == 3


# Cutting


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"a\nb", [(1, b"a"), (2, b"b")]),
        (b"a\r\nb\r\n", [(1, b"a"), (2, b"b")]),
        (b"a\n\n\r\nb\n", [(1, b"a"), (4, b"b")]),
        (b"\xef\xbb\xbfa\nb", [(1, b"a"), (2, b"b")]),
        (b" a \n", [(1, b" a ")]),
        (b"a\rb\n", [(1, b"a\rb")]),
        (b"a,b\n", [(1, b"a,b")]),
        (b"caf\xe9\n", [(1, b"caf\xe9")]),
        (b"a\xe2\x80\xa8b\n", [(1, b"a\xe2\x80\xa8b")]),
        (b"a\0b\0", [(1, b"a"), (2, b"b")]),
        (b"a\nb\r\n\0\0c", [(1, b"a\nb\r\n"), (3, b"c")]),
        (b"path,vendor\0", [(1, b"path,vendor")]),
        (b"", []),
        (b"\xef\xbb\xbf", []),
        (b"\n\r\n\n", []),
        (b"\0\0", []),
    ],
    ids=ascii,
)
def test_a_list_is_split_at_nuls_if_it_has_any_or_at_line_ends(content, listed):
    assert entries(content) == [(*entry, None) for entry in listed]


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        (b"path,vendor\na.wav,Acme\n", [(2, b"a.wav", "Acme")]),
        (b"path,vendor\r\na.wav,Acme\r\n", [(2, b"a.wav", "Acme")]),
        (b"\xef\xbb\xbfpath,vendor\na.wav,Acme", [(2, b"a.wav", "Acme")]),
        (b"Path,Vendor\na.wav,Acme\n", [(2, b"a.wav", "Acme")]),
        (b"path,vendor,note\na.wav,Acme,loud\n", [(2, b"a.wav", "Acme")]),
        (b"path,vendor\na.wav\nb.wav,\n", [(2, b"a.wav", None), (3, b"b.wav", None)]),
        (b"path,vendor\na.wav, \n", [(2, b"a.wav", None)]),
        (b"path,vendor\n\n,Acme\na.wav, Acme \n", [(4, b"a.wav", "Acme")]),
        (b'path,vendor\n"a,b.wav","A ""C"" Me"\n', [(2, b"a,b.wav", 'A "C" Me')]),
        (b'path,vendor\n"two\nlines.wav",Acme\n', [(2, b"two\nlines.wav", "Acme")]),
        (b"path,vendor\ncaf\xe9.wav,\xc3\x89t\xc3\xa9\n", [(2, b"caf\xe9.wav", "\u00c9t\u00e9")]),
        (b"path,vendor\na.wav,caf\xe9\n", [(2, b"a.wav", "caf\\xe9")]),
        (b"path;vendor\na,b.wav;Acme\n", [(2, b"a,b.wav", "Acme")]),
        (b"path\tvendor\na.wav\tAcme\n", [(2, b"a.wav", "Acme")]),
        (b'"path","vendor"\n"a.wav","Acme"\n', [(2, b"a.wav", "Acme")]),
        (b"path , vendor\na.wav,Acme\n", [(2, b"a.wav", "Acme")]),
        (b"path,vendor\n", []),
        (b"path,vendor", []),
    ],
    ids=ascii,
)
def test_a_table_gives_each_path_its_vendor(content, listed):
    assert entries(content) == listed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("path,vendor\na.wav,Acme\n".encode("utf-16"), "in UTF-16: save it as UTF-8"),
        (b"path,vendor\na\0.wav,Acme\n", "a table that contains a NUL"),
        (b"PK\x03\x04rest", "a ZIP archive or an Excel workbook"),
        (b"\x1f\x8brest", "compressed with gzip: unpack it"),
    ],
    ids=["utf-16", "nul", "zip", "gzip"],
)
def test_binary_or_utf_16_input_is_refused(content, reason):
    with pytest.raises(TableError, match=reason):
        read(content)


def test_an_unquoted_path_with_a_comma_is_not_split():
    [bad] = read(b"path,vendor\ncomma,name.wav,Acme\n")
    assert isinstance(bad, BadLine)
    assert "Put quotation marks around a path with a comma" in bad.reason


#: The first bytes of UTF-16, ZIP and gzip, which are refused.
REFUSED_MARKS = (b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"\x1f\x8b")


@given(
    st.lists(
        st.binary(min_size=1).filter(
            lambda path: b"\0" not in path and not path.startswith(REFUSED_MARKS)
        )
    )
)
def test_output_of_find_print0_is_read(paths):
    content = b"".join(path + b"\0" for path in paths)
    # A byte order mark at the very start is taken for one: the only loss.
    if paths:
        paths[0] = paths[0].removeprefix(b"\xef\xbb\xbf")
    assert [path for _, path, _ in entries(content)] == [path for path in paths if path]


@given(content=st.text("ab\r\n", max_size=30), at_once=st.integers(1, 5))
def test_splitting_does_not_depend_on_the_read_size(content, at_once):
    with mock.patch("tasks.producer.file_lists._READ_BYTES", at_once):
        in_parts = entries(content.encode())
    assert in_parts == entries(content.encode())


@pytest.mark.parametrize("at_once", [1000, 4096, 4097, 5000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_a_line_too_long_for_a_path_is_reported_with_its_length(end, at_once):
    with mock.patch("tasks.producer.file_lists._READ_BYTES", at_once):
        bad, good = read(b"x" * 12_345 + end + b"y" * 4095 + end)
    assert bad == BadLine(1, "a path of 12,345 bytes is too long")
    assert good == ListedFile(2, b"y" * 4095)


@pytest.mark.parametrize(
    ("head", "line"),
    [(b"", b"/library/pack/kick.wav\n"), (b"path,vendor\n", b"/library/pack/kick.wav,Acme\n")],
    ids=["a list", "a table"],
)
def test_a_list_is_streamed(head, line):
    stream = io.BytesIO(head + line * 200_000)
    tracemalloc.start()
    count = sum(1 for _ in read_file_list(stream))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert most_bytes < 2 * 1024**2


@given(st.binary())
@example(bytes(range(256)))
@example(b'path,vendor\n"never closed,\n\xff,\xfe\n')
@example(b'path,vendor\na"b"c,"d"e"\n')
@example(b"path,vendor\n" + b"x" * 200_000 + b",Acme\na.wav\n")
@example(b"path,vendor\na\rb,c\r\rd\n")
@example(b"path,")
def test_any_bytes_can_be_read(content):
    for start in (b"", b"path,vendor\n"):
        try:
            found = read(start + content)
        except TableError:
            found = []  # refused as a whole: a table of another kind, or with a NUL
            assert not start or b"\0" in content
        assert all(isinstance(entry, ListedFile | BadLine) for entry in found)


def test_an_unclosed_quotation_mark_is_reported_and_is_no_path():
    [good, bad] = read(b'path,vendor\na.wav,Acme\n"b.wav,Acme\nc.wav,Acme\n')
    assert good == ListedFile(2, b"a.wav", "Acme")
    assert isinstance(bad, BadLine)
    assert bad.line == 3


def test_a_cell_that_is_too_long_is_reported_and_the_next_line_is_read():
    [bad, good] = read(b"path,vendor\n" + b"x" * 200_000 + b",Acme\na.wav,Acme\n")
    assert isinstance(bad, BadLine)
    assert bad.line == 2
    assert good == ListedFile(3, b"a.wav", "Acme")


@pytest.mark.parametrize(
    "line",
    [3_000_000 * b"x", 1_500_000 * b'"a",', 30_000 * (100 * b"x" + b",")],
    ids=["one cell", "small cells", "cells"],
)
def test_a_table_line_that_is_too_long_is_reported_and_the_next_one_is_read(line):
    bad, taken = read(b"path,vendor\n" + line + b"\nb.wav,Acme\n")
    assert (bad.line, taken) == (2, ListedFile(3, b"b.wav", "Acme"))
    assert bad.reason == "not CSV: the row has more than 1,048,576 characters"
