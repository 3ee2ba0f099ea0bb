r"""A reversible text encoding of file paths, and safe ways to print them.

A POSIX path is bytes without NUL; a database column and a JSON message hold Unicode text. Names
that are valid UTF-8 (nearly all) are kept unchanged. An undecodable byte is written ``\xNN``; a
literal backslash that would read like such an escape is itself written ``\x5c``. The mapping is one
to one: two files never share a row, and every row identifies its file.
"""

import os
import re
from typing import Final

#: Maximum length of a vendor's or a pack's name; folder names have at most 255 bytes.
LONGEST_NAME: Final = 255

_UNDECODABLE: Final = re.compile("[\udc80-\udcff]")
_LOOKS_ESCAPED: Final = re.compile(r"\\(?=x(?:5c|[89a-f][0-9a-f]))")
_ESCAPE: Final = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
_CONTROL: Final = re.compile(
    # C0, DEL and C1 drive terminals; the bidi controls reorder the displayed text; the line and
    # paragraph separators break one-line logs; XML has no U+FFFE and U+FFFF.
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)

#: Escapes that `printable` writes.
_PRINTED: Final = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})")


def path_text(path: str | bytes) -> str:
    r"""Return the text under which a path is stored: valid Unicode, undecodable bytes as ``\xNN``.

    Takes bytes, or str with surrogate escapes, as the operating system returns them.
    """
    # Not os.fsdecode: in a Latin-1 or C locale the same file would get another text and row.
    raw = path if isinstance(path, bytes) else os.fsencode(path)
    text = raw.decode("utf-8", "surrogateescape")
    if "\\" in text:
        text = _LOOKS_ESCAPED.sub(r"\\x5c", text)
    if text.isascii() or not _UNDECODABLE.search(text):
        return text
    return _UNDECODABLE.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", text)


def path_bytes(text: str) -> bytes:
    """Return the bytes of a stored path: the inverse of `path_text`.

    ValueError for a NUL or a lone surrogate, which `path_text` never writes.
    """
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL character")
    try:
        if "\\" not in text:
            return text.encode()
        parts = _ESCAPE.split(text)
        return b"".join(
            bytes([int(part, 16)]) if index % 2 else part.encode()
            for index, part in enumerate(parts)
        )
    except UnicodeEncodeError as error:
        raise ValueError("a path must be valid Unicode text") from error


def readable_name(text: str) -> str:
    """Decode a base name from `path_text` for the model.

    Names that are not UTF-8 come from older Windows and Mac discs. They are decoded as Latin-1,
    which is right for most of them, and for ASCII words in all of them.
    """
    if "\\x" not in text:
        return text
    raw = path_bytes(text)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def printable(text: str) -> str:
    r"""Return `text` with control characters written as ``\xNN`` or ``\uNNNN``.

    For terminals and logs: a file name must not clear a screen, forge a log line or reverse text.
    """
    return _CONTROL.sub(
        lambda match: (
            f"\\x{ord(match.group()):02x}"
            if ord(match.group()) < 0x100
            else f"\\u{ord(match.group()):04x}"
        ),
        text,
    )


def from_printed(text: str) -> str:
    r"""Undo `printable`, for text copied from a terminal.

    Ambiguous if the name itself contains such an escape, so callers try the text unchanged first.
    """
    return _PRINTED.sub(_unprinted, text)


def _unprinted(match: re.Match[str]) -> str:
    character = chr(int(match[1] or match[2], 16))
    return character if _CONTROL.fullmatch(character) else match[0]
