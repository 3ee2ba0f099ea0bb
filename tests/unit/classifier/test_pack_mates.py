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


def test_consecutive_numbers_count_files_even_if_all_could_be_tempos():
    assert tokens("hit 90.wav", *(f"hit {n}.wav" for n in range(91, 99))) == ["hit", "<index>"]


def test_a_few_loops_at_tempos_far_apart_keep_their_tempos():
    assert tokens("beat 90.wav", "beat 120.wav", "beat 174.wav") == ["beat", "<tempo>"]


def test_only_the_counting_number_is_no_tempo():
    mates = [f"break_174_{n:02}.wav" for n in range(1, 80)]
    assert tokens("break_174_78.wav", *mates) == ["break", "<tempo>", "<index>"]


def test_a_number_beside_bpm_is_a_tempo_in_any_folder():
    assert tokens("loop 90bpm.wav", "loop 5bpm.wav", "loop 300bpm.wav") == ["loop", "<bpm>"]


def test_a_sound_outside_the_sample_of_its_folder_is_counted():
    mates = pack_mates_of(f"SNARE{n}.wav" for n in range(1, 1_000))
    name = next(f"SNARE{n}.wav" for n in range(60, 200) if f"SNARE{n}.wav" not in mates.names)
    assert tokenise(name, mates.counting(name)) == ["snare", "<index>"]


@pytest.mark.parametrize("n_names", [1, MOST_PACK_MATES, 5 * MOST_PACK_MATES])
def test_the_sample_of_a_folder_depends_only_on_its_names(n_names):
    names = [f"{n} kick.wav" for n in range(n_names)]
    shuffled = random.Random(0).sample(names * 2, 2 * n_names)  # noqa: S311  no secrets
    assert pack_mates_of(shuffled) == pack_mates_of(names)
    assert len(pack_mates_of(names).names) == min(n_names, MOST_PACK_MATES)


def test_names_of_any_characters_are_accepted():
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
def test_pack_mates_do_not_depend_on_the_order_of_names(n_names):
    names = [f"snare {n}.wav" for n in range(n_names)]
    shuffled = random.Random(1).sample(names * 2, 2 * n_names)  # noqa: S311  no secrets
    assert built_of(names) == built_of(shuffled) == pack_mates_of(names)


def test_building_before_the_last_name_changes_nothing():
    builder = PackMatesBuilder()
    for n in range(2_000):
        builder.add(f"{n}.wav")
        if n % 300 == 0:
            builder.build()
    assert builder.build() == pack_mates_of(f"{n}.wav" for n in range(2_000))


def test_only_a_bounded_number_of_names_is_kept():
    builder = PackMatesBuilder()
    most = 0
    for n in range(20_000):
        builder.add(f"{n}.wav")
        most = max(most, len(builder._names))
    assert most < pack_mates._MOST_HELD


def test_a_folder_without_names_has_no_mates_and_an_empty_name_is_one():
    assert pack_mates_of([]).names == ()
    assert pack_mates_of([""]).names == ("",)
