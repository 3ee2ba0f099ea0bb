"""Pack-mates: which names represent a folder, and which of its numbers only count its files."""

import random

import pytest

from classifier.names import pack_mates
from classifier.names.pack_mates import MOST_PACK_MATES, PackMatesBuilder, pack_mates_of
from classifier.names.tokens import tokenise


def tokens(name, *mates):
    return tokenise(name, pack_mates_of([name, *mates]).counting(name))


def test_a_number_alone_in_its_folder_may_be_a_tempo():
    assert tokens("SNARE87.wav") == ["snare", "<tempo>"]


def test_a_number_of_a_series_counts_the_files():
    assert tokens("SNARE87.wav", "SNARE86.wav", "SNARE5.wav") == ["snare", "<index>"]


def test_numbers_that_go_up_one_by_one_count_even_where_all_could_be_tempos():
    assert tokens("hit 90.wav", *(f"hit {n}.wav" for n in range(91, 99))) == ["hit", "<index>"]


def test_a_few_loops_at_tempos_far_apart_keep_their_tempos():
    assert tokens("beat 90.wav", "beat 120.wav", "beat 174.wav") == ["beat", "<tempo>"]


def test_only_the_number_that_counts_loses_its_tempo():
    mates = [f"break_174_{n:02}.wav" for n in range(1, 80)]
    assert tokens("break_174_78.wav", *mates) == ["break", "<tempo>", "<index>"]


def test_a_number_beside_bpm_is_a_tempo_in_any_folder():
    assert tokens("loop 90bpm.wav", "loop 5bpm.wav", "loop 300bpm.wav") == ["loop", "<bpm>"]


def test_a_sound_that_is_not_among_those_that_stand_for_its_folder_is_counted_all_the_same():
    mates = pack_mates_of(f"SNARE{n}.wav" for n in range(1, 1_000))
    name = next(f"SNARE{n}.wav" for n in range(60, 200) if f"SNARE{n}.wav" not in mates.names)
    assert tokenise(name, mates.counting(name)) == ["snare", "<index>"]


@pytest.mark.parametrize("n_names", [1, MOST_PACK_MATES, 5 * MOST_PACK_MATES])
def test_who_stands_for_a_folder_depends_on_nothing_but_its_names(n_names):
    names = [f"{n} kick.wav" for n in range(n_names)]
    shuffled = random.Random(0).sample(names * 2, 2 * n_names)  # noqa: S311  no secrets
    assert pack_mates_of(shuffled) == pack_mates_of(names)
    assert len(pack_mates_of(names).names) == min(n_names, MOST_PACK_MATES)


def test_names_of_any_characters_have_mates():
    names = ["", "\udcff\x00.wav", "٣٤.wav", "9" * 5_000 + ".wav"]
    mates = pack_mates_of(names)
    assert set(mates.names) == set(names)
    for name in names:
        assert tokenise(name, mates.counting(name))


# Names that come one by one


def built_of(names):
    builder = PackMatesBuilder()
    for name in names:
        builder.add(name)
    return builder.build()


@pytest.mark.parametrize("n_names", [1, MOST_PACK_MATES, 8 * MOST_PACK_MATES, 5_000])
def test_names_build_the_same_pack_mates_in_any_order(n_names):
    names = [f"snare {n}.wav" for n in range(n_names)]
    shuffled = random.Random(1).sample(names * 2, 2 * n_names)  # noqa: S311  no secrets
    assert built_of(names) == built_of(shuffled) == pack_mates_of(names)


def test_building_midway_changes_nothing():
    builder = PackMatesBuilder()
    for n in range(2_000):
        builder.add(f"{n}.wav")
        if n % 300 == 0:
            builder.build()
    assert builder.build() == pack_mates_of(f"{n}.wav" for n in range(2_000))


def test_of_many_names_few_are_held():
    builder = PackMatesBuilder()
    most = 0
    for n in range(20_000):
        builder.add(f"{n}.wav")
        most = max(most, len(builder._names))
    assert most < pack_mates._MOST_HELD


def test_a_folder_of_no_names_has_none_and_a_nameless_sound_is_one():
    assert pack_mates_of([]).names == ()
    assert pack_mates_of([""]).names == ("",)
