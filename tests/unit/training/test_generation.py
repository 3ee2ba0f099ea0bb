"""Generated sounds: of all categories, in words that are written down, with likely headers."""

import re

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.categories import CATEGORIES, category_index
from classifier.model.header_features import HEADER_COLUMNS
from classifier.names.tokens import tokenise
from training.prior.generation import (
    GENERATED_VENDOR,
    HEADERLESS_SHARE,
    generate_folders,
    generate_sounds,
)
from training.prior.naming import load_naming

OF_EACH = 120
#: The one way of writing a tempo that no neighbouring number can be mistaken for.
TEMPO = re.compile(r"Bpm(\d{2,3})(?!\d)")


@pytest.fixture(scope="module")
def sounds():
    return generate_sounds(load_naming(), OF_EACH, seed=1)


def of(sounds, category):
    return sounds.take(np.flatnonzero(sounds.category_indices == category_index(category)))


def test_the_same_seed_gives_the_same_sounds(sounds):
    again = generate_sounds(load_naming(), OF_EACH, seed=1)
    assert again.names.tolist() == sounds.names.tolist()
    np.testing.assert_array_equal(again.headers, sounds.headers)


def test_another_seed_gives_other_sounds(sounds):
    other = generate_sounds(load_naming(), OF_EACH, seed=2)
    assert len(set(other.names) & set(sounds.names)) < len(sounds) / 10


def test_every_category_has_the_requested_number_of_sounds(sounds):
    counts = np.bincount(sounds.category_indices, minlength=len(CATEGORIES))
    assert counts.tolist() == [OF_EACH] * len(CATEGORIES)


def test_no_two_sounds_of_a_category_have_the_same_tokens(sounds):
    for category in CATEGORIES:
        tokens = [tuple(tokenise(name)) for name in of(sounds, category).names]
        assert len(set(tokens)) == len(tokens)


def test_generated_sounds_have_no_vendor(sounds):
    assert set(sounds.vendors) == {GENERATED_VENDOR}


@pytest.mark.parametrize("category", CATEGORIES)
def test_most_names_contain_a_word_of_their_category(sounds, category):
    naming = load_naming()
    own = naming.categories[category]
    known = {
        token
        for text in (
            *own.heads,
            *own.rare,
            *own.qualifiers,
            *own.short,
            *naming.lists["lyric"],
            "stem",
            "midi",
        )
        for token in (*tokenise(text), text.replace(" ", ""))
    } | {"kit", "melodic", "<note>"}
    names = of(sounds, category).names
    knowing = [
        bool({t.rstrip("s") for t in tokenise(n)} & {k.rstrip("s") for k in known}) for n in names
    ]
    assert np.mean(knowing) > 0.75


@pytest.mark.parametrize("category", ["bass-loop", "drum-loop", "synth-loop", "instrumental-loops"])
def test_a_loop_lasts_whole_bars_at_the_tempo_of_its_name(sounds, category):
    loops = of(sounds, category)
    duration = np.expm1(loops.headers[:, HEADER_COLUMNS.index("log_duration_seconds")])
    tempos = [TEMPO.search(name) for name in loops.names]
    stated = [row for row, tempo in enumerate(tempos) if tempo and not np.isnan(duration[row])]
    assert len(stated) > 3
    bars = [duration[row] * int(tempos[row][1]) / 240 for row in stated]
    np.testing.assert_allclose(bars, np.round(bars), rtol=1e-4)


def test_a_generated_sound_has_a_complete_header_or_none(sounds):
    missing = np.isnan(sounds.headers)
    assert (missing.all(axis=1) == missing.any(axis=1)).all()
    assert abs(missing.all(axis=1).mean() - HEADERLESS_SHARE) < 0.05


def test_a_one_shot_drum_is_shorter_than_a_stem(sounds):
    column = HEADER_COLUMNS.index("log_duration_seconds")
    longest_drum = np.nanmax(of(sounds, "drum").headers[:, column])
    assert longest_drum < np.nanmin(of(sounds, "stems-n-midi").headers[:, column])


def test_a_naming_with_few_words_gives_fewer_sounds_and_ends():
    few = generate_sounds(load_naming(), 1, seed=0)
    assert len(few) == len(CATEGORIES)


@pytest.fixture(scope="module")
def in_folders():
    return generate_folders(load_naming(), OF_EACH, seed=1)


def folders_of(sounds):
    return [sounds.take(np.flatnonzero(sounds.folders == name)) for name in set(sounds.folders)]


def test_every_category_has_at_least_the_requested_number_of_sounds_in_folders(in_folders):
    counts = np.bincount(in_folders.category_indices, minlength=len(CATEGORIES))
    assert counts.min() >= OF_EACH


def test_the_same_seed_gives_the_same_folders(in_folders):
    again = generate_folders(load_naming(), OF_EACH, seed=1)
    assert again.names.tolist() == in_folders.names.tolist()
    assert again.folders.tolist() == in_folders.folders.tolist()


def test_most_folders_contain_one_category_and_some_several(in_folders):
    larger = [folder for folder in folders_of(in_folders) if len(folder) > 2]
    pure = np.mean([len(set(folder.category_indices)) == 1 for folder in larger])
    assert 0.6 < pure < 0.95


def test_the_sounds_of_a_folder_have_one_file_format(in_folders):
    for folder in folders_of(in_folders):
        assert len({name.rpartition(".")[2] for name in folder.names}) == 1
        assert len(set(np.isnan(folder.headers).all(axis=1))) == 1


def test_a_sound_generated_alone_has_no_mates(sounds):
    assert len(set(sounds.folders)) == len(sounds)
