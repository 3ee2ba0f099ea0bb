"""Metadata chunks of WAV and AIFF files: tempo, beats, root note, one-shot or loop, title.

Values that tools write by default are ignored: of the 19 ``acid`` chunks in our real files eight
state 120 BPM and no beats, for single drum hits. Values that are truncated, implausible or not a
number are also ignored; nothing here raises.

Sources. ``acid``: GStreamer's riff-ids.h and libsndfile's wav.c, which agree. ``smpl``: Multimedia
Data Standards Update, Microsoft 1994. ``LIST`` of ``INFO``: RIFF MCI, Microsoft 1991. ``INST`` and
``NAME``: Apple AIFF 1.3. ``basc`` (Apple Loops): libsndfile's aiff.c; go-audio numbers the last
field differently, so only values on which both agree are used.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

#: Maximum number of bytes read of one chunk.
MOST_BYTES: Final = 512
#: Names of the chunks that are read in a WAV, and in an AIFF.
OF_WAV: Final = frozenset({b"acid", b"smpl", b"LIST"})
OF_AIFF: Final = frozenset({b"basc", b"INST", b"NAME"})
#: Type of the LIST chunk that holds texts about the sound; LIST chunks of other types are skipped.
INFO: Final = b"INFO"

LOWEST_TEMPO_BPM: Final = 20.0
HIGHEST_TEMPO_BPM: Final = 400.0
#: More is implausible: 8,192 beats last over two hours at 60 BPM.
_MOST_BEATS: Final = 8192
_HIGHEST_NOTE: Final = 127
_MOST_CHARACTERS: Final = 80

_ACID: Final = "IHHfIHHf"
_ACID_ONE_SHOT: Final = 0x01
_ACID_ROOT_SET: Final = 0x02
#: Tools write this tempo by default, without beats.
_ACID_DEFAULT_TEMPO_BPM: Final = 120.0

_SMPL: Final = "9I"
_SMPL_LOOP: Final = "6I"
#: Middle C, which samplers write by default; in Apple Loops the default is an octave lower.
_DEFAULT_NOTE: Final = 60
_BASC_DEFAULT_NOTE: Final = 48

_BASC: Final = "IIHHHHH"
_BASC_MINOR: Final = 1
_BASC_MAJOR: Final = 2
_BASC_LOOP: Final = 0

_INST: Final = ">bbbbbbhhHH"


class LoopInfo(NamedTuple):
    """Metadata that a file's chunks state about its sound; ``None`` where they state nothing."""

    is_one_shot: bool | None = None
    beats: int | None = None  #: of a loop
    tempo_bpm: float | None = None  #: of a loop, from 20 to 400
    root_note: int | None = None  #: MIDI note number; tools disagree about its octave
    is_minor: bool | None = None  #: True: the key is minor; False: it is major
    has_sustain_loop: bool = False  #: a part that a sampler repeats while a key is held
    title: str | None = None  #: printable, at most 80 characters, as are the next two
    genre: str | None = None
    key_words: str | None = None


_NOTHING: Final = LoopInfo()


def of_wav(chunks: Mapping[bytes, bytes], order: str) -> LoopInfo | None:
    """Parse the metadata chunks of a WAV; None if they state nothing.

    - `chunks`: bodies by chunk name; that of a ``LIST`` is under `INFO`, the type it starts with.
    - `order`: the byte order, ``<`` or ``>``.
    """
    if not chunks:
        return None  # most files
    is_one_shot, beats, tempo_bpm, root_note = _acid(chunks.get(b"acid", b""), order)
    sampler_note, has_sustain_loop = _smpl(chunks.get(b"smpl", b""), order)
    texts = _texts(chunks.get(INFO, b""), order)
    info = LoopInfo(
        is_one_shot=is_one_shot,
        beats=beats,
        tempo_bpm=tempo_bpm,
        root_note=sampler_note if root_note is None else root_note,
        has_sustain_loop=has_sustain_loop,
        title=texts.get(b"INAM"),
        genre=texts.get(b"IGNR"),
        key_words=texts.get(b"IKEY"),
    )
    return None if info == _NOTHING else info


def of_aiff(chunks: Mapping[bytes, bytes]) -> LoopInfo | None:
    """Parse the metadata chunks of an AIFF, as bodies by name; None if they state nothing."""
    is_one_shot, beats, root_note, is_minor = _basc(chunks.get(b"basc", b""))
    sampler_note, has_sustain_loop = _inst(chunks.get(b"INST", b""))
    info = LoopInfo(
        is_one_shot=is_one_shot,
        beats=beats,
        root_note=sampler_note if root_note is None else root_note,
        is_minor=is_minor,
        has_sustain_loop=has_sustain_loop,
        title=_text(chunks.get(b"NAME", b"")),
    )
    return None if info == _NOTHING else info


def _acid(body: bytes, order: str) -> tuple[bool | None, int | None, float | None, int | None]:
    """Return whether it is a one-shot, its beats, tempo and root note."""
    fields = _unpacked(order + _ACID, body)
    if fields is None:
        return None, None, None, None
    flags, note, _, _, beats, _, _, tempo_bpm = fields
    root_note = _note(note) if flags & _ACID_ROOT_SET else None
    if flags & _ACID_ONE_SHOT:
        # The beats and tempo of a one-shot are those of the program that wrote it.
        return True, None, None, root_note
    beats = _beats(beats)
    # NaN fails this comparison too.
    if not LOWEST_TEMPO_BPM <= tempo_bpm <= HIGHEST_TEMPO_BPM:
        tempo_bpm = None
    if beats is None and tempo_bpm in (None, _ACID_DEFAULT_TEMPO_BPM):
        return None, None, None, root_note
    return False, beats, tempo_bpm, root_note


def _smpl(body: bytes, order: str) -> tuple[int | None, bool]:
    """Return the root note, and whether there is a sustained loop."""
    fields = _unpacked(order + _SMPL, body)
    if fields is None:
        return None, False
    note, n_loops = fields[3], fields[7]
    first = _unpacked(order + _SMPL_LOOP, body[struct.calcsize(order + _SMPL) :])
    has_loop = n_loops > 0 and first is not None and first[2] < first[3]
    return (_note(note) if has_loop or note != _DEFAULT_NOTE else None), has_loop


def _basc(body: bytes) -> tuple[bool | None, int | None, int | None, bool | None]:
    """Return whether it is a one-shot, its beats, its root note and whether its key is minor."""
    fields = _unpacked(">" + _BASC, body)
    if fields is None:
        return None, None, None, None
    _, beats, note, scale, _, _, kind = fields
    is_minor = {_BASC_MINOR: True, _BASC_MAJOR: False}.get(scale)
    root_note = _note(note)
    if note == _BASC_DEFAULT_NOTE and not is_minor:
        # Tools write C major by default, into loops of any key (go-audio's 98_G.aif).
        root_note = is_minor = None
    # One of our sources calls kind 1 a one-shot, the other a loop.
    if kind != _BASC_LOOP:
        return None, None, root_note, is_minor
    beats = _beats(beats)
    return (None if beats is None else False), beats, root_note, is_minor


def _inst(body: bytes) -> tuple[int | None, bool]:
    """Return the root note, and whether there is a sustained loop."""
    fields = _unpacked(_INST, body)
    if fields is None:
        return None, False
    note, play_mode, begins, ends = fields[0], *fields[7:10]
    has_loop = play_mode in (1, 2) and begins != ends
    return (_note(note) if has_loop or note != _DEFAULT_NOTE else None), has_loop


def _unpacked(form: str, body: bytes) -> tuple[Any, ...] | None:
    return struct.unpack_from(form, body) if len(body) >= struct.calcsize(form) else None


def _note(number: int) -> int | None:
    return number if 0 <= number <= _HIGHEST_NOTE else None


def _beats(number: int) -> int | None:
    return number if 0 < number <= _MOST_BEATS else None


def _texts(body: bytes, order: str) -> dict[bytes, str]:
    """Return the texts of a LIST chunk that starts with ``INFO``; of equal names the first one."""
    texts: dict[bytes, str] = {}
    offset = len(INFO)
    while offset + 8 <= len(body):
        name, length = struct.unpack_from(order + "4sI", body, offset)
        text = _text(body[offset + 8 : offset + 8 + length])
        if text is not None:
            texts.setdefault(name, text)
        offset += 8 + length + length % 2
    return texts


def _text(raw: bytes) -> str | None:
    raw = raw.partition(b"\0")[0]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        # Either the text was cut within a character, or an older program wrote it in Latin-1.
        is_cut = error.reason == "unexpected end of data"
        text = raw[: error.start].decode() if is_cut else raw.decode("latin-1")
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:_MOST_CHARACTERS].rstrip() or None
