"""Labelled names that nobody's vendor gave, made from `naming`: prior knowledge as rows.

A generated sound has a name in one of many vendors' styles and a header that such a file could
have: a loop lasts its bars at its tempo, sizes follow from rate, channels and depth, and some have
no header at all. They teach, and never count as tested rows.

What is not here: the words and patterns (`naming`), how the rows are weighted (`prior`).
"""

import re
import string
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

from classifier.filenames import HIGHEST_TEMPO_BPM, LOWEST_TEMPO_BPM, tokenise
from classifier.headers import AudioHeader
from classifier.labels import CATEGORIES
from training.dataset import LabelledSounds
from training.naming import CategoryNaming, Naming

_T = TypeVar("_T")

#: The vendor of every generated row: no vendor's data.
GENERATED_VENDOR: Final = "(generated)"

#: Share of generated sounds without any header, as a table of bare names has them.
HEADERLESS_SHARE: Final = 0.25

#: Share of sung phrases made of `lyrics` drawn in a row, not of the list of phrases.
_LYRICS_SHARE: Final = 0.7

#: Whose words name the elements of kits and stems; most elements are drums.
_LENDERS: Final = ("drum", "drum", "bass", "synth", "instruments", "vocal", "effects")

_ROOTS: Final = ("A", "A#", "Bb", "B", "C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "G", "G#")
_NOTES: Final = ("A", "As", "A#", "B", "C", "Cs", "C#", "D", "Ds", "Eb", "E", "F", "Fs", "G", "Gs")
_CONSONANTS: Final = "bcdfghjklmnprstvwz"
_VOWELS: Final = "aeiou"
#: libsndfile subtype, its bytes per sample (lossy: about what such files take), file extension.
_FORMATS: Final = (
    ("PCM_16", 2.0, "wav"), ("PCM_16", 2.0, "wav"), ("PCM_24", 3.0, "wav"), ("PCM_24", 3.0, "wav"),
    ("FLOAT", 4.0, "wav"), ("PCM_16", 2.0, "aif"), ("PCM_16", 1.2, "flac"),
    ("MPEG_LAYER_III", 0.25, "mp3"), ("VORBIS", 0.2, "ogg"),
)  # fmt: skip
_RATES_HZ: Final = (44_100, 44_100, 44_100, 44_100, 48_000, 48_000, 96_000, 22_050)
_HEADER_BYTES: Final = 44
_MOST_DRAWS_A_NAME: Final = 20
_OPTIONAL = re.compile(r"\[([^][]*)\]")
_PARTS = re.compile(r"(\{\w+\}| )")


def generate_sounds(naming: Naming, of_each: int, *, seed: int) -> LabelledSounds:
    """Make sounds of all twelve categories; the same seed gives the same sounds.

    Parameters
    ----------
    naming : Naming
    of_each : int
        Sounds of each category, each with tokens of its own. A naming too small for that many
        gives fewer.
    seed : int

    Returns
    -------
    LabelledSounds
        Shuffled, so that any slice is about balanced; all of the vendor `GENERATED_VENDOR`.
    """
    maker = _Maker(naming, np.random.default_rng(seed))
    made: list[tuple[str, AudioHeader, str]] = []
    for category in CATEGORIES:
        distinct: set[tuple[str, ...]] = set()
        for _ in range(_MOST_DRAWS_A_NAME * of_each):
            if len(distinct) == of_each:
                break
            name, header = maker.sound(category)
            tokens = tuple(tokenise(name))
            if tokens not in distinct:
                distinct.add(tokens)
                made.append((name, header, category))
    order = maker.rng.permutation(len(made))
    rows = [made[row] for row in order]
    return LabelledSounds.from_rows(
        [name for name, _, _ in rows],
        [header for _, header, _ in rows],
        [category for _, _, category in rows],
        [GENERATED_VENDOR] * len(rows),
    )


class _Maker:
    """Draws names and headers; everything random comes from one generator."""

    def __init__(self, naming: Naming, rng: np.random.Generator) -> None:
        self.rng = rng
        self._naming = naming
        self._weights = {
            name: np.array([weight for _, weight in category.patterns])
            for name, category in naming.categories.items()
        }

    def sound(self, category: str) -> tuple[str, AudioHeader]:
        rng, own = self.rng, self._naming.categories[category]
        # Most music is made between these; the bounds of a tempo token are wider.
        bpm = int(np.clip(rng.normal(125, 25), LOWEST_TEMPO_BPM, HIGHEST_TEMPO_BPM))
        weights = self._weights[category]
        pattern = own.patterns[rng.choice(len(weights), p=weights / weights.sum())][0]
        pattern = _OPTIONAL.sub(lambda part: part[1] if rng.random() < 0.5 else "", pattern)
        separator = self._pick(self._naming.separators)
        case = self._pick((str.lower, str.lower, str.title, str.title, str.upper))
        if separator == "":
            case = str.title  # else nothing would tell the words apart
        parts = [self._part(part, own, bpm) for part in _PARTS.split(" ".join(pattern.split()))]
        written = "".join(case(text) if is_words else text for text, is_words in parts).strip()
        # Two numbers are never written as one.
        written = re.sub(r"(?<=\d) +(?=\d)", separator or "_", written)
        stem = re.sub(" +", separator, written)
        subtype, bytes_per_sample, extension = self._pick(_FORMATS)
        header = self._header(own, bpm, subtype, bytes_per_sample)
        return f"{stem}.{extension}", header

    def _part(self, part: str, own: CategoryNaming, bpm: int) -> tuple[str, bool]:
        """Return the text of a part of a pattern, and whether it is words, to be cased."""
        field = part[1:-1] if part.startswith("{") else None
        if field is None:
            return part, True
        if field == "phrase" and self.rng.random() < _LYRICS_SHARE:
            lyrics = self._naming.lists["lyric"]
            return " ".join(self._pick(lyrics) for _ in range(self.rng.integers(1, 6))), True
        if field in self._naming.lists:
            return self._pick(self._naming.lists[field]), True
        if field == "word":
            return self._word(own), True
        if field == "element":
            return self._pick(self._naming.categories[self._pick(_LENDERS)].heads), True
        if field == "name":
            return self._invented(), True
        return self._figure(field, own, bpm), False

    def _figure(self, field: str, own: CategoryNaming, bpm: int) -> str:
        """Return an abbreviation, a number or a pitch: what keeps its case."""
        rng = self.rng
        if field == "short":
            return self._pick(own.short)
        if field == "code":
            return self._code()
        if field == "bpm":
            return self._pick(self._naming.tempos).format(bpm)
        if field == "key":
            return self._pick(self._naming.keys).format(self._pick(_ROOTS))
        if field == "root":
            return self._pick(_ROOTS)
        if field == "note":
            note = f"{self._pick(_NOTES)}{rng.integers(0, 8)}"
            return note.lower() if rng.random() < 0.2 else note
        if field == "index":
            return f"{rng.integers(1, 50):0{self._pick((1, 1, 2, 2, 3))}}"
        return str(rng.integers(60, 10_000))  # {number}

    def _word(self, own: CategoryNaming) -> str:
        drawn = self.rng.random()
        word = self._pick(own.heads)
        if 0.6 <= drawn < 0.92:
            word = f"{self._pick(own.qualifiers)} {word}"
        elif drawn >= 0.92:
            word = f"{word} {self._pick(own.qualifiers)}"
        # Written as one word now and then: leadguitar, openhat.
        return word.replace(" ", "") if self.rng.random() < 0.15 else word

    def _code(self) -> str:
        """Return a vendor's code: capitals, perhaps of vendor and pack, or with a volume."""
        letters = list(string.ascii_uppercase)
        code = "".join(self.rng.choice(letters, self.rng.integers(2, 7)))
        drawn = self.rng.random()
        if drawn < 0.2:
            return f"{code} {''.join(self.rng.choice(letters, self.rng.integers(2, 5)))}"
        if drawn < 0.35:
            return f"{code}{self.rng.integers(1, 10)}"
        return code if drawn < 0.8 else code.title()

    def _invented(self) -> str:
        """Return a name of an artist, a pack or a sound, as good as any: often in no list."""
        if self.rng.random() < 0.3:
            return self._pick(self._naming.lists["descriptor"])
        syllables = [
            self._pick(_CONSONANTS) + self._pick(_VOWELS) for _ in range(self.rng.integers(1, 4))
        ]
        syllables.append(self._pick(("", *_CONSONANTS)))
        return "".join(syllables)

    def _header(
        self, own: CategoryNaming, bpm: int, subtype: str, bytes_per_sample: float
    ) -> AudioHeader:
        rng = self.rng
        if own.bars:
            seconds = self._pick(own.bars) * 4 * 60 / bpm
        else:
            least, most = own.duration_seconds or (0.1, 10.0)
            seconds = float(np.exp(rng.uniform(np.log(least), np.log(most))))
        rate_hz, channels = self._pick(_RATES_HZ), int(rng.integers(1, 3))
        if rng.random() < HEADERLESS_SHARE:
            return AudioHeader(None, None, None, None, None, None)
        frames = max(1, round(seconds * rate_hz))
        size = _HEADER_BYTES + int(frames * channels * bytes_per_sample)
        return AudioHeader(size, frames / rate_hz, rate_hz, channels, frames, subtype)

    def _pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self.rng.integers(len(choices)))]
