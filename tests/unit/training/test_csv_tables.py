"""Tables of labelled sounds: what is read, and what is refused with its line."""

import gzip

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.categories import CATEGORIES
from tests.support.places import SHARED
from training.data.csv_tables import folders_of, read_table, read_text
from training.errors import TableError

HEADER = "category,file_path,file_size,duration,sample_rate,channels,frame_count,sample_type,vendor"
KICK = "drum,kick.wav,88244,1.0,44100,1,44100,PCM_16,a"
CORPUS = SHARED / "corpus" / "corpus_public.csv.gz"


@pytest.fixture
def table(tmp_path):
    def written(*lines: str) -> str:
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return written


def test_a_row_becomes_a_name_a_header_a_category_and_a_vendor(table):
    sounds = read_table(table(HEADER, KICK))
    assert sounds.names.tolist() == ["kick.wav"]
    assert sounds.headers.shape == (1, 6)
    assert CATEGORIES[sounds.category_indices[0]] == "drum"
    assert sounds.vendors.tolist() == ["a"]


def test_a_gzipped_table_is_read_as_well(tmp_path):
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{KICK}\n".encode()))
    assert len(read_table(str(path))) == 1


def test_of_rows_with_one_name_the_first_is_kept_and_unlabelled_rows_are_left_out(table):
    sounds = read_table(
        table(HEADER, ",kick.wav,,,,,,,a", KICK, "bass,kick.wav,,,,,,,b", ",x.wav,,,,,,,a")
    )
    assert [CATEGORIES[index] for index in sounds.category_indices] == ["drum"]


def test_names_that_look_like_missing_values_are_names(table):
    assert read_table(table(HEADER, "vocal,NA,,,,,,,a")).names.tolist() == ["NA"]


def test_empty_or_absent_header_columns_mean_unknown(table):
    assert np.isnan(read_table(table("category,path", "drum,a/kick.wav")).headers).all()
    assert np.isnan(read_table(table(HEADER, "drum,kick.wav,,,,,,,a")).headers).all()


def test_without_a_vendor_the_pack_groups_the_rows(table):
    assert read_table(table("category,path,pack", "drum,a.wav,p")).vendors.tolist() == ["p"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("drumm,b.wav,,,,,,,a", "category is unknown: line 3: 'drumm'"),
        ("drum,b.wav,many,,,,,,a", "file_size is not a number >= 0: line 3: 'many'"),
        ("drum,b.wav,-1,,,,,,a", "file_size is not a number >= 0: line 3: '-1'"),
        ("drum,b.wav,,inf,,,,,a", "duration is not a number >= 0: line 3: 'inf'"),
        ("drum,b.wav,,1000,44100,1,44100,,a", "duration is not frame_count / sample_rate"),
        ("drum,b.wav,,,,,,PCM_17,a", "sample_type is not one that libsndfile lists: line 3"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_line(table, row, complaint):
    with pytest.raises(TableError, match=r"labels\.csv") as refused:
        read_table(table(HEADER, KICK, row))
    assert complaint in str(refused.value)


def test_the_line_is_right_after_a_cell_with_a_line_break(table):
    with pytest.raises(TableError, match="line 4: 'oops'"):
        read_table(table("category,file_path", '"drum","two\nlines.wav"', "oops,b.wav"))


def test_of_many_wrong_lines_the_first_are_named_and_the_rest_counted(table):
    with pytest.raises(TableError, match="and 5 more"):
        read_table(table("category,file_path", *(f"oops,{n}.wav" for n in range(10))))


def test_a_table_without_the_columns_is_refused_with_those_it_has(table):
    with pytest.raises(TableError, match="found name, kind"):
        read_table(table("name,kind", "kick.wav,drum"))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot gzip", b'a,b\n"open'])
def test_what_is_no_table_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / ("labels.csv.gz" if content[:1] == b"\x1f" else "labels.csv")
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"labels\.csv"):
        read_table(str(path))


def test_a_missing_table_is_refused_in_one_line(tmp_path):
    with pytest.raises(TableError, match=r"absent\.csv"):
        read_table(str(tmp_path / "absent.csv"))


@pytest.mark.parametrize(
    ("columns", "rows", "folders"),
    [
        ("folder,vendor", ["kicks,a", "kicks,a", "kicks,b", "hats,a"], [0, 0, 1, 2]),
        ("folder,pack,repo", ["x,p,r", "x,q,r", "x,p,s", "x,p,r"], [0, 1, 2, 0]),
        ("pack", ["p", "q", "p"], [0, 1, 0]),
        ("path", ["p/kicks/a.wav", "p/kicks/b.wav", "q/kicks/c.wav"], [0, 0, 1]),
    ],
)
def test_rows_of_one_folder_of_one_pack_are_told_from_others(table, columns, rows, folders):
    found = folders_of(read_text(table(columns, *rows)))
    assert "" not in found
    numbers = list(dict.fromkeys(found))
    assert [numbers.index(folder) for folder in found] == folders


@pytest.mark.parametrize(
    ("columns", "row"), [("file_path,vendor", "a.wav,v"), ("path", "a.wav"), ("folder,repo", ",r")]
)
def test_a_row_that_says_no_folder_has_none(table, columns, row):
    assert folders_of(read_text(table(columns, row))) == [""]


@pytest.mark.skipif(not CORPUS.exists(), reason=f"{CORPUS} is not here")
def test_the_public_corpus_has_9657_labelled_sounds_of_28_vendors():
    sounds = read_table(str(CORPUS))
    assert len(sounds) == 9_657
    assert len(set(sounds.vendors)) == 28
    assert not np.isnan(sounds.headers).any()
