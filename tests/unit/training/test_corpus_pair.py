"""Two tables as one: who is whom, which names are tested, and what may be learned for them."""

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.categories import CATEGORIES
from tests.support import labelled_tables
from tests.support.places import SHARED
from training.errors import TrainingError
from training.maintainer.corpus_pair import CAP, learning_side, read_two_tables, splits_by_vendor
from training.maintainer.vendor_aliases import linked_vendors

CORPUS = SHARED / "corpus" / "corpus_public.csv.gz"
NAMES = SHARED / "corpus" / "names_public.csv.gz"
FOUND_HERE = pytest.mark.skipif(
    not (CORPUS.exists() and NAMES.exists()), reason=f"{CORPUS} or {NAMES} is not here"
)

CORPUS_COLUMNS = "category,file_path,vendor,repo"
NAMES_COLUMNS = "category,file_path,vendor,vendor_group,source_repo,in_corpus"


@pytest.fixture
def tables(tmp_path):
    """Read two tables of these lines."""

    def tables(corpus, names, corpus_columns=CORPUS_COLUMNS, names_columns=NAMES_COLUMNS):
        return read_two_tables(
            str(labelled_tables.write(tmp_path / "corpus.csv", corpus, corpus_columns)),
            str(labelled_tables.write(tmp_path / "names.csv", names, names_columns)),
        )

    return tables


def of_vendor(sounds, vendor):
    return set(sounds.names[sounds.vendors == vendor])


# Who is whom


def test_indirectly_linked_vendors_get_one_name():
    found = linked_vendors(["ann", "bob", "cyd", "dan"], [("x", "cyd"), ("bob", "x"), ("y", "y")])
    assert found == {"ann": "ann", "bob": "bob", "cyd": "bob", "dan": "dan", "x": "bob", "y": "y"}


@pytest.mark.parametrize(
    "row",
    [
        "drum,n.wav,Label,Label,Ann/Pack,0",  # from her repository, in whatever case
        "drum,n.wav,ann,Label,elsewhere/x,0",  # a group she is part of
        "drum,kick.wav,Label,Label,unknown,1",  # a row of the corpus: the one of that name
        "drum,unlabelled.wav,Label,Label,,1",  # which need not have a category
    ],
)
def test_a_vendor_of_both_tables_gets_one_name(tables, row):
    corpus = [
        "drum,kick.wav,ann,ann/pack",
        ",unlabelled.wav,ann,ann/pack",
        "bass,b.wav,bob,bob/pack",
    ]
    found = tables(corpus, [row, "drum,more.wav,Label,Label,elsewhere/y,0"])
    assert "more.wav" in of_vendor(found.names, "ann")
    assert set(found.names.vendors) == {"ann"}
    assert set(found.corpus.vendors) == {"ann", "bob"}


def test_unrelated_vendors_are_not_linked(tables):
    # Given rows without a repository, a name that occurs in both tables, and a row of the corpus
    # whose repository is known
    corpus = ["drum,kick.wav,ann,", "drum,snare.wav,bob,bob/pack", "drum,tom.wav,cyd,cyd/pack"]
    names = ["drum,kick.wav,L,L,,0", "drum,tom.wav,M,M,bob/pack,1", "drum,hat.wav,M,M,,0"]
    # Then no vendors are linked except the one pair listed in the repository
    found = tables(corpus, names)
    assert of_vendor(found.names, "L") == {"kick.wav"}
    assert of_vendor(found.names, "bob") == {"hat.wav"}


def test_a_table_grouped_by_vendor_only_is_linked(tables):
    found = tables(
        ["drum,kick.wav,ann,ann/pack"],
        ["drum,tom.wav,L,ann/pack", "drum,hat.wav,M,"],
        names_columns="category,file_path,vendor,source_repo",
    )
    assert of_vendor(found.names, "ann") == {"tom.wav"}
    assert of_vendor(found.names, "M") == {"hat.wav"}


def test_an_empty_vendor_links_no_groups(tables):
    found = tables(["drum,kick.wav,ann,"], ["drum,a.wav,,L,,0", "drum,b.wav,,M,,0"])
    assert set(found.names.vendors) == {"L", "M"}


def test_tables_without_those_columns_link_no_vendors_and_keep_all_rows(tables):
    found = tables(
        ["drum,kick.wav", "bass,sub.wav"],
        ["drum,tom.wav,L", "vocal,vox.wav,M"],
        "category,file_path",
        "category,file_path,vendor",
    )
    assert of_vendor(found.corpus, "") == {"kick.wav", "sub.wav"}
    assert sorted(set(found.names.vendors)) == ["L", "M"]


# Which names are tested


def test_rows_of_the_corpus_notes_and_second_copies_are_neither_tested_nor_learned(tables):
    names = [
        "drum,a.wav,L,L,x,1",
        "drum,b.MID,L,L,x,0",
        "drum,c.wav,L,L,x,0",
        "bass,c.wav,M,M,x,0",
        ",d.wav,L,L,x,0",
    ]
    found = tables(["drum,kick.wav,ann,r"], names)
    assert found.names.names.tolist() == ["c.wav"]
    assert found.tested_names.names.tolist() == ["c.wav"]


def test_a_copy_is_dropped_after_the_rows_of_the_corpus(tables):
    # Given a name that both a row of the corpus and another vendor's have
    found = tables(["drum,c.wav,ann,r"], ["drum,c.wav,L,L,x,1", "bass,c.wav,M,M,x,0"])
    # Then the other vendor's is kept
    assert [CATEGORIES[index] for index in found.names.category_indices] == ["bass"]


def test_of_each_vendors_category_at_most_so_many_are_tested_and_all_are_learned(tables):
    names = [f"drum,d{number}.wav,L,L,x,0" for number in range(CAP + 5)]
    names += [f"bass,b{number}.wav,L,L,x,0" for number in range(3)]
    names += [f"drum,m{number}.wav,M,M,x,0" for number in range(CAP)]
    found = tables(["drum,kick.wav,ann,r"], names)
    tested = found.tested_names
    drums = tested.category_indices == CATEGORIES.index("drum")
    assert {vendor: int((tested.vendors[drums] == vendor).sum()) for vendor in ("L", "M")} == {
        "L": CAP,
        "M": CAP,
    }
    assert int((~drums).sum()) == 3
    assert len(found.names) == len(names)


def test_the_same_names_are_drawn_each_time(tables):
    names = [f"drum,d{number}.wav,L,L,x,0" for number in range(CAP + 50)]
    drawn = [tables(["drum,kick.wav,ann,r"], names).capped.tolist() for _ in range(2)]
    assert drawn[0] == drawn[1] != list(range(CAP))


# What may be learned


@pytest.fixture
def linked(tables):
    """Ann stands in the second table under the name of her label."""
    corpus = [
        f"{category},{vendor}_{number}.wav,{vendor},{vendor}/pack"
        for vendor in ("ann", "bob", "cyd")
        for category in ("drum", "vocal")
        for number in range(3)
    ]
    names = ["drum,her own.wav,Label,Label,ann/pack,0", "vocal,bob_1.wav,M,M,x,0"]
    names += [f"vocal,{number}.wav,M,M,x,0" for number in range(3)]
    return tables(corpus, names)


@pytest.mark.parametrize("table", ["corpus", "tested_names"])
def test_no_vendor_is_on_both_sides_under_two_names(linked, table):
    tested = getattr(linked, table)
    splits = splits_by_vendor(linked, tested, 2, seed=0)
    for split in splits:
        sides = tested.take(split.tested)
        assert not set(split.learned.vendors) & set(sides.vendors)
        assert not set(split.learned.names) & set(sides.names)
        # Ann's rows of either table stand on one side
        assert not ("her own.wav" in split.learned.names and any(sides.vendors == "ann"))
    assert sorted(np.concatenate([split.tested for split in splits])) == list(range(len(tested)))


def test_both_tables_are_learned_from_but_for_the_tested_vendors_and_names(linked):
    # When Bob is tested
    bob = linked.corpus.take(np.flatnonzero(linked.corpus.vendors == "bob"))
    learned = learning_side(linked, bob)
    # Then all others of both tables are learned, without the name that another shares with him
    assert set(learned.vendors) == {"ann", "cyd", "M"}
    assert {"her own.wav", "0.wav"} <= set(learned.names)
    assert "bob_1.wav" not in learned.names


def test_one_vendor_alone_is_refused_in_words(tables):
    found = tables(["drum,kick.wav,ann,r", "bass,sub.wav,bob,s"], ["drum,tom.wav,L,L,x,0"])
    with pytest.raises(TrainingError, match="at least two vendors"):
        splits_by_vendor(found, found.tested_names, 5, seed=0)


def test_too_little_beside_a_vendor_is_refused_in_words(tables):
    found = tables(["drum,kick.wav,ann,r", "bass,sub.wav,bob,s"], [])
    with pytest.raises(TrainingError, match="too few training sounds"):
        splits_by_vendor(found, found.corpus, 5, seed=0)


# The public tables


@FOUND_HERE
def test_of_the_public_names_440_of_11_categories_are_tested():
    found = read_two_tables(str(CORPUS), str(NAMES))
    assert len(found.corpus) == 9_657
    assert len(found.names) == 2_344
    assert len(found.tested_names) == 440
    assert len(set(found.tested_names.category_indices)) == 11


@FOUND_HERE
def test_of_the_public_vendors_none_is_on_both_sides():
    found = read_two_tables(str(CORPUS), str(NAMES))
    for tested in (found.corpus, found.tested_names):
        for split in splits_by_vendor(found, tested, 5, seed=0):
            assert not set(split.learned.vendors) & set(tested.vendors[split.tested])
