"""Attributes of a sound beside its category: tempo, key, loop or one-shot, instrument.

Each attribute has a source. Sources are tried in this order: the name, the metadata chunks, the
last two folders (if enabled), the duration. Missing or conflicting evidence yields None. Attributes
are not inputs of the model (decision 20).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from classifier.headers.loop_metadata import HIGHEST_TEMPO_BPM, LOWEST_TEMPO_BPM, LoopInfo
from classifier.headers.reader import AudioHeader
from classifier.names.folder_context import FOLDERS_READ
from classifier.names.instruments import Instrument, Pitch, instrument_of, vocabulary
from classifier.names.tempo_and_key import possible_tempos_bpm, stated_key, stated_tempo_bpm
from classifier.names.tokens import name_pieces

#: How far from a whole beat a loop may end, in beats and as a share. Programs cut to the sample;
#: lossy encoders add a frame or two of silence.
_BEATS_OFF: Final = 0.03
_BEATS_ADDED_BY_LOSSY: Final = 0.15
_SHARE_OFF: Final = 0.01
_LOSSY: Final = ("MPEG_", "VORBIS", "OPUS")
#: A single beat is not a loop.
_FEWEST_BEATS: Final = 2
_BEATS_OF_A_BAR: Final = 4
#: Length of a bar at 200 BPM; a shorter sound is not a loop of one bar.
_SHORTEST_BAR_SECONDS: Final = 1.2

_ONE_SHOTS: Final = frozenset({"oneshot", "oneshots", "1shot", "1shots"})
_SHOTS: Final = frozenset({"shot", "shots"})
_ONE: Final = "1"
_HITS: Final = frozenset({"hit", "hits"})

_PITCH_CLASSES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_NO_INFO: Final = LoopInfo()


class Source(StrEnum):
    """Where an attribute was found."""

    NAME = "name"
    HEADER = "header"
    FOLDER = "folder"
    DURATION = "duration"


class Playback(StrEnum):
    """How a sound is meant to be played: repeatedly in time, or once."""

    LOOP = "loop"
    ONE_SHOT = "one-shot"


@dataclass(slots=True)  # not frozen: creation, once per sound, would take three times as long
class Attributes:
    """The attributes of one sound; a value and its source are None together.

    `musical_key` is a key (``F# minor``), a root without mode (``Eb``), or the note of a one-shot
    with the octave that the name states (``C4``). Roots from a header have no octave: programs
    disagree about which C is C4. `instrument` is a name from ``instruments.toml``.
    """

    tempo_bpm: float | None = None
    tempo_source: Source | None = None
    musical_key: str | None = None
    key_source: Source | None = None
    playback: Playback | None = None
    playback_source: Source | None = None
    instrument: str | None = None
    instrument_source: Source | None = None


class _FolderAttributes(NamedTuple):
    """Attributes that folder names state."""

    instrument: Instrument | None = None
    tempo_bpm: float | None = None
    musical_key: str | None = None
    playback: Playback | None = None


_NO_FOLDERS: Final = _FolderAttributes()


def attributes_of(
    name: str, header: AudioHeader, folders: Sequence[str] = (), *, folder_words: bool = False
) -> Attributes:
    """Return the attributes of a sound from its name, its header and, if enabled, its folders.

    - `folders`: those above the sound, the outermost first; the last two are read.
    - `folder_words`: whether folders are evidence.

    >>> unknown = AudioHeader(None, None, None, None, None, None)
    >>> sound = attributes_of("bass_loop_120_Am.wav", unknown)
    >>> sound.tempo_bpm, sound.musical_key, str(sound.playback), sound.instrument
    (120.0, 'A minor', 'loop', 'bass')
    """
    folder = _folder_attributes(tuple(folders[-FOLDERS_READ:])) if folder_words else _NO_FOLDERS
    info = header.loop_info or _NO_INFO
    words = _words(name)
    instrument, instrument_source = _instrument(words, info, folder)
    tempo_bpm, tempo_source = _tempo(name, words, header, info, folder)
    pitch = Pitch.NOTE if instrument is None else instrument.pitch
    key, key_source = _key(name, info, folder, pitch, has_tempo=tempo_source is Source.NAME)
    playback, playback_source = _playback(words, header, info, folder, tempo_bpm, tempo_source)
    return Attributes(
        tempo_bpm=tempo_bpm,
        tempo_source=tempo_source,
        musical_key=key,
        key_source=key_source,
        playback=playback,
        playback_source=playback_source,
        instrument=None if instrument is None else instrument.name,
        instrument_source=instrument_source,
    )


@functools.lru_cache(maxsize=1024)  # once for all files of a folder
def _folder_attributes(folders: tuple[str, ...]) -> _FolderAttributes:
    """Return each attribute from the innermost folder that states it."""
    if not folders:
        return _NO_FOLDERS
    *outer_folders, folder = folders
    words = _words(folder)
    outer = _folder_attributes(tuple(outer_folders))
    playback = _stated_playback(words)
    tempo_bpm = stated_tempo_bpm(folder)
    return _FolderAttributes(
        _instrument_of(words) or outer.instrument,
        outer.tempo_bpm if tempo_bpm is None else tempo_bpm,
        # A folder's key needs a mode: `A`, `B` and `C4` number folders.
        stated_key(folder, pitch=Pitch.NONE) or outer.musical_key,
        outer.playback if playback is None else playback,
    )


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a name, equal for all files of a series: `Kick 01`, `Kick 02`."""
    return tuple(map(_word, name_pieces(text)))


@functools.lru_cache(maxsize=8192)
def _word(piece: str) -> str:
    word = piece.lower()
    # The place of a number may matter; its value matters only in phrases of the vocabulary.
    return "0" if word.isdecimal() and word not in _known_numbers() else word


@functools.cache
def _known_numbers() -> frozenset[str]:
    phrases = [phrase for entry in vocabulary().values() for phrase in entry.words + entry.short]
    return frozenset(word for phrase in phrases for word in phrase.split()) | {_ONE}


def _instrument(
    words: tuple[str, ...], info: LoopInfo, folder: _FolderAttributes
) -> tuple[Instrument | None, Source | None]:
    if (instrument := _instrument_of(words)) is not None:
        return instrument, Source.NAME
    for text in (info.title, info.key_words):
        if text and (instrument := _instrument_of(_words(text))) is not None:
            return instrument, Source.HEADER
    return folder.instrument, Source.FOLDER if folder.instrument is not None else None


@functools.lru_cache(maxsize=4096)  # once for all files of a series
def _instrument_of(words: tuple[str, ...]) -> Instrument | None:
    return instrument_of(words)


def _tempo(
    name: str,
    words: tuple[str, ...],
    header: AudioHeader,
    info: LoopInfo,
    folder: _FolderAttributes,
) -> tuple[float | None, Source | None]:
    tempo_bpm = stated_tempo_bpm(name) or _bare_tempo(name, words, header)
    if tempo_bpm is not None:
        return tempo_bpm, Source.NAME
    tempo_bpm = _tempo_of_chunks(info, header.duration_seconds)
    if tempo_bpm is not None:
        return tempo_bpm, Source.HEADER
    return folder.tempo_bpm, Source.FOLDER if folder.tempo_bpm is not None else None


def _bare_tempo(name: str, words: tuple[str, ...], header: AudioHeader) -> float | None:
    """Return the tempo that a bare number states, if the sound's duration agrees.

    At 87 BPM `SNARE87` does not last a whole number of beats. If the duration is unknown, a single
    number is accepted beside a key or the word *loop*.
    """
    numbers = possible_tempos_bpm(name)
    if not numbers:
        return None
    is_called_loop = "loop" in map(_playback_word, words)
    if header.duration_seconds is None:
        is_plain = is_called_loop or stated_key(name, pitch=Pitch.NONE) is not None
        return float(numbers[0]) if len(numbers) == 1 and is_plain else None
    if not any(len(word) > 1 and word.isalpha() for word in words):
        return None  # a number without words is an index
    # One in ten durations fits two beats by chance, so a sound not called a loop must fit a bar.
    fewest = _FEWEST_BEATS if is_called_loop else _BEATS_OF_A_BAR
    fitting = [number for number in numbers if (_beats(header, number) or 0) >= fewest]
    return float(fitting[0]) if len(fitting) == 1 else None


def _tempo_of_chunks(info: LoopInfo, duration_seconds: float | None) -> float | None:
    if info.tempo_bpm is not None:
        return round(info.tempo_bpm, 2)
    if info.beats is None or info.beats < _FEWEST_BEATS or not duration_seconds:
        return None
    tempo_bpm = 60 * info.beats / duration_seconds
    return round(tempo_bpm, 2) if LOWEST_TEMPO_BPM <= tempo_bpm <= HIGHEST_TEMPO_BPM else None


def _beats(header: AudioHeader, tempo_bpm: float) -> int | None:
    """Return how many beats a sound lasts; None if it is not a whole number of at least two."""
    if header.duration_seconds is None:
        return None
    exact = header.duration_seconds * tempo_bpm / 60
    beats = round(exact)
    is_lossy = (header.sample_type or "").startswith(_LOSSY)
    added = min(_SHARE_OFF * beats, _BEATS_ADDED_BY_LOSSY if is_lossy else _BEATS_OFF)
    fits = -min(added, _BEATS_OFF) <= exact - beats <= added
    return beats if fits and beats >= _FEWEST_BEATS else None


def _key(
    name: str, info: LoopInfo, folder: _FolderAttributes, pitch: Pitch, *, has_tempo: bool
) -> tuple[str | None, Source | None]:
    if (key := stated_key(name, pitch=pitch, letters=has_tempo)) is not None:
        return key, Source.NAME
    # Samplers write a root note for drums too.
    if info.root_note is not None and pitch is not Pitch.NONE:
        root = _PITCH_CLASSES[info.root_note % len(_PITCH_CLASSES)]
        mode = "" if info.is_minor is None else " minor" if info.is_minor else " major"
        return root + mode, Source.HEADER
    return folder.musical_key, Source.FOLDER if folder.musical_key is not None else None


def _playback(
    words: tuple[str, ...],
    header: AudioHeader,
    info: LoopInfo,
    folder: _FolderAttributes,
    tempo_bpm: float | None,
    tempo_source: Source | None,
) -> tuple[Playback | None, Source | None]:
    playback = _stated_playback(words)
    if playback is None and tempo_source is Source.NAME and _may_be_a_loop(header, tempo_bpm):
        playback = Playback.LOOP
    if playback is not None:
        return playback, Source.NAME
    if info.is_one_shot is not None:
        return (Playback.ONE_SHOT if info.is_one_shot else Playback.LOOP), Source.HEADER
    if folder.playback is not None:
        return folder.playback, Source.FOLDER
    return _playback_by_duration(header, tempo_bpm)


def _stated_playback(words: tuple[str, ...]) -> Playback | None:
    kinds = set(map(_playback_word, words))
    kinds.discard(None)
    if not kinds:
        return None  # as for most names
    is_loop = "loop" in kinds
    is_one_shot = "one-shot" in kinds or (
        "shot" in kinds
        and any(first in ("one", _ONE) and second in _SHOTS for first, second in pairwise(words))
    )
    if is_loop and is_one_shot:
        return None  # "Loops and one-shots"
    return Playback.LOOP if is_loop else Playback.ONE_SHOT


@functools.lru_cache(maxsize=8192)  # the words of a pack are few
def _playback_word(word: str) -> str | None:
    """Return the kind of playback that a word names; *shot* alone is weaker than *one-shot*."""
    if word.endswith(("loop", "loops", "looped")):
        return "loop"
    if word in _ONE_SHOTS:
        return "one-shot"
    return "shot" if word in _SHOTS else "hit" if word in _HITS else None


def _may_be_a_loop(header: AudioHeader, tempo_bpm: float | None) -> bool:
    """Whether a sound whose name states a tempo may be a loop, and not a single hit of a kit."""
    if header.duration_seconds is None or tempo_bpm is None:
        return True
    is_a_bar = header.duration_seconds * tempo_bpm / 60 >= _BEATS_OF_A_BAR * (1 - _SHARE_OFF)
    return is_a_bar or _beats(header, tempo_bpm) is not None


def _playback_by_duration(
    header: AudioHeader, tempo_bpm: float | None
) -> tuple[Playback | None, Source | None]:
    if header.duration_seconds is None:
        return None, None
    if tempo_bpm is not None:
        beats = _beats(header, tempo_bpm)
        if beats is not None and beats % _BEATS_OF_A_BAR == 0:
            return Playback.LOOP, Source.DURATION
    if header.duration_seconds < _SHORTEST_BAR_SECONDS:
        return Playback.ONE_SHOT, Source.DURATION
    return None, None
