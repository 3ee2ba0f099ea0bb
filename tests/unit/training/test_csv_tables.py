"""Tables of labelled sounds: what is read, and what is refused with its line."""

import gzip

import numpy as np
import pytest

from classifier.categories import CATEGORIES
from classifier.tables.strict_csv import TableError
from tests.support.places import SHARED
from training.data.csv_tables import read_counted, read_table

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


def test_a_gzipped_table_is_read(tmp_path):
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{KICK}\n".encode()))
    assert len(read_table(str(path))) == 1


def test_duplicate_names_keep_the_first_row_and_unlabelled_rows_are_omitted(table):
    sounds = read_table(
        table(HEADER, ",kick.wav,,,,,,,a", KICK, "bass,kick.wav,,,,,,,b", ",x.wav,,,,,,,a")
    )
    assert [CATEGORIES[index] for index in sounds.category_indices] == ["drum"]


def test_a_table_of_predictions_is_refused(table):
    with pytest.raises(TableError, match="a model must not be trained on its own predictions"):
        read_table(table("file_path,category,confidence,top3", "kick.wav,drum,0.9,drum:0.9"))


def test_names_that_look_like_missing_values_are_names(table):
    assert read_table(table(HEADER, "vocal,NA,,,,,,,a")).names.tolist() == ["NA"]


def test_empty_or_missing_header_columns_mean_unknown(table):
    assert np.isnan(read_table(table("category,path", "drum,a/kick.wav")).headers).all()
    assert np.isnan(read_table(table(HEADER, "drum,kick.wav,,,,,,,a")).headers).all()


def test_a_category_may_have_another_spelling(table):
    sounds = read_table(table("category,path", "Stems & MIDI,a.wav", "Drum Loops,b.wav"))
    assert [CATEGORIES[index] for index in sounds.category_indices] == ["stems-n-midi", "drum-loop"]


# What tells vendors apart


def test_without_a_vendor_the_pack_groups_the_rows(table):
    assert read_table(table("category,path,pack", "drum,a.wav,p")).vendors.tolist() == ["p"]


def test_with_a_single_vendor_the_pack_groups_the_rows(table):
    rows = ("drum,a.wav,me,p", "drum,b.wav,me,q")
    assert read_table(table("category,path,vendor,pack", *rows)).vendors.tolist() == ["p", "q"]


CODED = (
    "drum,abc_kick_01.wav",
    "vocal,Abc_vox_01.wav",
    "drum,XY2_kick.wav",
    "drum,xy2 snare.wav",
    "drum,BD_hard_01.wav",
    "drum,dusty_kick_01.wav",
)


def test_without_vendors_and_packs_name_prefixes_group_the_rows(table):
    sounds, counts = read_counted(table("category,file_path", *CODED))
    assert sounds.vendors.tolist() == ["ABC", "ABC", "XY", "XY", "", ""]
    assert counts.grouping == "vendors are identified by the code at the start of their names"


def test_the_group_option_takes_precedence_over_other_columns(table):
    lines = [f"{row},v,{number % 2}" for number, row in enumerate(CODED)]
    sounds, counts = read_counted(table("category,file_path,vendor,Who", *lines), group="who")
    assert sounds.vendors.tolist() == ["0", "1", "0", "1", "0", "1"]
    assert counts.grouping == "vendors are identified by the column who"


def test_a_table_without_usable_groups_is_reported_with_advice(table):
    rows = ("drum,Kick_hard_01.wav,x", "drum,Kick_soft.wav,x", "vocal,Vox_long_01.wav,y")
    _, counts = read_counted(table("category,file_path,session", *rows))
    assert counts.ungrouped == (
        "vendors cannot be identified: there is no column vendor, there is no column pack, too few "
        "names start with a code such as ABC_. Name another column with --group COLUMN; the table "
        "has category, file_path, session"
    )


def test_a_missing_group_column_is_refused(table):
    with pytest.raises(
        TableError, match=r"no column who \(--group\); expected one of category, file_path"
    ):
        read_counted(table("category,file_path", *CODED), group="who")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("drumm,b.wav,,,,,,,a", "line 3: unknown category 'drumm'"),
        ("drum,b.wav,many,,,,,,a", "line 3: file_size must be a number of at least 0, got 'many'"),
        ("drum,b.wav,-1,,,,,,a", "line 3: file_size must be a number of at least 0, got '-1'"),
        ("drum,b.wav,,inf,,,,,a", "line 3: duration must be a number of at least 0, got 'inf'"),
        (
            "drum,b.wav,,1000,44100,1,44100,,a",
            "line 3: duration 1000 differs from frame_count / sample_rate, 1; expected",
        ),
        (
            "drum,b.wav,,,,,,," + 256 * "v",
            "line 3: vendor has 256 characters; expected at most 255",
        ),
        ("drum,b.wav," + 9000 * "x", f"at least 0, got '{200 * 'x'}…'"),
        ("drum,b.wav,,,,,,PCM_17,a", "line 3: unknown sample_type 'PCM_17'"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_line(table, row, complaint):
    with pytest.raises(TableError, match=r"labels\.csv") as refused:
        read_table(table(HEADER, KICK, row))
    assert complaint in str(refused.value)


def test_the_line_is_right_after_a_cell_with_a_line_break(table):
    with pytest.raises(TableError, match="line 4: unknown category 'oops'"):
        read_table(table("category,file_path", '"drum","two\nlines.wav"', "oops,b.wav"))


def test_the_first_wrong_lines_are_listed_and_the_rest_counted(table):
    with pytest.raises(TableError, match="and 5 more"):
        read_table(table("category,file_path", *(f"oops,{n}.wav" for n in range(10))))


def test_the_first_columns_are_listed_and_the_rest_counted(table):
    with pytest.raises(TableError, match=r"got c0, c1, .*c29 and 970 more"):
        read_table(table(",".join(f"c{number}" for number in range(1000))))


def test_a_table_without_required_columns_is_refused_with_its_columns(table):
    with pytest.raises(TableError, match="got name, kind"):
        read_table(table("name,kind", "kick.wav,drum"))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot gzip", b'a,b\n"open'])
def test_an_invalid_table_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / ("labels.csv.gz" if content[:1] == b"\x1f" else "labels.csv")
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"labels\.csv"):
        read_table(str(path))


def test_a_missing_table_is_refused_in_one_line(tmp_path):
    with pytest.raises(TableError, match=r"absent\.csv"):
        read_table(str(tmp_path / "absent.csv"))


@pytest.mark.skipif(not CORPUS.exists(), reason=f"{CORPUS} is not here")
def test_the_public_corpus_has_9657_labelled_sounds_of_28_vendors():
    sounds = read_table(str(CORPUS))
    assert len(sounds) == 9_657
    assert len(set(sounds.vendors)) == 28
    assert not np.isnan(sounds.headers).any()
