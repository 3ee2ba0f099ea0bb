"""Words of Cyrillic, Japanese, Chinese and Korean names, as English ones."""

import tomllib
from importlib.resources import files

import pytest

from classifier.names.cleaning import clean_name
from classifier.names.tokens import tokenise


@pytest.mark.parametrize(
    ("file_name", "tokens"),
    [
        ("Кик 01.wav", ["kick", "<index>"]),
        ("КИКИ.wav", ["kick"]),
        ("Закрытый хай-хэт.wav", ["closed", "hi", "hat"]),
        ("Басовая петля 124 бпм.wav", ["bass", "loop", "<bpm>"]),
        ("Драмлуп.wav", ["drum", "loop"]),
        ("キック.wav", ["kick"]),
        ("ｷｯｸ 3.wav", ["kick", "<index>"]),
        ("ﾄﾞﾗﾑﾙｰﾌﾟ_120.wav", ["drum", "loop", "<tempo>"]),
        ("スネアー.wav", ["snare"]),
        ("女性ボーカル.wav", ["female", "vocal"]),
        ("効果音.wav", ["fx"]),
        ("底鼓.wav", ["kick"]),
        ("軍鼓.wav", ["snare"]),
        ("军鼓.wav", ["snare"]),
        ("合成器循环 90bpm.wav", ["synth", "loop", "<bpm>"]),
        ("킥 드럼.wav", ["kick", "drum"]),
        ("스네어루프.wav", ["snare", "loop"]),
        ("\u041aick 01.wav", ["kick", "<index>"]),
        ("Бас \u04211.wav", ["bass", "<note>"]),
        ("\u110f\u1175\u11a8.wav", ["kick"]),
    ],
)
def test_known_words_of_other_scripts_become_english_ones(file_name, tokens):
    assert tokenise(file_name) == tokens


@pytest.mark.parametrize("word", ["スライド", "드림", "самбо", "コーヒー", "夜"])
def test_a_word_that_only_contains_a_known_word_stays(word):
    assert clean_name(f"{word}.wav") == word


def test_every_word_of_the_table_is_found():
    text = files("classifier.names").joinpath("other_scripts.toml").read_text(encoding="utf-8")
    missed = [
        (word, english)
        for table in tomllib.loads(text).values()
        for english, words in table.items()
        for word in words
        if clean_name(f"{word}.wav").split() != english.split()
    ]
    assert missed == []
