"""Tables of sounds without audio: their cells, and which rows are of one folder."""

import gzip
import io

import pytest

from classifier.headers.reader import AudioHeader
from classifier.tables.sound_table import CellError, folder_of, header_of, sound_table
from classifier.tables.strict_csv import TableError

HEADER = "file_path,file_size,duration,sample_rate,channels,frame_count,sample_type"


def read(text, name="t.csv", **options):
    """The rows of a table."""
    content = text.encode() if isinstance(text, str) else text
    with sound_table(io.BytesIO(content), name, **options) as table:
        return list(table)


def header_in(row):
    [(_, cells)] = read(f"{HEADER}\n{row}\n")
    return header_of(cells)


def test_a_row_has_its_cells_and_its_first_line_number():
    assert read('path,vendor\n"two\nlines.wav",a\n\nb.wav\n') == [
        (2, {"path": "two\nlines.wav", "vendor": "a"}),
        (5, {"path": "b.wav", "vendor": ""}),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_cells_are_separated_by_commas_semicolons_or_tabs(mark):
    table = mark.join(["path", "duration"]) + "\n" + mark.join(["a b.wav", "0.5"]) + "\n"
    assert read(table) == [(2, {"path": "a b.wav", "duration": "0.5"})]


@pytest.mark.parametrize("cell", ["1_000", "\u0663", "\u06f1\u06f2"])
def test_a_number_is_written_in_plain_digits(cell):
    with pytest.raises(CellError, match="duration must be a number"):
        header_of({"duration": cell})


def test_a_duplicate_column_is_refused():
    with pytest.raises(TableError, match=r"t\.csv, line 1: the column path occurs twice"):
        read("path,vendor,path\na.wav,x,b.wav\n")


def test_a_comma_is_no_separator_in_a_table_with_semicolons():
    assert read("vendor;path\na, b;c, d.wav\n") == [(2, {"vendor": "a, b", "path": "c, d.wav"})]


@pytest.mark.parametrize(
    ("columns", "name"),
    [("file_path,path", "file_path"), ("path,file_path", "file_path"), ("x,path", "path")],
)
def test_the_name_is_the_file_path_or_else_the_path(columns, name):
    with sound_table(io.BytesIO(columns.encode()), "t.csv") as table:
        assert table.name_column == name


def test_a_header_is_read_from_its_columns():
    assert header_in("a.wav, 44144 ,0.5,44100,2.0,22050, PCM_16") == AudioHeader(
        44144, 0.5, 44100, 2, 22050, "PCM_16"
    )


def test_a_duration_may_have_a_decimal_comma():
    assert header_of({"path": "a.wav", "duration": "0,5"}).duration_seconds == 0.5


def test_an_empty_cell_or_missing_column_is_an_unknown_value():
    unknown = AudioHeader(None, None, None, None, None, None)
    assert header_in("a.wav,, ,,,,") == unknown
    assert header_of({"path": "a.wav"}) == unknown


@pytest.mark.parametrize("cell", ["many", "-1", "nan", "inf", "1e999", "0x10"])
def test_an_invalid_number_is_refused_with_its_column(cell):
    with pytest.raises(CellError, match=f"duration must be a number of at least 0, got '{cell}'"):
        header_in(f"a.wav,1,{cell},,,,")


def test_an_unknown_sample_type_is_refused():
    with pytest.raises(CellError, match="unknown sample_type 'PCM_17'"):
        header_in("a.wav,,,,,,PCM_17")


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        ("a.wav,88244,1,44100,1,44100,0", "PCM_16"),
        ("a.wav,88244,1,44100,1,44100,1.0", "PCM_16"),
        ("a.wav,264644,1,44100,2,44100,0", "PCM_24"),
        ("a.wav,352844,1,44100,2,44100,3", "FLOAT"),
        ("a.wav,44144,1,44100,1,44100,7", "PCM_U8"),
        ("a.wav,16700,1,44100,1,44100,2", "MPEG_LAYER_III"),
        ("a.mp3,,,,,,2", "MPEG_LAYER_III"),
        ("a.wav,,,,,,130", "MPEG_LAYER_III"),
        ("a.ogg,44144,1,44100,1,44100,2", "VORBIS"),
        ("a.flac,44144,1,44100,1,44100,2", None),
        ("a.aif,20000,1,44100,1,44100,2", None),
        ("a.wav,544,0.01,10000,1,100,2", None),
        ("a.wav,,,,,,2", None),
    ],
)
def test_a_numeric_sample_type_is_resolved_by_the_sizes_of_its_row(row, meant):
    assert header_in(row).sample_type == meant


def test_a_sample_type_may_be_in_lower_case():
    assert header_in("a.wav,,,,,,pcm_24").sample_type == "PCM_24"


def test_columns_are_found_in_any_case_and_by_their_mapped_names():
    table = "Filename;Label;path\nkick.wav;Drum;elsewhere\n"
    renamed = {"category": "label", "path": "filename"}
    rows = read(table, needed=("category",), renamed=renamed)
    assert rows == [(2, {"category": "Drum", "path": "kick.wav"})]


def test_one_column_may_be_mapped_to_two_names():
    rows = read("path,maker\na.wav,ann\n", renamed={"vendor": "maker", "pack": "maker"})
    assert rows == [(2, {"path": "a.wav", "vendor": "ann", "pack": "ann"})]


def test_a_mapping_to_a_missing_column_is_refused():
    with pytest.raises(
        TableError, match=r"line 1: there is no column filename \(--column\); expected"
    ):
        read("path,category\n", renamed={"file_path": "filename"})


def test_a_table_named_gz_is_decompressed():
    content = gzip.compress(b"path\na.wav\n")
    assert read(content, name="t.csv.gz") == [(2, {"path": "a.wav"})]


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "t.csv", r"a column category and a column file_path \(or path\), got an empty"),
        (b"name,category", "t.csv", "t.csv, line 1: expected .*, got name, category"),
        (b"path", "t.csv", "got path"),
        (b'path,category\n"a.wav', "t.csv", "t.csv, line 2: not CSV"),
        (b"path,category\na, b.wav,drum", "t.csv", "t.csv, line 2: not CSV: 3 cells; expected 2"),
        ("path,category\n".encode("utf-16"), "t.csv", "t.csv is not UTF-8 text"),
        (b"path", "t.csv.gz", "t.csv.gz cannot be read as a CSV table: Not a gzipped file"),
        (
            gzip.compress(b"path,category\n" * 99, mtime=0)[:-9],
            "t.csv.gz",
            "cannot be read as a CSV table",
        ),
        (
            gzip.compress(b"path,category\n", mtime=0)[:10] + b"\xff" * 9,
            "t.csv.gz",
            "cannot be read as a CSV",
        ),
    ],
    ids=ascii,
)
def test_an_invalid_table_is_refused(content, name, reason):
    with pytest.raises(TableError, match=reason):
        read(content, name, needed=("category",))


@pytest.mark.parametrize(
    ("columns", "rows", "folders"),
    [
        ("path,folder,vendor", ["x,kicks,a", "y,kicks,a", "x,kicks,b", "x,hats,a"], [0, 0, 2, 3]),
        ("file_path,folder,pack,repo", ["a,x,p,r", "a,x,q,r", "a,x,p,s", "b,x,p,r"], [0, 1, 2, 0]),
        ("file_path,pack", ["a,p", "a,q", "b,p"], [0, 1, 0]),
        ("path", ["p/kicks/a.wav", "p/kicks/b.wav", "q/kicks/c.wav"], [0, 0, 2]),
        ("path,folder,source_repo", ["a/k,,", "k,f,r", "a/k,,r", "/k,f,r"], [0, 1, 2, 1]),
    ],
)
def test_rows_are_grouped_by_folder_and_owner(columns, rows, folders):
    found = [folder_of(cells) for _, cells in read("\n".join([columns, *rows]))]
    assert "" not in found
    assert [found.index(folder) for folder in found] == folders


@pytest.mark.parametrize(
    ("columns", "row"),
    [("file_path,vendor", "a.wav,v"), ("path", "a.wav"), ("path,folder,repo", "a,,r")],
)
def test_a_row_without_a_folder_has_none(columns, row):
    [(_, cells)] = read(f"{columns}\n{row}")
    assert folder_of(cells) == ""


def test_the_group_key_of_a_long_folder_is_short():
    """Arrays of texts are as wide as the longest of them."""
    folders = [100_000 * "a", 100_000 * "a" + "\udce9", "a"]
    found = [folder_of({"folder": folder}) for folder in (*folders, *folders)]
    assert found[:3] == found[3:]
    assert len(set(found)) == 3
    assert max(map(len, found)) <= 255


def test_a_name_that_is_longer_than_any_path_is_refused():
    assert read(f"path\n{'a' * 4096}\n")
    with pytest.raises(
        TableError, match=r"t\.csv, line 2: path has 4,097 characters; expected at most 4,096"
    ):
        read(f"path\n{'a' * 4097}\n")
