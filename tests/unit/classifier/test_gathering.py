"""The names of a folder, gathered one by one: the same mates, however they come."""

import random

import pytest

from classifier.names import gathering
from classifier.names.gathering import Gathering
from classifier.names.pack_mates import MOST_MATES, mates_of


@pytest.mark.parametrize("n_names", [1, MOST_MATES, 8 * MOST_MATES, 5_000])
def test_mates_are_those_of_all_names_whatever_order_they_come_in(n_names):
    names = [f"snare {n}.wav" for n in range(n_names)]
    shuffled = random.Random(1).sample(names * 2, 2 * n_names)  # noqa: S311  no secrets
    assert Gathering(names).mates() == Gathering(shuffled).mates() == mates_of(names)


def test_asking_for_mates_midway_changes_nothing():
    gathered = Gathering()
    for n in range(2_000):
        gathered.add(f"{n}.wav")
        if n % 300 == 0:
            gathered.mates()
    assert gathered.mates() == mates_of(f"{n}.wav" for n in range(2_000))


def test_of_many_names_few_are_held():
    gathered = Gathering()
    most = 0
    for n in range(20_000):
        gathered.add(f"{n}.wav")
        most = max(most, len(gathered._names))
    assert most < gathering._MOST_HELD


def test_nothing_gathered_is_false_and_a_nameless_sound_is_something():
    assert not Gathering()
    assert Gathering([""])


def test_names_of_any_characters_are_gathered():
    names = ["", "\udcff\x00.wav", "\U0010ffff", "٣٤.wav", "\N{RIGHT-TO-LEFT OVERRIDE}wav.exe"]
    assert set(Gathering(names).mates().names) == set(names)
