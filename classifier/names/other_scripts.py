"""Translate sound words in Cyrillic, Japanese, Chinese and Korean into English.

So models do not have to learn them: *кик*, *キック*, *底鼓* and *킥* are kicks. The word list is
``other_scripts.toml``.
"""

import functools
import re
import tomllib
from importlib.resources import files
from typing import Final

_CYRILLIC: Final = "[\u0400-\u052f]+"
_IDEOGRAPHS: Final = "[\u3400-\u4dbf\u4e00-\u9fff\u3005]+"
#: A run of letters of one script; hiragana and katakana are separate words.
_RUN: Final = re.compile(
    f"{_CYRILLIC}|{_IDEOGRAPHS}|[\u3041-\u3096\u30fc]+|[\u30a1-\u30fa\u30fc]+|[\uac00-\ud7a3]+"
)
_IS_CYRILLIC: Final = re.compile(_CYRILLIC)
_IS_IDEOGRAPHS: Final = re.compile(_IDEOGRAPHS)
#: Cyrillic letters that look like Latin ones, typed within a Latin word or as a note.
_LOOK_ALIKES: Final = (
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421"
    "\u0422\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445"
)
_LATIN_LETTERS: Final = str.maketrans(_LOOK_ALIKES, "ABEKMHOPCTXaeopcyx")
_MISTYPED: Final = re.compile(
    f"(?<=[A-Za-z])[{_LOOK_ALIKES}]+(?![\u0400-\u052f])"
    f"|(?<![\u0400-\u052f])(?:[{_LOOK_ALIKES}]+(?=[A-Za-z])|[\u0410\u0412\u0415\u0421](?=[0-9#]))"
)
_WITHOUT_ACCENTS: Final = str.maketrans("йёїў", "иеіу")
#: Endings of Cyrillic words, which change with number and case: *бочка*, *бочки*.
_CYRILLIC_ENDING: Final = "аеиоуыьэюя"
_HIRAGANA: Final = {katakana: katakana - 0x60 for katakana in range(0x30A1, 0x30F7)} | {0x30FC: ""}


def in_latin_letters(name: str) -> str:
    """Return a name with each word of the word list in English.

    Cyrillic, kana and Hangul are translated only if the whole word is known (*ドラムループ*).
    Chinese text, which has no spaces, is also translated in parts.

    >>> in_latin_letters("Кик 01"), in_latin_letters("合成器循环")
    (' kick  01', ' synth  loop ')
    """
    name = _MISTYPED.sub(lambda letters: letters[0].translate(_LATIN_LETTERS), name)
    return _RUN.sub(lambda run: _run_in_latin(run[0]), name)


@functools.lru_cache(maxsize=4096)  # the words of a pack are few
def _run_in_latin(run: str) -> str:
    words, alone, any_word = _table()
    folded = _folded(run)
    if folded in alone:
        return f" {alone[folded]} "
    if _IS_IDEOGRAPHS.match(run) or re.fullmatch(f"(?:{any_word.pattern})++", folded):
        return any_word.sub(lambda word: f" {words[word[0]]} ", folded)
    return run


@functools.cache
def _table() -> tuple[dict[str, str], dict[str, str], re.Pattern[str]]:
    """Return words always translated, words translated only alone, and a pattern of the former."""
    text = files("classifier.names").joinpath("other_scripts.toml").read_text(encoding="utf-8")
    words, alone = (
        {_folded(word): english for english, listed in table.items() for word in listed}
        for table in tomllib.loads(text).values()
    )
    longest_first = sorted(words, key=len, reverse=True)
    return words, alone, re.compile(f"(?>{'|'.join(map(re.escape, longest_first))})")


def _folded(word: str) -> str:
    """Normalise a word for look-up: remove case, endings, the kind of kana and length marks."""
    if _IS_CYRILLIC.match(word):
        word = word.lower().translate(_WITHOUT_ACCENTS)
        return word.rstrip(_CYRILLIC_ENDING) or word
    return word.translate(_HIRAGANA)
