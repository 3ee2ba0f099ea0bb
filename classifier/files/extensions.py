"""By which names a walk takes files for sounds.

Apart from `classifier.headers.reader`, because who only walks need not load libsndfile.
"""

from typing import Final

#: By container, lower case, no dot.
EXTENSIONS: Final[dict[str, frozenset[str]]] = {
    "WAV": frozenset({"wav", "wave", "bwf", "rf64"}),
    "AIFF": frozenset({"aif", "aiff", "aifc", "afc"}),
    "FLAC": frozenset({"flac", "fla"}),
    "OGG": frozenset({"ogg", "oga", "opus", "spx"}),
    "MP3": frozenset({"mp3", "mp2", "mp1", "mpga"}),
    "AU": frozenset({"au", "snd"}),
    "CAF": frozenset({"caf"}),
    "W64": frozenset({"w64"}),
    "MIDI": frozenset({"mid", "midi"}),
}

#: Extensions (lower case, no dot) by which a walk takes a file for a sound.
AUDIO_EXTENSIONS: Final = frozenset().union(*EXTENSIONS.values())

#: How macOS calls what it leaves beside a file on a foreign disc.
MACOS_LEFTOVER: Final = b"._"


def is_named_like_a_sound(name: bytes) -> bool:
    """Whether a base name ends in one of `AUDIO_EXTENSIONS`."""
    stem, dot, extension = name.rpartition(b".")
    return bool(dot and stem) and extension.lower().decode("latin-1") in AUDIO_EXTENSIONS
