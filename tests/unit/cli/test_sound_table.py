"""Which rows of a table without audio are pack-mates, for `predict` and for training alike."""

import csv
import io

import pytest

from cli.models.sound_table import opened_table

COLUMNS = "path,folder,pack,repo,source_repo,vendor"
ROWS = (
    "a/kick.wav,,,,,",
    "kick.wav,,,,,",
    "a/b/kick.wav,f,,,,",
    "/kick.wav,,p,r,,",
    "kick.wav,,p,r,s,v",
    "kick.wav,,,r,s,v",
)


@pytest.mark.parametrize(
    "columns", [COLUMNS, "path", "path,pack", "path,folder,vendor", "path,vendor"]
)
def test_rows_are_mates_here_where_they_are_in_training(tmp_path, columns):
    csv_tables = pytest.importorskip("training.data.csv_tables")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns.split(","), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(csv.DictReader([COLUMNS, *ROWS]))
    file = tmp_path / "table.csv"
    file.write_text(text.getvalue())
    with opened_table(str(file)) as table:
        here = [row.folder for row in table.rows()]
    there = csv_tables.folders_of(csv_tables.read_text(str(file)))
    assert [here.index(folder) for folder in here] == [there.index(folder) for folder in there]
    assert [folder == "" for folder in here] == [folder == "" for folder in there]


def test_a_table_is_read_again_from_its_beginning(tmp_path):
    file = tmp_path / "table.csv"
    file.write_bytes("\ufefffile_path,folder\nkick.wav,a\nsnare.wav,a\n".encode())
    with opened_table(str(file)) as table:
        (mates,) = table.pack_mates().values()
        assert [row.path for row in table.rows()] == ["kick.wav", "snare.wav"]
    assert set(mates.names) == {"kick.wav", "snare.wav"}
