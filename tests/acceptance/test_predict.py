"""``cratesort predict``: a table in, a table out, row for row."""

import csv
import gzip
import io

import pytest

from classifier.categories import CATEGORIES

HEADER = "file_path,file_size,duration,sample_rate,channels,frame_count,sample_type"
ROWS = (
    "Kick 01.wav,44144,0.5,44100,1,22050,PCM_16",
    "Bass_E1_Finger.aif,500000,2.0,44100,2,88200,PCM_24",
    "Loop_120bpm.mp3,90000,4.0,44100,2,176400,MPEG_LAYER_III",
)


def table(*rows, header=HEADER):
    return "\n".join([header, *rows, ""]).encode()


def parsed(done):
    assert done.code == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.fixture
def predict(run_cli, tmp_path):
    """Predict a table given as bytes, through a file."""

    def run(content, name="table.csv"):
        (tmp_path / name).write_bytes(content)
        return run_cli("predict", "--from-csv", tmp_path / name)

    return run


def test_each_row_gets_a_category_in_the_same_order(predict):
    rows = parsed(predict(table(*ROWS)))
    assert [row["file_path"] for row in rows] == [row.split(",")[0] for row in ROWS]
    before, after = ["file_path", "category", "confidence", "top3"], ["evidence", "needs_review"]
    assert list(rows[0]) == [*before, *CATEGORIES, *after]


def test_the_category_is_the_most_probable_and_probabilities_sum_to_one(predict):
    for row in parsed(predict(table(*ROWS))):
        probabilities = {category: float(row[category]) for category in CATEGORIES}
        assert probabilities[row["category"]] == max(probabilities.values())
        assert float(row["confidence"]) == probabilities[row["category"]]
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert row["top3"].startswith(f"{row['category']}:")


def test_a_midi_file_is_stems_n_midi_whatever_its_name(predict):
    midi, wav = parsed(predict(table("packs/Kick 01.MID", "Kick 01.wav", header="file_path")))
    assert (midi["category"], midi["evidence"], midi["needs_review"]) == (
        "stems-n-midi",
        "format",
        "False",
    )
    assert (wav["category"], wav["evidence"]) == ("drum", "name")


def test_formulas_in_names_are_escaped(predict):
    rows = parsed(predict(table("=1+1.wav;v", "a\tb;v", '"a;\uff1d2.wav";v', header="path;vendor")))
    assert [row["file_path"] for row in rows] == ["'=1+1.wav", "a\tb", "a;'\uff1d2.wav"]


def test_rows_of_several_model_calls_keep_their_order(predict):
    names = [f"Kick {index}.wav" for index in range(1500)]
    rows = parsed(predict(table(*names, header="file_path")))
    assert [row["file_path"] for row in rows] == names


def test_a_row_does_not_depend_on_its_neighbours(predict):
    together = parsed(predict(table(*ROWS)))
    assert [parsed(predict(table(row)))[0] for row in ROWS] == together


def test_a_compressed_table_is_read(predict):
    plain = parsed(predict(table(*ROWS)))
    assert parsed(predict(gzip.compress(table(*ROWS)), name="table.csv.gz")) == plain


def test_columns_may_have_other_names(predict, run_cli):
    content = table(*ROWS).replace(b"file_path", b"Filename").replace(b",", b";")
    done = run_cli("predict", "--from-csv", "-", "--column", "file_path=Filename", stdin=content)
    assert parsed(done) == parsed(predict(table(*ROWS)))


def test_a_table_can_be_read_from_standard_input(predict, run_cli):
    plain = parsed(predict(table(*ROWS)))
    assert parsed(run_cli("predict", "--from-csv", "-", stdin=table(*ROWS))) == plain


def test_a_table_of_only_names_is_accepted(predict):
    (row,) = parsed(predict(table("Kick 01.wav", header="file_path")))
    assert row["category"] in CATEGORIES


def test_an_empty_cell_means_the_same_as_a_missing_column(predict):
    (empty,) = parsed(predict(table("Kick 01.wav,,,,,,")))
    (missing,) = parsed(predict(table("Kick 01.wav", header="file_path")))
    assert empty == missing


def test_unknown_columns_are_ignored(predict):
    (row,) = parsed(predict(table("9,Kick 01.wav,blue", header="id,file_path,colour")))
    (alone,) = parsed(predict(table("Kick 01.wav", header="file_path")))
    assert row == alone


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(predict):
    plain = parsed(predict(table(*ROWS)))
    assert parsed(predict(b"\xef\xbb\xbf" + table(*ROWS).replace(b"\n", b"\r\n"))) == plain


def test_a_name_with_a_comma_or_a_newline_survives_the_round_trip(predict):
    rows = parsed(predict(table('"Kick, loud.wav"', '"two\nlines.wav"', header="file_path")))
    assert [row["file_path"] for row in rows] == ["Kick, loud.wav", "two\nlines.wav"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("kick.wav,many,,,,,", "line 3: file_size must be a number of at least 0, got 'many'"),
        ("kick.wav,,-1,,,,", "line 3: duration must be a number of at least 0, got '-1'"),
        ("kick.wav,,,nan,,,", "line 3: sample_rate must be a number of at least 0, got 'nan'"),
        ("kick.wav,,,,inf,,", "line 3: channels must be a number of at least 0, got 'inf'"),
        ("kick.wav,,,,,1e999,", "line 3: frame_count must be a number"),
        ("kick.wav,,,,,,PCM_17", "line 3: unknown sample_type 'PCM_17'"),
        (",,,,,,", "line 3: file_path is empty"),
    ],
)
def test_an_invalid_cell_is_reported_with_its_line(predict, bad, said):
    done = predict(table(ROWS[0], bad))
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: expected a column file_path (or path), got an empty file"),
        (b"name,size\nkick.wav,1\n", "expected a column file_path (or path)"),
        (b"\x00\x01\x02\xff\xfe", "table.csv"),
    ],
    ids=["empty", "other columns", "binary"],
)
def test_an_invalid_table_is_refused(predict, content, said):
    done = predict(content)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_uncompressed_gz_file_is_refused(predict):
    done = predict(table(*ROWS), name="table.csv.gz")
    assert done.code == 2
    assert "Traceback" not in done.stderr


def test_a_truncated_gz_file_is_refused(predict):
    done = predict(gzip.compress(table(*ROWS * 500))[:-20], name="table.csv.gz")
    assert done.code == 2
    assert "Traceback" not in done.stderr


def test_a_table_without_rows_gives_a_header_without_rows(predict):
    assert parsed(predict(table())) == []


def test_prediction_and_ingest_agree(predict, run_cli, library, read_results):
    """The same names and header figures get the same category, with the audio or without.

    Where folders lend no words, for those are the answer in many tables and are not read there.
    """
    run_cli("ingest", library, settings={"CRATESORT_FOLDER_WORDS": "false"})
    rows = read_results()
    columns = ("path", "file_size", "duration", "sample_rate", "channels", "frame_count")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*columns, "sample_type"])
    for row in rows:
        figures = ("duration_seconds", "sample_rate_hz", "channels", "frame_count", "sample_type")
        writer.writerow([row["path"], row["file_size"], *(row[name] for name in figures)])
    predicted = parsed(predict(text.getvalue().encode()))
    assert [row["category"] for row in predicted] == [row["category"] for row in rows]
    confidences = [float(row["confidence"]) for row in predicted]
    assert confidences == pytest.approx([row["confidence"] for row in rows], abs=1e-4)


# Pack-mates: rows of one folder


def in_folders(*rows, columns="folder,file_path"):
    return table(*rows, header=columns)


SILENT = "AB7.wav"
OPEN_HATS = tuple(f"Open Hihat {index}.wav" for index in range(1, 20))


def confidence_beside(predict, *names, folder="a"):
    """Ask for `SILENT` in a folder of these names."""
    rows = parsed(predict(in_folders(*(f"{folder},{name}" for name in (SILENT, *names)))))
    return rows[0]


def test_rows_of_one_folder_are_mates(predict):
    alone = confidence_beside(predict)
    beside = confidence_beside(predict, *OPEN_HATS)
    assert float(beside["drum"]) > float(alone["drum"]) + 0.1


@pytest.mark.parametrize(
    ("columns", "here", "elsewhere"),
    [
        ("folder,file_path", "a,{}", "b,{}"),
        ("pack,file_path", "a,{}", "b,{}"),
        ("folder,vendor,file_path", "a,one,{}", "a,two,{}"),
        ("folder,repo,file_path", "a,one,{}", "a,two,{}"),
        ("folder,source_repo,file_path", "a,one,{}", "a,two,{}"),
        ("path", "a/{}", "b/{}"),
    ],
    ids=["folder", "pack", "vendor", "repo", "source_repo", "path"],
)
def test_folders_are_distinguished_by_vendor_pack_and_path(predict, columns, here, elsewhere):
    hats = [here.format(name) for name in OPEN_HATS]
    rows = (here.format(SILENT), elsewhere.format(SILENT), *hats)
    mate, stranger, *_ = parsed(predict(in_folders(*rows, columns=columns)))
    assert float(mate["drum"]) > float(stranger["drum"]) + 0.1


def test_the_name_of_a_folder_does_not_matter(predict):
    kicks = confidence_beside(predict, folder="Kicks")
    assert kicks == confidence_beside(predict, folder="Vocals")


@pytest.mark.parametrize("row", [SILENT, f"x/{SILENT}"], ids=["a name", "a name with folders"])
def test_a_table_with_only_file_path_has_no_mates(predict, row):
    hats = [row.replace(SILENT, name) for name in OPEN_HATS]
    together = parsed(predict(table(row, *hats, header="file_path")))[0]
    assert together == parsed(predict(table(row, header="file_path")))[0]


def test_a_row_without_a_folder_has_no_mates(predict):
    hats = [f",{name}" for name in OPEN_HATS]
    together = parsed(predict(in_folders(f",{SILENT}", *hats)))[0]
    assert together == parsed(predict(in_folders(f",{SILENT}")))[0]


def test_predictions_do_not_depend_on_row_order_and_call_boundaries(predict):
    """More rows than one model call takes, of folders that are scattered over all of it."""
    rows = [
        f"{index % 7},{word} {index}.wav"
        for index, word in zip(range(1300), ["Kick", "AB", "Riser", "Vox", "C4"] * 260, strict=True)
    ]
    one_way = parsed(predict(in_folders(*rows)))
    other_way = parsed(predict(in_folders(*reversed(rows))))
    assert [row["file_path"] for row in one_way] == [row.partition(",")[2] for row in rows]
    assert one_way == other_way[::-1]


def test_a_table_with_folders_can_be_piped(predict, run_cli):
    content = in_folders(f"a,{SILENT}", *(f"a,{name}" for name in OPEN_HATS))
    plain = parsed(predict(content))
    assert parsed(run_cli("predict", "--from-csv", "-", stdin=content)) == plain
    assert parsed(run_cli("predict", "--from-csv", "/dev/stdin", stdin=content)) == plain
    assert parsed(predict(gzip.compress(content), name="table.csv.gz")) == plain


def test_an_invalid_cell_at_the_end_of_a_table_writes_no_output(predict):
    done = predict(table(*ROWS * 500, "kick.wav,many,,,,,"))
    assert done.code == 2
    assert "line 1502: file_size must be a number" in done.stderr
    assert done.stdout == ""
