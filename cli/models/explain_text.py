"""The text of `cratesort explain`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from classifier.model.evidence import Evidence
from cli.console.output import output_width
from cli.console.text_tables import labelled, shortened, table_lines

_INDENT: Final = 14

_DECIDED: Final = {
    Evidence.FOLDER: "the name says nothing; its folders' words do",
    Evidence.NAME: "words of the name speak for it",
    Evidence.PACK_MATES: "the name says nothing; its pack-mates' words do",
    Evidence.CONTRADICTED: "words of the name or of its pack-mates speak against it",
    Evidence.NONE: "no word speaks for it: a guess",
    Evidence.FORMAT: "a MIDI file holds notes and no sound, whatever its name says",
}


def lines(sound: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of one explanation from `workers.serving.explanation` line by line."""
    yield shortened(sound["path"], output_width())
    if sound["label"] is not None:
        whose = f"the label of {sound['labelled_by']} ({sound['label_source']})"
        yield _field("Filed as", f"{sound['label']}: {whose}")
    if sound["error_code"] is not None:
        yield _field("No category", f"{sound['error_code']}: {sound['error_message']}")
        return
    best, *others = sound["top3"]
    by = "Category" if sound["label"] is None else "The model"
    yield _field(by, f"{_prediction(best)}, then {', '.join(map(_prediction, others))}")
    yield _field("Review", _review(sound))
    yield _field("Decided by", f"{sound['evidence']}: {_DECIDED[sound['evidence']]}")
    if sound["note"]:
        yield _field("Note", sound["note"])
    yield ""
    yield _field("Read as", sound["name_read"])
    if sound["folder_words"]:
        yield _field("Folders", f"put before the name: {' '.join(sound['folder_words'])}")
    unread = sound["tokens_not_read"]
    more = f" ({unread} in the middle are not read)" if unread else ""
    yield _field("Tokens", " ".join(sound["tokens"]) + more)
    yield from _words(sound)
    yield ""
    yield _field("Header", _header(sound["header"]))
    chunks = sound["header"]["chunks"]
    if chunks is not None and (text := _chunks(chunks)):
        yield _field("Chunks", text)
    yield from _mates(sound["mates"])
    predictions = sound["predictions"]
    yield _field("Name alone", _prediction(predictions["name"]))
    if predictions["name_and_folders"] is not None:
        yield _field("With folder", _prediction(predictions["name_and_folders"]))
    if predictions["name_and_mates"] is not None:
        yield _field("With mates", _prediction(predictions["name_and_mates"]))
    yield _field("Everything", _prediction(predictions["everything"]))
    known = _by_products(sound["by_products"])
    if known:
        yield ""
        yield _field("Known, too", known)
    yield _field("Model", sound["model_version"])


def _field(label: str, text: str) -> str:
    return labelled(f"  {label}", text, _INDENT)


def _prediction(answer: Mapping[str, Any]) -> str:
    return f"{answer['category']} {answer['probability']:.2f}"


def _review(sound: Mapping[str, Any]) -> str:
    if sound["evidence"] == Evidence.FORMAT:
        return "not needed: its format decides"
    if sound["label"] is not None:
        return "not needed: it has a label"
    if sound["evidence"] in (Evidence.CONTRADICTED, Evidence.NONE):
        return "needed: no word that makers of sounds use supports it"
    if sound["needs_review"]:
        return f"needed: the model is not sure below {sound['review_below']:.2f}"
    return f"not needed: the model is sure from {sound['review_below']:.2f} on"


def _words(sound: Mapping[str, Any]) -> Iterator[str]:
    if not sound["words"]:
        yield _field("Words", f"none alone makes {sound['category']} more or less likely")
        return
    yield _field("Words", f"{sound['category']} would have, without")
    rows = [
        (
            word["word"],
            f"{word['without']:.2f}",
            f"({word['change']:+.2f})",
            _kind(word),
        )
        for word in sound["words"]
    ]
    yield from table_lines(rows, "<>><", cut=0, width=output_width(), indent=_INDENT)


def _kind(word: Mapping[str, Any]) -> str:
    if word["source"] == "folder":
        return "of its folders"
    return str(word["token"]) if word["token"].startswith("<") else ""


def _listed(values: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return the known values in one line, each formatted with its text."""
    known = [text.format(values[name]) for name, text in texts.items() if values[name] is not None]
    return ", ".join(known)


def _header(header: Mapping[str, Any]) -> str:
    plural = "" if header["channels"] == 1 else "s"
    texts = {
        "duration_seconds": "{:,.3f} s",
        "bars": "{:,.2f} bars of 4/4 at its tempo",
        "sample_rate_hz": "{:,} Hz",
        "channels": "{} channel" + plural,
        "sample_type": "{}",
        "file_size": "{:,} bytes",
    }
    return _listed(header, texts) or "it states nothing"


def _chunks(chunks: Mapping[str, Any]) -> str:
    words = {
        "is_one_shot": {True: "a one-shot", False: "a loop"},
        "is_minor": {True: "minor", False: "major"},
        "has_sustain_loop": {True: "a part to sustain"},
    }
    texts = {
        "is_one_shot": "{}",
        "tempo_bpm": "{:g} BPM",
        "beats": "{} beats",
        "root_note": "root note {}",
        "is_minor": "{}",
        "has_sustain_loop": "{}",
        "title": "title {}",
        "genre": "genre {}",
        "key_words": "key words {}",
    }
    spoken = {name: word.get(chunks[name]) for name, word in words.items()}
    return _listed({**chunks, **spoken}, texts)


def _mates(mates: Mapping[str, Any] | None) -> Iterator[str]:
    if mates is None:
        yield _field("Pack-mates", "not known: no sounds can be seen in its folder")
        return
    if not mates["others"]:
        yield _field("Pack-mates", "none: it is the only sound of its folder")
        return
    yield _field("Pack-mates", f"{mates['count']} names stand for the folder, among them")
    width = output_width()
    for name in mates["others"]:
        yield f"{'':{_INDENT}}{shortened(name, width and width - _INDENT)}"
    counts = ", ".join(f"{count} {category}" for category, count in mates["categories"].items())
    yield _field("Each alone", counts)


def _by_products(known: Mapping[str, Any]) -> str:
    texts = {
        "tempo_bpm": "tempo {:g} BPM",
        "musical_key": "key {}",
        "playback": "played as {}",
        "instrument": "instrument {}",
    }
    sources = {"tempo_bpm": "tempo_source", "musical_key": "key_source"}
    return _listed(
        known,
        {
            name: f"{text} ({known[sources.get(name, f'{name}_source')]})"
            for name, text in texts.items()
        },
    )
