"""Names that differ in their number alone: takes and copies of one sound."""

import re
import unicodedata
from typing import Final

#: At the end of a name, once or several times: a number, in brackets or not; what file managers
#: call a copy.
_NUMBER: Final = re.compile(
    r"(?:[\s._-]*(?:\(\s*\d+\s*\)|\[\s*\d+\s*\]|#?\d+|copy|kopie|copie))+\s*$"
)

_WORD: Final = re.compile(r"[^\W\d_]{3,}")

#: Words by which recorders and programs name whatever there is: two such files are no takes of one
#: sound.
_OF_ANYTHING: Final = frozenset(
    {"audio", "beat", "bounce", "bounced", "clip", "demo", "export", "file", "final", "freeze"}
    | {"frozen", "idea", "loop", "master", "memo", "mic", "mix", "mixdown", "new", "one", "output"}
    | {"project", "rec", "recorded", "recording", "render", "rendered", "sample", "session"}
    | {"shot", "song", "sound", "ste", "take", "tape", "temp", "test", "the", "track", "unnamed"}
    | {"untitled", "voice", "wav", "wave", "zoom"}
)


def name_without_number(stem: str) -> str | None:
    """Return what a name without extension has in common with its takes and copies, in lower case.

    None where too little is left to tell that two such files hold the same kind of sound: no word
    of three letters, or only words that are given to anything (`Audio 3`, `Untitled 2`).
    """
    folded = unicodedata.normalize("NFC", stem).lower()
    base = re.sub(r"[\s._-]+", " ", _NUMBER.sub("", folded)).strip()
    words = {word.removesuffix("s") for word in _WORD.findall(base)}
    return base if words - _OF_ANYTHING else None
