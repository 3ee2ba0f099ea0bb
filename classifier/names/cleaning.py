"""Clean a file name: remove what carries no information about the sound.

Folders, the audio extension, invisible characters, stamps of other programs, and quantities other
than tempos are removed. Escapes are decoded and typographic forms simplified. Words of other
scripts become English ones (`classifier.names.other_scripts`).
"""

import functools
import html
import re
import unicodedata
import urllib.parse
from typing import Final

from classifier.names.other_scripts import in_latin_letters

#: Extensions removed from a name's end, lower case: the containers libsndfile opens, then others
#: that a marketplace holds. Anything else after a dot (``Take 1.5``) is part of the name. There are
#: more than in `files.extensions.AUDIO_EXTENSIONS`, because tables also name other files.
DROPPED_EXTENSIONS: Final = frozenset(
    {
        *("wav", "wave", "bwf", "w64", "rf64", "bw64", "aif", "aiff", "aifc", "afc", "flac", "fla"),
        *("ogg", "oga", "opus", "spx", "mp1", "mp2", "mp3", "mpa", "mpga", "au", "snd", "caf"),
        *("sd2", "voc", "svx", "8svx", "iff", "nist", "sph", "pvf", "xi", "htk", "avr", "wve"),
        *("mat", "mpc", "raw", "m4a", "mp4", "aac", "wma", "alac", "ape", "wv", "rx2", "rex"),
        *("mid", "midi", "rmi", "kar"),
    }
)

#: Names of drum machines and synthesisers: these numbers are words, not quantities.
MACHINE_NUMBERS: Final = frozenset(
    {"101", "106", "303", "505", "606", "626", "707", "727", "808", "909"}
)

_ENTITY: Final = re.compile(r"&(?:#\d{1,6}|#x[\da-f]{1,5}|[a-z]{2,6});", re.IGNORECASE)
#: Unzip writes a character that it cannot represent as ``#U30ad``.
_UNZIPPED: Final = re.compile(r"#U([\da-f]{4})", re.IGNORECASE)

_SIGNS: Final = str.maketrans("♯♭№", "#b ")
#: Marks that distinguish kana, so they are kept; marks of other letters are accents.
_KANA_MARKS: Final = "\u3099\u309a"
#: Invisible characters outside the Unicode category Cf: joiners, fillers, variation selectors.
_FILLERS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)

_DATE: Final = (
    r"(?:(?:19|20)\d\d(?P<a>[-_. ]?)(?:0[1-9]|1[0-2])(?P=a)(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])(?P<b>[-_.])(?:0?[1-9]|[12]\d|3[01])(?P=b)(?:19|20)\d\d)"
)
_TIME: Final = (
    r"(?:[T _.-]{0,3}(?:at[ _])?(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d)?"
    r"(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)"
)
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_STAMPS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Conflict marks of programs that synchronise folders.
        r"\([^()]{0,80}conflicted copy[^()]{0,40}\)|\.sync-conflict-\d{8}-\d{6}-\w{7}",
        r"_[a-z\d]{1,20}_[a-z]{3}-\d\d-\d{4}-\d{4}_conflict",
        # Identifiers.
        r"(?<![\da-z])[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}(?![\da-z])",
        r"(?<![\da-z])(?=[a-f]*\d)(?=\d*[a-f])[\da-f]{16,64}(?![\da-z])",
        # Dates and times.
        rf"[\[(]?(?<!\d){_DATE}{_TIME}?(?:[\])](?:-\d{{1,2}})?)?(?!\d)",
        rf"(?<![a-z\d])(?:\d{{1,2}}[ ._-])?{_MONTH}[ ._-](?:\d{{1,2}},?[ ._-])?(?:19|20)\d\d(?!\d)",
        r"(?<![\d.:])(?:[01]\d|2[0-3])([.:])[0-5]\d\1[0-5]\d(?![\d.:])",
        # Where the file came from: Freesound's number and user; web sites.
        r"(?<!\S)\d{2,7}__[^_]+(?:_[^_]+)*__(?=.)",
        r"(?<![a-z\d-])(?:www\.)?[a-z\d-]{2,40}\.(?:com|net|org)(?![a-z\d])|free[ _-]?download",
        r"(?<!\S)(?:copy of|copia de|copie de|kopie von)[ _]",
    )
)
#: A cheap first check: most names match none of these patterns.
_STAMPED: Final = re.compile(
    r"\d{4}|__|[.:]\d\d[.:]|\.(?:com|net|org)|cop|kopie|free|[\da-f]{16}|-[\da-f]{4}-",
    re.IGNORECASE,
)
#: Suffixes that programs add to the name of a copy, a take or a rendered file.
_SUFFIX: Final = re.compile(
    r"(?:(?<=[\d\])])(?:-[1-5]?\d|[ _]?\([1-5]?\d\))|~\d{1,2}"
    r"|[ _]?\((?:another|\d{1,2}(?:st|nd|rd|th)) copy\)"
    r"|[ _.-][\[(]?(?:copy|copia|copie|kopie|kopia|duplicate|render(?:ed)?|glued|merged|bip"
    r"|consolidated|freeze|export(?:ed)?|converted)"
    r"(?:[ _-]{0,3}\(?(?:[1-5]?\d|0\d{1,3})\)?)?[\])]?(?:[ _-]{0,3}\(?(?:[1-5]?\d|0\d{1,3})\)?)?)$",
    re.IGNORECASE,
)
_MOST_SUFFIXES: Final = 4

_NUMBER: Final = r"\d{1,9}(?:[.,]\d{1,4})?"
_QUANTITIES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # Rates, times, sizes and levels; the unit may be separate from the number.
        rf"(?i:(?<!\d)(?<!\d[.,])(?<!bpm)(?<!bpm[ _-]){_NUMBER}[ _-]?"
        r"(?:[km]?hz|kbps|kbits?|bytes|msecs?|ms|secs?|seconds?|minutes|hours|inch(?:es)?|meters"
        r"|metres|feet|rpm|ips|fps|dpi|dbfs|lufs|semitones|cents|percent|deg(?:rees)?|watts|volts"
        r"|ohms)(?![a-z]))",
        r"(?i:(?<!\d)(?:16|20|24|32|64)[ _-]?bits?(?:[ _-]?float)?(?![a-z]))",
        r"(?i:(?<!\d)(?:[6-9]\d|\d{3})[ _-]?(?:bars|steps|samples|sounds)(?![a-z]))",
        # Short units must follow the number directly. Case matters: Db, Gb and Cm are keys.
        rf"(?<![A-Za-z\d])(?<!\d[.,])(?!(?:{'|'.join(sorted(MACHINE_NUMBERS))})s)"
        rf"(?:\d{{1,2}}h\d{{1,2}}(?:m(?:\d{{1,2}}s?)?)?|\d{{1,2}}m\d{{1,2}}s?|{_NUMBER}"
        r"(?:['\u2019]?s|[kK]|m|h|[wWvV]|x|in|mins?|MINS?|['\"\u2032\u2033%\u00b0]| ?dB|db"
        r"| ?[KMG]B|kb|mb|cm|mm|ft|th))(?![A-Za-z\d])",
    )
)
_UNIT: Final = re.compile(r"\d[ _-]?[A-Za-z'\"\u2019\u2032\u2033%\u00b0]")
_MODEL_NUMBER: Final = re.compile(r"[6-9][0135678]|1[014]0|200|99")
#: Model numbers of instruments that could be read as tempos, after the instrument's name.
_MODEL: Final = re.compile(
    r"(?<![A-Za-z])(juno[ _-]?60|cs[ -]?[678]0|cr[ -]?78|mpc[ -]?60|dx[ -]?100|sy[ -]?(?:77|85|99)"
    r"|poly[ _-]?61|sq[ -]?80|tx[ -]?81z|u-?110|dr-?110|rt-?60|tr[ -]?(?:66|77)|kpr[ -]?77"
    r"|jv[ -]?[89]0|mks[ -]?[78]0|rhodes[ _-]?(?:73|88)|wurli(?:tzer)?[ _-]?(?:140|200)"
    r"|system[ _-]?100)(?!\d)",
    re.IGNORECASE,
)


@functools.lru_cache(maxsize=2048)  # tokens, tempo and key of a name all need it
def clean_name(file_name: str) -> str:
    r"""Return the name after the last ``/`` or ``\``, without parts that do not describe the sound.

    Only the *last* extension is removed, and only if it is an audio format's. The result is the
    same for a name from a Mac (decomposed), from Linux (composed), and after a download (``%20``).
    Case is kept, because it marks word borders. The result may be empty.

    >>> clean_name("Drums/Kick%2004 [2021-03-04 120132]-1.wav")
    'Kick 04'
    >>> clean_name("Vocal Take 96kHz.wav")
    'Vocal Take'
    """
    name = _in_plain_letters(_without_escapes(file_name.replace("\\", "/").rpartition("/")[2]))
    stem, dot, extension = name.rpartition(".")
    if dot and extension.strip().lower() in DROPPED_EXTENSIONS:
        name = stem
    return _without_quantities(_without_stamps(name.strip())).strip()


def _without_escapes(name: str) -> str:
    for _ in range(2):  # a link of a link is escaped twice: %2520
        if "%" in name:
            name = urllib.parse.unquote(name)
    if "&" in name:
        name = _ENTITY.sub(lambda entity: html.unescape(entity[0]), name)
    if "#U" in name:
        name = _UNZIPPED.sub(lambda escape: chr(int(escape[1], 16)), name)
    return name


def _in_plain_letters(name: str) -> str:
    """Return a name without accents, typographic forms, invisible characters and other scripts."""
    if name.isascii() and name.isprintable():
        return name  # nearly all names; the steps below would not change it
    decomposed = _FILLERS.sub("", unicodedata.normalize("NFKD", name.translate(_SIGNS)))
    plain = "".join(
        char
        for char in decomposed
        if char in _KANA_MARKS
        or char.isspace()
        or not (unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Cc"))
    )
    return in_latin_letters(unicodedata.normalize("NFC", plain))


def _without_stamps(name: str) -> str:
    if _STAMPED.search(name):
        for pattern in _STAMPS:
            name = pattern.sub(" ", name)
    name = name.rstrip()
    for _ in range(_MOST_SUFFIXES):
        suffix = _SUFFIX.search(name)
        if suffix is None or not suffix.start():
            break
        name = name[: suffix.start()].rstrip(" _.-")
    return name


def _without_quantities(name: str) -> str:
    if _UNIT.search(name):
        for pattern in _QUANTITIES:
            name = pattern.sub(" ", name)
    if not _MODEL_NUMBER.search(name):
        return name
    # Remove only the number: `Juno` may be evidence of the instrument.
    return _MODEL.sub(lambda model: model[0].rstrip("0123456789zZ") + " ", name)
