"""The file names by which a walk finds sounds; does not load libsndfile."""

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

#: All of them.
AUDIO_EXTENSIONS: Final = frozenset().union(*EXTENSIONS.values())

#: Prefix of the files that macOS writes beside others on foreign discs.
MACOS_LEFTOVER: Final = b"._"


def is_named_like_a_sound(name: bytes) -> bool:
    """Whether a base name ends in one of `AUDIO_EXTENSIONS`."""
    stem, dot, extension = name.rpartition(b".")
    return bool(dot and stem) and extension.lower().decode("latin-1") in AUDIO_EXTENSIONS
