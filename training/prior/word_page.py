"""Write the words that speak for a category: ``python -m training.prior.word_page``.

For maintainers, after a change of ``naming.toml``. What the sounds of a category are called there
is evidence of the category in a name, but for the `unspecific` words. An unspecific phrase hides
the words that it holds: a vocal memo is no vocal.
`classifier.names.sound_words` reads the page that is written here.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Final

from classifier.names.sound_words import LONGEST_ABBREVIATION, PAGE
from classifier.names.tokens import tokenise
from training.prior.naming import Naming, load_naming

#: One letter is a note, a channel, a side or a version as often as a sound.
_SHORTEST: Final = 2

#: Played once or as a loop: the same words, and tempo and duration decide.
_PAIRS: Final = (
    ("bass", "bass-loop"), ("drum", "drum-loop"), ("synth", "synth-loop"),
    ("instruments", "instrumental-loops"),
)  # fmt: skip

#: The number of a machine is in the names of basses, and of what the machine was made for.
_OF_MACHINES: Final = ("drum", "drum-loop")

_HEAD: Final = """\
# The words and phrases that speak for categories, written from training/prior/naming.toml by
# `python -m training.prior.word_page`: change that page, not this one.
"""


def main() -> None:
    """Write the page to where the package looks for it."""
    path = str(resources.files("classifier.names").joinpath(PAGE))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page_of(load_naming()))


def page_of(naming: Naming) -> str:
    """Return the page: the words and phrases of each set of categories, then the abbreviations."""
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
        [_HEAD, "[words]", *_lines(words), "", "[abbreviations]", *_lines(abbreviations), ""]
    )


def _read(phrases: Iterable[str], naming: Naming) -> Iterator[str]:
    """Yield what `tokenise` reads in phrases of plain words, apart and written as one word."""
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
