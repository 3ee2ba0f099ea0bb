"""Extensions of audio files, by which a walk finds sounds; does not load libsndfile."""

from typing import Final

#: Extensions of each container, in lower case and without the dot.
EXTENSIONS: Final[dict[str, frozenset[str]]] = {
    "WAV": frozenset({"wav", "wave", "bwf", "rf64", "bw64"}),
    "AIFF": frozenset({"aif", "aiff", "aifc", "afc"}),
    "FLAC": frozenset({"flac", "fla"}),
    "OGG": frozenset({"ogg", "oga", "opus", "spx"}),
    "MP3": frozenset({"mp3", "mp2", "mp1", "mpga"}),
    "AU": frozenset({"au", "snd"}),
    "CAF": frozenset({"caf"}),
    "W64": frozenset({"w64"}),
    "MIDI": frozenset({"mid", "midi", "rmi", "kar"}),
}

#: Extensions of all containers.
AUDIO_EXTENSIONS: Final = frozenset().union(*EXTENSIONS.values())

#: Extensions of unsupported audio formats; a walk distinguishes them from files that are not audio.
UNREAD_AUDIO_EXTENSIONS: Final = frozenset(
    {"3ga", "8svx", "aac", "aax", "ac3", "alac", "amr", "ape", "asf", "dff", "dsf", "dts"}
    | {"m4a", "m4b", "m4p", "m4r", "mka", "mpc", "ra", "rcy", "rex", "rx2", "sd2", "shn", "svx"}
    | {"tta", "voc", "weba", "wma", "wv"}
)

#: Prefix of the AppleDouble files that macOS writes beside others on foreign file systems.
MACOS_LEFTOVER: Final = b"._"


def has_audio_extension(name: bytes) -> bool:
    """Whether a base name ends in one of `AUDIO_EXTENSIONS`."""
    return extension_of(name) in AUDIO_EXTENSIONS


def has_midi_extension(name: str) -> bool:
    """Whether a base name ends in an extension of MIDI files."""
    return extension_of(name.encode("utf-8", "surrogatepass")) in EXTENSIONS["MIDI"]


def extension_of(name: bytes) -> str:
    """Return the extension of a base name, lower case and without the dot; empty if it has none."""
    stem, _, extension = name.rpartition(b".")
    return extension.lower().decode("latin-1") if stem else ""
