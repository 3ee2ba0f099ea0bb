"""Write the file of words that indicate a category: ``python -m training.prior.word_list``.

Maintainers run this after a change of ``naming.toml``. The words for a category's sounds there
become evidence for the category, except `unspecific` words. Words inside an unspecific phrase do
not count either: a vocal memo is not a vocal. `classifier.names.sound_words` reads the file.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Final

from classifier.names.sound_words import LONGEST_ABBREVIATION, WORD_LIST_FILE
from classifier.names.tokens import tokenise
from training.prior.naming import Naming, load_naming

#: Shortest word. A single letter is as often a note, a channel, a side or a version as a sound.
_SHORTEST: Final = 2

#: Pairs of one-shot and loop categories, which use the same words; tempo and duration decide.
_PAIRS: Final = (
    ("bass", "bass-loop"), ("drum", "drum-loop"), ("synth", "synth-loop"),
    ("instruments", "instrumental-loops"),
)  # fmt: skip

#: Names of drum machines (808) are also evidence for these; the machines were made for drums.
_OF_MACHINES: Final = ("drum", "drum-loop")

_HEADER: Final = """\
# Words and phrases that indicate categories. Generated from training/prior/naming.toml by
# `python -m training.prior.word_list`: edit naming.toml, not this file.
"""


def main() -> None:
    """Write the file into the package `classifier.names`."""
    path = str(resources.files("classifier.names").joinpath(WORD_LIST_FILE))
    with open(path, "w", encoding="utf-8") as file:
        file.write(word_list_text(load_naming()))


def word_list_text(naming: Naming) -> str:
    """Return the file's text: words and phrases by set of categories, then abbreviations."""
    words: dict[str, set[str]] = defaultdict(set)
    words.update((phrase, set()) for phrase in naming.unspecific if " " in phrase)
    short: dict[str, set[str]] = defaultdict(set)
    machines = set(_read(naming.lists["machine"], naming))
    for name, category in naming.categories.items():
        for word in _read(category.heads + category.rare, naming):
            words[word].update((name, *(_OF_MACHINES if word in machines else ())))
        for word in _read(category.short, naming):
            (short if len(word) <= LONGEST_ABBREVIATION else words)[word].add(name)
    abbreviations = {word: short[word] for word in short.keys() - words.keys()}
    return "\n".join(
        [_HEADER, "[words]", *_lines(words), "", "[abbreviations]", *_lines(abbreviations), ""]
    )


def _read(phrases: Iterable[str], naming: Naming) -> Iterator[str]:
    """Yield the tokens of each phrase, separated by spaces and joined to one word.

    Phrases with special tokens (such as numbers) and unspecific phrases are skipped.
    """
    for phrase in phrases:
        tokens = tokenise(phrase)
        if any(token.startswith("<") for token in tokens) or " ".join(tokens) in naming.unspecific:
            continue
        yield from (text for text in (" ".join(tokens), "".join(tokens)) if len(text) >= _SHORTEST)


def _lines(categories_of: Mapping[str, set[str]]) -> Iterator[str]:
    by_categories: dict[str, list[str]] = defaultdict(list)
    for word in sorted(categories_of):
        names = set(categories_of[word])
        names.update(*(pair for pair in _PAIRS if names & set(pair)))
        by_categories[" ".join(sorted(names))].append(word)
    for categories in sorted(by_categories):
        yield f'"{categories}" = """'
        yield from textwrap.wrap(", ".join(by_categories[categories]), 100)
        yield '"""'


if __name__ == "__main__":
    main()
