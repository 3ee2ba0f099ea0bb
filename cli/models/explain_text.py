"""The text of `cratesort explain`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from classifier.model.evidence import Evidence
from cli.console.output import counted, output_width
from cli.console.text_tables import labelled, shortened, table_lines

_INDENT: Final = 14

_DECIDED: Final = {
    Evidence.FOLDER: "with the folder names, {words}",
    Evidence.NAME: "in the name, {words}",
    Evidence.PACK_MATES: "the name has no known word, but other names in the folder do",
    Evidence.CONTRADICTED: "known words in the name or in the folder's other names contradict it",
    Evidence.NONE: "no known word supports it; it is a guess",
    Evidence.FORMAT: "a MIDI file contains notes and no audio, whatever its name",
}


def lines(sound: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of one explanation from `workers.serving.explanation` line by line."""
    yield shortened(sound["path"], output_width())
    if sound["label"] is not None:
        origin = f"labelled by {sound['labelled_by']} ({sound['label_source']})"
        yield _field("Category", f"{sound['label']}, {origin}")
    if sound["error_code"] is not None:
        yield _field("No category", f"{sound['error_code']}: {sound['error_message']}")
        return
    best, *others = sound["top3"]
    title = "Category" if sound["label"] is None else "Model"
    yield _field(
        title, f"{_prediction_text(best)}, then {', '.join(map(_prediction_text, others))}"
    )
    yield _field("Review", _review(sound))
    yield _field("Decided by", f"{sound['evidence']}: {_decided(sound)}")
    if sound["note"]:
        yield _field("Note", sound["note"])
    yield ""
    yield _field("Read as", sound["name_read"])
    if sound["folder_words"]:
        yield _field("Folders", f"read before the name: {' '.join(sound['folder_words'])}")
    unread = sound["tokens_not_read"]
    note = f" ({counted(unread, 'token')} in the middle not read)" if unread else ""
    yield _field("Tokens", " ".join(sound["tokens"]) + note)
    yield from _words(sound)
    yield ""
    yield _field("Header", _header(sound["header"]))
    chunks = sound["header"]["chunks"]
    if chunks is not None and (text := _chunks(chunks)):
        yield _field("Chunks", text)
    yield from _mates(sound["mates"])
    predictions = sound["predictions"]
    yield _field("Name alone", _prediction_text(predictions["name"]))
    if predictions["name_and_folders"] is not None:
        yield _field("With folder", _prediction_text(predictions["name_and_folders"]))
    if predictions["name_and_mates"] is not None:
        yield _field("With mates", _prediction_text(predictions["name_and_mates"]))
    yield _field("Everything", _prediction_text(predictions["everything"]))
    attributes = _by_products(sound["by_products"])
    if attributes:
        yield ""
        yield _field("Also known", attributes)
    yield _field("Version", sound["model_version"])


def _field(label: str, text: str) -> str:
    return labelled(f"  {label}", text, _INDENT)


def _prediction_text(prediction: Mapping[str, Any]) -> str:
    return f"{prediction['category']} {prediction['probability']:.2f}"


def _review(sound: Mapping[str, Any]) -> str:
    if sound["evidence"] == Evidence.FORMAT:
        return "not needed: the file format decides"
    if sound["label"] is not None:
        return "not needed: it has a label"
    if sound["evidence"] == Evidence.CONTRADICTED:
        return "needed: known words contradict the category"
    if sound["evidence"] == Evidence.NONE:
        return "needed: no known word supports the category"
    if sound["needs_review"]:
        return f"needed: the confidence is below {sound['review_below']:.2f}"
    return f"not needed: the confidence is at least {sound['review_below']:.2f}"


def _decided(sound: Mapping[str, Any]) -> str:
    """Return what the evidence is. How much a word changes the prediction, `_words` shows."""
    words = [f"'{word}'" for word in sound["known_words"]]
    listed = f"{' and '.join(words)} {'is' if len(words) == 1 else 'are'}"
    return _DECIDED[sound["evidence"]].format(words=f"{listed} known for {sound['category']}")


def _words(sound: Mapping[str, Any]) -> Iterator[str]:
    if not sound["words"]:
        yield _field("Words", f"no single word changes the probability of {sound['category']}")
        return
    yield _field("Words", f"probability of {sound['category']} without each word")
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
        return "from a folder name"
    return str(word["token"]) if word["token"].startswith("<") else ""


def _listed(values: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return the known values in one line, each formatted with its text."""
    parts = [text.format(values[name]) for name, text in texts.items() if values[name] is not None]
    return ", ".join(parts)


def _header(header: Mapping[str, Any]) -> str:
    plural = "" if header["channels"] == 1 else "s"
    texts = {
        "duration_seconds": "{:,.3f} s",
        "bars": "{:,.2f} bars of 4/4",
        "sample_rate_hz": "{:,} Hz",
        "channels": "{} channel" + plural,
        "sample_type": "{}",
        "file_size": "{:,} bytes",
    }
    return _listed(header, texts) or "no values"


def _chunks(chunks: Mapping[str, Any]) -> str:
    phrases = {
        "is_one_shot": {True: "a one-shot", False: "a loop"},
        "is_minor": {True: "minor", False: "major"},
        "has_sustain_loop": {True: "a sustain loop"},
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
        "key_words": "keywords {}",
    }
    flags = {name: phrase.get(chunks[name]) for name, phrase in phrases.items()}
    return _listed({**chunks, **flags}, texts)


def _mates(mates: Mapping[str, Any] | None) -> Iterator[str]:
    if mates is None:
        yield _field("Pack-mates", "unknown: its folder cannot be listed or has no sounds")
        return
    if not mates["others"]:
        yield _field("Pack-mates", "none: it is the only sound in its folder")
        return
    yield _field("Pack-mates", f"{counted(mates['count'], 'name')} from the folder, for example")
    width = output_width()
    for name in mates["others"]:
        yield f"{'':{_INDENT}}{shortened(name, width and width - _INDENT)}"
    categories = ", ".join(f"{count} {name}" for name, count in mates["categories"].items())
    yield _field("", f"predicted from each name alone: {categories}")


def _by_products(values: Mapping[str, Any]) -> str:
    texts = {
        "tempo_bpm": "tempo {:g} BPM",
        "musical_key": "key {}",
        "playback": "played as {}",
        "instrument": "instrument {}",
    }
    sources = {"tempo_bpm": "tempo_source", "musical_key": "key_source"}
    return _listed(
        values,
        {
            name: f"{text} ({values[sources.get(name, f'{name}_source')]})"
            for name, text in texts.items()
        },
    )
