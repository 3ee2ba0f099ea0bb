"""The categories, in whatever spelling a table has them."""

import pytest

from classifier.categories import CATEGORIES, category_named


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Stems N Midi", "stems-n-midi"),
        ("stems_n_midi", "stems-n-midi"),
        ("Stems & MIDI", "stems-n-midi"),
        ("stems and midi", "stems-n-midi"),
        ("Kits & Templates", "kits-n-templates"),
        ("Kits/Templates", "kits-n-templates"),
        ("KitsNTemplates", "kits-n-templates"),
        ("Instrumental Loops", "instrumental-loops"),
        ("instrumental_loop", "instrumental-loops"),
        ("Drum Loops", "drum-loop"),
        ("DRUMS", "drum"),
        (" bass ", "bass"),
        ("Vocals", "vocal"),
        ("FX", None),
        ("bas", None),
        ("drum machine", None),
        ("", None),
        ("&", None),
    ],
)
def test_a_category_is_recognised_in_its_known_spellings_only(text, category):
    assert category_named(text) == category


def test_each_category_is_recognised_by_its_own_name():
    assert [category_named(category) for category in CATEGORIES] == list(CATEGORIES)
