"""Generate labelled names from `naming`: prior knowledge as training rows of no real vendor.

A generated sound has a name in the style of some vendor and a plausible header: a loop lasts its
bars at its tempo, and the file size follows from rate, channels and depth. Some sounds have no
header. The sounds of a generated folder share a style (code, separator, tempo); often only their
numbers differ. Generated sounds are learned and never tested.
"""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

import numpy as np

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.names.tokens import HIGHEST_TEMPO_BPM, LOWEST_TEMPO_BPM, tokenise
from training.data.dataset import LabelledSounds
from training.prior.naming import CategoryNaming, Naming

_T = TypeVar("_T")

#: The vendor of every generated row.
GENERATED_VENDOR: Final = "(generated)"

#: Share of folders whose generated sounds have no header, as in a table of bare names.
HEADERLESS_SHARE: Final = 0.25

#: Share of sung phrases composed of random `lyrics`; the others come from the list of phrases.
_LYRICS_SHARE: Final = 0.7

#: Share of words drawn from a category's rare words.
_RARE_SHARE: Final = 0.25

#: Share of words with a typing error (*sanre*, *snre*), which a model can still read by subwords.
_SLIPS_SHARE: Final = 0.03

#: Sounds per folder; a size that is listed more often is more likely.
_FOLDER_SIZES: Final = (1, 1, 1, 1, 2, 3, 4, 6, 8, 12, 16, 24, 40)

#: Share of folders that hold several categories.
_MIXED_SHARE: Final = 0.2

#: Probability that all sounds of a folder share the value of a field.
_SHARED_FIELDS: Final = {
    "code": 1.0, "bpm": 0.6, "key": 0.3, "root": 0.2, "name": 0.5, "word": 0.4, "short": 0.5,
    "machine": 0.7, "dynamic": 0.1, "articulation": 0.5,
}  # fmt: skip

#: Categories whose words name the elements of kits and stems; most elements are drums.
_LENDERS: Final = ("drum", "drum", "bass", "synth", "instruments", "vocal", "effects")

_ROOTS: Final = ("A", "A#", "Bb", "B", "C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "G", "G#")
_NOTES: Final = ("A", "As", "A#", "B", "C", "Cs", "C#", "D", "Ds", "Eb", "E", "F", "Fs", "G", "Gs")
_CONSONANTS: Final = "bcdfghjklmnprstvwz"
_VOWELS: Final = "aeiou"
#: libsndfile subtype, bytes per sample (approximate for compressed formats), file extension.
_FORMATS: Final = (
    ("PCM_16", 2.0, "wav"), ("PCM_16", 2.0, "wav"), ("PCM_24", 3.0, "wav"), ("PCM_24", 3.0, "wav"),
    ("FLOAT", 4.0, "wav"), ("PCM_16", 2.0, "aif"), ("PCM_16", 1.2, "flac"),
    ("MPEG_LAYER_III", 0.25, "mp3"), ("VORBIS", 0.2, "ogg"),
)  # fmt: skip
_RATES_HZ: Final = (44_100, 44_100, 44_100, 44_100, 48_000, 48_000, 96_000, 22_050)
#: Fields whose case is not changed to the folder's style.
_CASED_FIELDS: Final = frozenset({"short", "code", "key", "root", "note", "number"})
_HEADER_BYTES: Final = 44
_MOST_DRAWS_A_NAME: Final = 20
_OPTIONAL = re.compile(r"\[([^][]*)\]")
_PARTS = re.compile(r"(\{\w+\}| )")


def generate_sounds(naming: Naming, of_each: int, *, seed: int) -> LabelledSounds:
    """Generate unrelated sounds of all twelve categories; the same seed gives the same sounds.

    There are `of_each` sounds of each category, or fewer if the naming is too small. Within a
    category, all have different tokens. The sounds are shuffled, so that any slice is about
    balanced. Each sound has its own folder; the vendor is always `GENERATED_VENDOR`.
    """
    generator = _Generator(naming, np.random.default_rng(seed))
    generated: list[_GeneratedSound] = []
    for category in CATEGORIES:
        distinct: set[tuple[str, ...]] = set()
        for _ in range(_MOST_DRAWS_A_NAME * of_each):
            if len(distinct) == of_each:
                break
            sound = generator.sound(category, _Folder(generator))
            tokens = tuple(tokenise(sound.name))
            if tokens not in distinct:
                distinct.add(tokens)
                generated.append(sound)
    order = generator.rng.permutation(len(generated))
    return _labelled([generated[row] for row in order], list(range(len(generated))))


def generate_folders(naming: Naming, of_each: int, *, seed: int) -> LabelledSounds:
    """Generate folders of sounds, each with one naming style; the same seed gives the same folders.

    Most folders contain one category, some several; many contain a single sound. There are at least
    `of_each` sounds of each category, ordered by folder. The vendor is always `GENERATED_VENDOR`.
    """
    generator = _Generator(naming, np.random.default_rng(seed))
    generated: list[_GeneratedSound] = []
    folders: list[int] = []
    counts = dict.fromkeys(CATEGORIES, 0)
    while unfinished := [category for category in CATEGORIES if counts[category] < of_each]:
        categories = [generator.pick(unfinished)]
        if generator.rng.random() < _MIXED_SHARE:
            categories += [generator.pick(CATEGORIES) for _ in range(generator.rng.integers(1, 5))]
        folder, number = _Folder(generator, shared=_SHARED_FIELDS), len(folders)
        for _ in range(generator.pick(_FOLDER_SIZES)):
            category = generator.pick(categories)
            generated.append(generator.sound(category, folder))
            folders.append(number)
            counts[category] += 1
    return _labelled(generated, folders)


class _GeneratedSound(NamedTuple):
    name: str
    header: AudioHeader
    category: str


def _labelled(generated: Sequence[_GeneratedSound], folders: Sequence[int]) -> LabelledSounds:
    names, headers, categories = zip(*generated, strict=True)
    return LabelledSounds.from_rows(
        names,
        headers,
        categories,
        [GENERATED_VENDOR] * len(generated),
        folders=[f"{GENERATED_VENDOR}/{folder}" for folder in folders],
    )


class _Folder:
    """The style that the names and headers of one folder share.

    `shared` maps pattern fields to the probability that all sounds of the folder share their value.
    """

    def __init__(
        self, generator: "_Generator", shared: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        rng = generator.rng
        self._generator = generator
        self._shared = {field for field, share in shared.items() if rng.random() < share}
        self._drawn: dict[tuple[str, str], str] = {}
        self._patterns: dict[str, str] = {}
        self.separator = generator.pick(generator.naming.separators)
        # Without a separator, capitals must mark the words.
        cases = (str.lower, str.lower, str.title, str.title, str.upper)
        self.case = str.title if self.separator == "" else generator.pick(cases)
        self.tempo = generator.pick(generator.naming.tempos)
        self.key = generator.pick(generator.naming.keys)
        self.subtype, self.bytes_per_sample, self.extension = generator.pick(_FORMATS)
        self.rate_hz, self.channels = generator.pick(_RATES_HZ), int(rng.integers(1, 3))
        self.has_header = rng.random() >= HEADERLESS_SHARE
        self.index = int(rng.integers(1, 50))
        self.index_width = generator.pick((1, 1, 2, 2, 3))
        self._bpm = generator.bpm()

    def bpm(self) -> int:
        """Return the tempo of the next sound, in beats per minute."""
        return self._bpm if "bpm" in self._shared else self._generator.bpm()

    def pattern(self, category: str) -> str:
        """Return the folder's name pattern for a category, with optional parts kept or removed."""
        if category not in self._patterns or not self._shared:
            self._patterns[category] = self._generator.pattern(category)
        return self._patterns[category]

    def drawn(self, category: str, field: str, draw: Callable[[], str]) -> str:
        """Return the text of a field: the folder's shared value, or a new draw."""
        if field not in self._shared:
            return draw()
        return self._drawn.setdefault((category, field), draw())


class _Generator:
    """Draws names and headers from a single random generator."""

    def __init__(self, naming: Naming, rng: np.random.Generator) -> None:
        self.rng = rng
        self.naming = naming
        self._weights = {
            name: np.array([weight for _, weight in category.patterns])
            for name, category in naming.categories.items()
        }

    def bpm(self) -> int:
        """Draw a common tempo, clipped to the range that the tokeniser accepts as a tempo."""
        return int(np.clip(self.rng.normal(125, 25), LOWEST_TEMPO_BPM, HIGHEST_TEMPO_BPM))

    def pattern(self, category: str) -> str:
        weights = self._weights[category]
        patterns = self.naming.categories[category].patterns
        pattern = patterns[self.rng.choice(len(weights), p=weights / weights.sum())][0]
        return _OPTIONAL.sub(lambda part: part[1] if self.rng.random() < 0.5 else "", pattern)

    def sound(self, category: str, folder: _Folder) -> _GeneratedSound:
        own = self.naming.categories[category]
        bpm = folder.bpm()
        parts = [
            self._part(part, category, folder, bpm)
            for part in _PARTS.split(" ".join(folder.pattern(category).split()))
        ]
        written = "".join(folder.case(text) if is_words else text for text, is_words in parts)
        # Keep a separator between two numbers, so that they do not merge into one.
        written = re.sub(r"(?<=\d) +(?=\d)", folder.separator or "_", written.strip())
        stem = re.sub(" +", folder.separator, written)
        folder.index += 1
        return _GeneratedSound(
            f"{stem}.{folder.extension}", self._header(own, bpm, folder), category
        )

    def _part(self, part: str, category: str, folder: _Folder, bpm: int) -> tuple[str, bool]:
        """Return the text of a part of a pattern, and whether its case should be changed."""
        field = part[1:-1] if part.startswith("{") else None
        if field is None:
            return part, True
        if field == "bpm":
            return folder.tempo.format(bpm), False
        if field == "index":
            return f"{folder.index:0{folder.index_width}}", False
        # These are shared across the categories of a folder, such as a kit's name.
        owner = "" if field in ("code", "name", "machine", "key") else category
        text = folder.drawn(owner, field, lambda: self._drawn(field, category, folder))
        return text, field not in _CASED_FIELDS

    def _drawn(self, field: str, category: str, folder: _Folder) -> str:
        rng, own, lists = self.rng, self.naming.categories[category], self.naming.lists
        if field == "phrase" and rng.random() < _LYRICS_SHARE:
            return " ".join(self.pick(lists["lyric"]) for _ in range(rng.integers(1, 6)))
        if field in lists:
            return self.pick(lists[field])
        draw: dict[str, Callable[[], str]] = {
            "word": lambda: self._word(own),
            "element": lambda: self.pick(self.naming.categories[self.pick(_LENDERS)].heads),
            "name": self._invented,
            "short": lambda: self.pick(own.short),
            "code": self._code,
            "key": lambda: folder.key.format(self.pick(_ROOTS)),
            "root": lambda: self.pick(_ROOTS),
            "note": self._note,
            "number": lambda: str(rng.integers(60, 10_000)),
        }
        return draw[field]()

    def _note(self) -> str:
        note = f"{self.pick(_NOTES)}{self.rng.integers(0, 8)}"
        return note.lower() if self.rng.random() < 0.2 else note

    def _word(self, own: CategoryNaming) -> str:
        drawn = self.rng.random()
        word = self.pick(own.rare if self.rng.random() < _RARE_SHARE else own.heads)
        if 0.6 <= drawn < 0.92:
            word = f"{self.pick(own.qualifiers)} {word}"
        elif drawn >= 0.92:
            word = f"{word} {self.pick(own.qualifiers)}"
        # Sometimes two words are written as one: leadguitar, openhat.
        word = word.replace(" ", "") if self.rng.random() < 0.15 else word
        return self._slipped(word) if self.rng.random() < _SLIPS_SHARE else word

    def _slipped(self, word: str) -> str:
        """Return a word with two letters swapped or one removed; the first letter is kept."""
        if len(word) < 4:
            return word
        place = int(self.rng.integers(1, len(word) - 1))
        if self.rng.random() < 0.5:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        return word[:place] + word[place + 1 :]

    def _code(self) -> str:
        """Return a vendor's code, optionally followed by a pack's code or a volume number."""
        letters = list(string.ascii_uppercase)
        code = "".join(self.rng.choice(letters, self.rng.integers(2, 7)))
        drawn = self.rng.random()
        if drawn < 0.2:
            return f"{code} {''.join(self.rng.choice(letters, self.rng.integers(2, 5)))}"
        if drawn < 0.35:
            return f"{code}{self.rng.integers(1, 10)}"
        return code if drawn < 0.8 else code.title()

    def _invented(self) -> str:
        """Return a descriptor, or an invented name as of an artist, a pack or a sound."""
        if self.rng.random() < 0.3:
            return self.pick(self.naming.lists["descriptor"])
        syllables = [
            self.pick(_CONSONANTS) + self.pick(_VOWELS) for _ in range(self.rng.integers(1, 4))
        ]
        syllables.append(self.pick(("", *_CONSONANTS)))
        return "".join(syllables)

    def _header(self, own: CategoryNaming, bpm: int, folder: _Folder) -> AudioHeader:
        rng = self.rng
        if own.bars:
            seconds = self.pick(own.bars) * 4 * 60 / bpm
        else:
            least, most = own.duration_seconds or (0.1, 10.0)
            seconds = float(np.exp(rng.uniform(np.log(least), np.log(most))))
        if not folder.has_header:
            return AudioHeader(None, None, None, None, None, None)
        frames = max(1, round(seconds * folder.rate_hz))
        size = _HEADER_BYTES + int(frames * folder.channels * folder.bytes_per_sample)
        return AudioHeader(
            size, frames / folder.rate_hz, folder.rate_hz, folder.channels, frames, folder.subtype
        )

    def pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self.rng.integers(len(choices)))]
