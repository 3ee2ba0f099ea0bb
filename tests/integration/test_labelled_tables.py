"""What training reads of the labels: no copies, no contradictions, a holdout that stays."""

import numpy as np
import pytest

pytest.importorskip("pandas")

from sqlalchemy import select, update

from classifier.headers.reader import AudioHeader
from db.engine import reading
from db.results import training_rows
from db.tables import sounds
from tests.support.labelled_rows import add_labelled
from training.data import from_database
from training.data.from_database import read_labelled


def header(seconds=1.0):
    frames = int(seconds * 44_100)
    return AudioHeader(frames * 2, seconds, 44_100, 1, frames, "PCM_16")


def rows(n_vendors=24, n_packs=3, of_each=4, label="drum"):
    return [
        (f"vendor {v}", f"pack {p}", f"kick_{v}_{p}_{i}.wav", header(1 + i), label)
        for v in range(n_vendors)
        for p in range(n_packs)
        for i in range(of_each)
    ]


def names(sounds):
    return set(sounds.names)


def test_every_sound_is_trained_on_or_held_out_by_whole_packs(database):
    add_labelled(database, rows())
    tables = read_labelled(database)
    assert len(tables.learned) + len(tables.held_out) == tables.n_labelled == 288
    both = [set(zip(side.vendors, side.packs, strict=True)) for side in
            (tables.learned, tables.held_out)]  # fmt: skip
    assert both[0] & both[1] == set()
    assert both[1]


def test_a_held_out_sound_stays_held_out_when_its_vendor_is_renamed(database):
    add_labelled(database, rows())
    held_out = names(read_labelled(database).held_out)
    with database.begin() as connection:
        connection.execute(update(sounds).values(vendor="renamed", pack="renamed"))
    assert names(read_labelled(database).held_out) == held_out


def test_the_holdout_is_written_into_the_rows(database):
    add_labelled(database, rows())
    read_labelled(database)
    with reading(database) as connection:
        assert None not in set(connection.execute(select(sounds.c.held_out)).scalars())


def test_with_too_few_packs_none_is_held_out_and_nothing_is_stored(database):
    # Given packs of which fewer than five would be held out, however many sounds these have
    add_labelled(database, rows(n_vendors=1, n_packs=8, of_each=60))
    tables = read_labelled(database)
    assert (len(tables.learned), len(tables.held_out)) == (480, 0)
    with reading(database) as connection:
        assert set(connection.execute(select(sounds.c.held_out)).scalars()) == {None}


def test_each_training_sound_has_its_first_label(database):
    add_labelled(database, rows(n_vendors=1, n_packs=1, of_each=2, label="bass"))
    with reading(database) as connection:
        last = training_rows.last_label_id(connection)
    add_labelled(database, rows(n_vendors=1, n_packs=1, of_each=3, label="drum"))
    ids = read_labelled(database).first_label_ids
    assert [bool(one > last) for one in ids] == [False, False, True]


def test_copies_of_a_file_count_once(database):
    mine = ("vendor 0", "pack 0", "kick.wav", header(), "drum")
    also = ("vendor 0", "pack 0", "sub/kick.wav", header(), "drum")
    other = ("vendor 0", "pack 0", "longer/kick.wav", header(2.0), "drum")
    add_labelled(database, [mine, also, other])
    tables = read_labelled(database)
    assert len(tables.learned) + len(tables.held_out) == 2
    assert tables.n_copies == 1


def test_a_copy_of_a_held_out_file_is_not_trained_on(database):
    add_labelled(database, rows())
    tables = read_labelled(database)
    out, learned = tables.held_out, tables.learned
    # Given a file of the holdout in a pack that is learned, too
    name, seconds = out.names[0], float(np.expm1(out.headers[0, 1]))
    add_labelled(database, [(learned.vendors[0], learned.packs[0], name, header(seconds), "drum")])
    # Then it stays on the holdout's side alone
    tables = read_labelled(database)
    assert name in names(tables.held_out)
    assert name not in names(tables.learned)
    assert tables.n_copies == 1


def test_contradicting_labels_are_omitted(database):
    one = ("vendor 0", "pack 0", "kick.wav", header(), "drum")
    other = ("vendor 1", "pack 1", "kick.wav", header(), "effects")
    add_labelled(database, [one, other, ("vendor 2", "pack 2", "a.wav", header(), "drum")])
    tables = read_labelled(database)
    assert tables.n_contradictory == 2
    assert names(tables.learned) | names(tables.held_out) == {"a.wav"}


def test_above_the_limit_the_largest_groups_are_reduced_most(database, monkeypatch):
    monkeypatch.setattr(from_database, "MOST_LEARNED", 40)
    small = [("vendor 0", "pack 0", f"vox{i}.wav", header(1 + i), "vocal") for i in range(10)]
    large = [("vendor 1", "pack 0", f"kick{i}.wav", header(1 + i), "drum") for i in range(300)]
    add_labelled(database, small + large)
    with database.begin() as connection:  # none held out: only the two groups count
        connection.execute(update(sounds).values(held_out=False))
    tables = read_labelled(database)
    assert len(tables.learned) == 40
    assert (tables.learned.vendors == "vendor 0").sum() == 10
    assert tables.n_surplus == 270
    # and the same ones the next time
    assert names(read_labelled(database).learned) == names(tables.learned)


def test_no_labels_give_empty_tables(database):
    tables = read_labelled(database)
    assert (len(tables.learned), len(tables.held_out), tables.last_label_id) == (0, 0, 0)


def test_more_than_a_chunk_is_read_to_its_end(database, monkeypatch):
    monkeypatch.setattr(from_database, "_CHUNK_ROWS", 100)
    add_labelled(database, rows())
    seen = []
    tables = read_labelled(database, on_chunk=seen.append)
    assert seen == [100, 200, 288]
    assert tables.n_labelled == 288
