"""What `cratesort explain` found, for a person: at most 80 columns, and no colour needed."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from classifier.files.paths import printable
from classifier.model.evidence import Evidence
from cli.console.output import shorten

_WIDTH: Final = 80
_INDENT: Final = 14
_TEXT_WIDTH: Final = _WIDTH - _INDENT
_WORD_WIDTH: Final = 24
_NAME_WIDTH: Final = 40

_DECIDED: Final = {
    Evidence.FOLDER: "the name says nothing; its folders' words do",
    Evidence.NAME: "the name alone gives the same category",
    Evidence.MATES: "only the name beside its pack-mates' gives it",
    Evidence.HEADER: "no name gives it; the header's figures do",
}


def lines(sound: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines about one sound.

    Parameters
    ----------
    sound : mapping
        As ``--json`` has it.
    """
    yield shorten(sound["path"], _WIDTH).rstrip()
    if sound["error_code"] is not None:
        yield from _field("No category", f"{sound['error_code']}: {sound['error_message']}")
        return
    best, *others = sound["top3"]
    yield from _field("Category", f"{_said(best)}, then {', '.join(map(_said, others))}")
    yield from _field("Review", _review(sound))
    yield from _field("Decided by", f"{sound['evidence']}: {_DECIDED[sound['evidence']]}")
    if sound["note"]:
        yield from _field("Note", sound["note"])
    yield ""
    yield from _field("Read as", sound["name_read"])
    unread = sound["tokens_not_read"]
    more = f" ({unread} in the middle are not read)" if unread else ""
    yield from _field("Tokens", " ".join(sound["tokens"]) + more)
    yield from _words(sound)
    yield ""
    yield from _field("Header", _header(sound["header"]))
    chunks = _chunks(sound["header"]["chunks"])
    if chunks:
        yield from _field("Chunks", chunks)
    yield from _mates(sound["mates"])
    says = sound["says"]
    yield from _field("Name alone", _said(says["name"]))
    if says["name_and_mates"] is not None:
        yield from _field("With mates", _said(says["name_and_mates"]))
    yield from _field("Everything", _said(says["everything"]))
    known = _by_products(sound["by_products"])
    if known:
        yield ""
        yield from _field("Known, too", known)
    yield from _field("Model", sound["model_version"])


def _field(label: str, text: str) -> Iterator[str]:
    for number, line in enumerate(_wrapped(printable(text))):
        yield f"  {label if number == 0 else '':<{_INDENT - 2}}{line}"


def _wrapped(text: str) -> Iterable[str]:
    from rich.cells import cell_len

    # textwrap counts characters, some of which take two cells.
    width = _TEXT_WIDTH if cell_len(text) <= len(text) else _TEXT_WIDTH // 2
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _said(answer: Mapping[str, Any]) -> str:
    return f"{answer['category']} {answer['probability']:.2f}"


def _review(sound: Mapping[str, Any]) -> str:
    if sound["needs_review"]:
        return f"needed: the model is not sure below {sound['review_below']:.2f}"
    return f"not needed: the model is sure from {sound['review_below']:.2f} on"


def _words(sound: Mapping[str, Any]) -> Iterator[str]:
    if not sound["words"]:
        yield from _field("Words", f"none alone makes {sound['category']} more or less likely")
        return
    yield from _field("Words", f"{sound['category']} would have, without")
    for word in sound["words"]:
        shown = shorten(word["word"], _WORD_WIDTH)
        typed = word["token"] if word["token"].startswith("<") else ""
        line = f"{'':{_INDENT}}{shown}  {word['without']:.2f}  ({word['change']:+.2f})  {typed}"
        yield line.rstrip()


def _header(header: Mapping[str, Any]) -> str:
    said = []
    if header["duration_seconds"] is not None:
        said.append(f"{header['duration_seconds']:,.3f} s")
    if header["bars"] is not None:
        said.append(f"{header['bars']:,.2f} bars of 4/4 at its tempo")
    if header["sample_rate_hz"] is not None:
        said.append(f"{header['sample_rate_hz']:,} Hz")
    if header["channels"] is not None:
        said.append(f"{header['channels']} channel" + "s" * (header["channels"] != 1))
    if header["sample_type"] is not None:
        said.append(header["sample_type"])
    if header["file_size"] is not None:
        said.append(f"{header['file_size']:,} bytes")
    return ", ".join(said) or "it states nothing"


def _chunks(chunks: Mapping[str, Any] | None) -> str:
    if chunks is None:
        return ""
    said = []
    if chunks["is_one_shot"] is not None:
        said.append("a one-shot" if chunks["is_one_shot"] else "a loop")
    if chunks["tempo_bpm"] is not None:
        said.append(f"{chunks['tempo_bpm']:g} BPM")
    if chunks["beats"] is not None:
        said.append(f"{chunks['beats']} beats")
    if chunks["root_note"] is not None:
        said.append(f"root note {chunks['root_note']}")
    if chunks["is_minor"] is not None:
        said.append("minor" if chunks["is_minor"] else "major")
    if chunks["has_sustain_loop"]:
        said.append("a part to sustain")
    for name, label in (("title", "title"), ("genre", "genre"), ("key_words", "key words")):
        if chunks[name] is not None:
            said.append(f"{label} {chunks[name]}")
    return ", ".join(said)


def _mates(mates: Mapping[str, Any] | None) -> Iterator[str]:
    if mates is None:
        yield from _field("Pack-mates", "not known: no sounds can be seen in its folder")
        return
    if not mates["others"]:
        yield from _field("Pack-mates", "none: it is the only sound of its folder")
        return
    yield from _field("Pack-mates", f"{mates['count']} names stand for the folder, among them")
    for name in mates["others"]:
        yield f"{'':{_INDENT}}{shorten(name, _NAME_WIDTH).rstrip()}"
    say = ", ".join(f"{count} {category}" for category, count in mates["say"].items())
    yield from _field("Each alone", say)


def _by_products(known: Mapping[str, Any]) -> str:
    said = []
    for name, label, unit in (
        ("tempo", "tempo", " BPM"),
        ("key", "key", ""),
        ("playback", "played as", ""),
        ("instrument", "instrument", ""),
    ):
        column = {"tempo": "tempo_bpm", "key": "musical_key"}.get(name, name)
        if known[column] is not None:
            value = f"{known[column]:g}" if name == "tempo" else known[column]
            said.append(f"{label} {value}{unit} ({known[f'{name}_source']})")
    return ", ".join(said)
