"""``cratesort explain``: why a sound has the category it has.

The model is asked once more, as `ingest` asks it, and then with less: without one word of the name,
without the mates, without the header. Nothing is read from the results and nothing is written.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from classifier.files.paths import path_text, printable
from cli.console.exit_codes import Exit
from cli.console.options import json_option
from cli.console.output import print_json, say
from cli.console.session import opened_database
from cli.models.explain_text import lines
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from classifier.headers.reader import AudioHeader
    from classifier.model.classifier import Classifier
    from classifier.names.pack_mates import PackMates
    from tasks.producer.locator import Place
    from workers.predictions import Question
    from workers.reading.folder_cache import Folders
    from workers.settings import Settings

#: A word that changes the answer's probability by less than this did not matter.
_LEAST_CHANGE: Final = 0.01

_MATES_NAMED: Final = 5

#: Each is one more question; what comes after it in a hostile name goes unexplained.
_MOST_WORDS: Final = 64

_NUMBER: Final = re.compile(r"\d+")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@json_option
def explain(paths: tuple[str, ...], as_json: bool) -> None:
    """Say why each file has the category it has, read anew as ingest reads it.

    What it rests on, the tokens the model read, what each word of the name did, the header, the
    folder's other names, and what is known beside the category. Nothing is written.

    Exit code: 0 done; 1 done, but some files cannot be read; 2 wrong usage or configuration.
    """
    for path in paths:
        if os.path.isdir(path):
            raise click.UsageError(f"{_shown(path)} is a folder: name files in it")
        if not os.path.lexists(path):
            raise click.UsageError(f"{_shown(path)}: no such file; name files that are there")

    from workers.reading.folder_cache import Folders
    from workers.serving_model import ServingModel

    set_up_logging("WARNING")
    with opened_database() as (settings, database):
        classifier = ServingModel(settings.engine).current(database)
    folders = Folders()
    sounds: list[dict[str, Any]] = []
    for path in paths:
        sound = _explained(path, classifier, folders, settings)
        if not as_json:
            if sounds:
                say()
            for line in lines(sound):
                say(line)
        sounds.append(sound)
    if as_json:
        print_json({"sounds": sounds})
    failed = any(sound["error_code"] is not None for sound in sounds)
    sys.exit(Exit.SOME_FAILED if failed else Exit.DONE)


def _shown(path: str) -> str:
    return printable(path_text(path))


def _place(resolved: bytes, settings: "Settings") -> "Place":
    """Return where `ingest` finds a file; below no root where it would refuse it.

    It refuses what other hosts would not find, and here no other host is asked.
    """
    from tasks.producer.locator import Locator, OutsideRootsError, Place
    from workers.settings import ABSOLUTE_ROOT

    try:
        return Locator(settings).place(resolved)
    except OutsideRootsError:
        return Place(ABSOLUTE_ROOT, b"")


def _explained(
    given: str, classifier: "Classifier", folders: "Folders", settings: "Settings"
) -> dict[str, Any]:
    from classifier.errors import SoundError
    from classifier.files.safe_open import open_root
    from workers.classification import read_sound
    from workers.predictions import question, sound_attributes
    from workers.settings import ABSOLUTE_ROOT

    resolved = os.path.realpath(os.fsencode(given))
    place = _place(resolved, settings)
    absolute = place.root == ABSOLUTE_ROOT
    path = path_text(resolved if absolute else resolved[len(place.folder) + 1 :])
    about: dict[str, Any] = {"path": path, "root": place.root}
    root_fd = open_root(os.fsdecode(place.folder) or "/")
    try:
        read = read_sound(root_fd, place.root, path)
        if isinstance(read.outcome, SoundError):
            code, message = read.outcome.code, read.outcome.message
            return about | {"error_code": code, "error_message": message, "category": None}
        (pack_mates,) = folders.pack_mates(
            place.root, root_fd, [path], folder_words=settings.folder_words
        )
    finally:
        os.close(root_fd)
    header = read.outcome.header
    asked = question(path, header, pack_mates, folder_words=settings.folder_words)
    known = sound_attributes(path, header, settings)
    return (
        about
        | {"error_code": None, "error_message": None, "note": read.outcome.note}
        | _answer(asked, classifier)
        | {
            "header": _header(header, known.tempo_bpm),
            "mates": _mates(asked.name, pack_mates, classifier),
        }
        | {"by_products": {name: getattr(known, name) for name in type(known).__dataclass_fields__}}
    )


def _answer(asked: "Question", classifier: "Classifier") -> dict[str, Any]:
    from classifier.categories import CATEGORIES
    from classifier.model.vocabulary import SEQUENCE_LENGTH, first_and_last
    from classifier.names.tokens import tokenise
    from db.results.queries import top3
    from workers.predictions import ask, predictions

    found = ask(classifier, [asked])
    (prediction,) = predictions(classifier, [asked], found)

    def said(row: Sequence[float]) -> dict[str, Any]:
        category, probability = top3(row)[0]
        return {"category": category, "probability": round(probability, 4)}

    counting = frozenset() if asked.pack_mates is None else asked.pack_mates.counting(asked.name)
    tokens = tokenise(asked.name, counting)
    return {
        "category": CATEGORIES[prediction.best],
        "confidence": round(prediction.probabilities[prediction.best], 4),
        "top3": [
            {"category": category, "probability": round(probability, 4)}
            for category, probability in top3(prediction.probabilities)
        ],
        "needs_review": prediction.needs_review,
        "review_below": round(classifier.review_below, 4),
        "evidence": prediction.evidence,
        "model_version": prediction.model_version,
        "name_read": asked.name,
        "tokens": list(first_and_last(tokens, SEQUENCE_LENGTH)),
        "tokens_not_read": max(0, len(tokens) - SEQUENCE_LENGTH),
        "words": _words(asked, classifier, prediction.best, prediction.probabilities),
        "says": {
            "name": said(found.by_name[0].tolist()),
            "name_and_mates": None
            if asked.pack_mates is None
            else said(found.by_pack_mates[0].tolist()),
            "everything": said(found.probabilities[0].tolist()),
        },
    }


def _words(
    asked: "Question", classifier: "Classifier", best: int, probabilities: Sequence[float]
) -> list[dict[str, Any]]:
    """Return what the answer's probability is without each word, the most telling word first.

    Pack-mates and header stay.
    """
    cuts = words_cut(asked.name, asked.pack_mates)[:_MOST_WORDS]
    if not cuts:
        return []
    found = classifier.predict(
        [cut.name for cut in cuts], [asked.header] * len(cuts), [cut.pack_mates for cut in cuts]
    )
    told = [
        {
            "word": cut.word,
            "token": cut.token,
            "without": without,
            "change": without - probabilities[best],
        }
        for cut, without in zip(cuts, found[:, best].tolist(), strict=True)
    ]
    told = [word for word in told if abs(word["change"]) >= _LEAST_CHANGE]
    told.sort(key=lambda word: -abs(word["change"]))
    return [
        word | {"without": round(word["without"], 4), "change": round(word["change"], 4)}
        for word in told
    ]


class Cut(NamedTuple):
    """A name that lost one word.

    Attributes
    ----------
    word : str
        What was cut out.
    token : str
        As what it was read.
    name : str
        What is left.
    pack_mates : PackMates or None
        Whose numbers count the files of the folder in this name, too.
    """

    word: str
    token: str
    name: str
    pack_mates: "PackMates | None"


def words_cut(name: str, pack_mates: "PackMates | None" = None) -> list[Cut]:
    """Return a name without each of its words, in the order of the name.

    Parameters
    ----------
    name : str
        A base name.

    Examples
    --------
    >>> [tuple(cut)[:3] for cut in words_cut("Bass 128 bpm.wav")]
    [('Bass', 'bass', '  128 bpm.wav'), ('128 bpm', '<bpm>', 'Bass  .wav')]
    """
    from classifier.names.tokens import clean_name, placed_tokens

    clean = clean_name(name)
    counting = frozenset() if pack_mates is None else pack_mates.counting(name)
    cuts = []
    for token, start, end in placed_tokens(name, counting):
        # A space stays where the word was: its neighbours must not become one word.
        left = f"{clean[:start]} {clean[end:]}"
        kept = pack_mates
        if pack_mates is not None and counting:
            # `87` of `SNARE87` counts files without its word, too: it must not become a tempo.
            starts = [found.start() for found in _NUMBER.finditer(clean)]
            slots = [at in counting for at in starts if not start <= at < end]
            template = _NUMBER.sub("#", left.strip())
            series = {(template, slot) for slot, counts in enumerate(slots) if counts}
            kept = replace(pack_mates, counters=pack_mates.counters | series)
        cuts.append(Cut(clean[start:end], token, f"{left}.wav", kept))
    return cuts


def _header(header: "AudioHeader", tempo_bpm: float | None) -> dict[str, Any]:
    info = header.loop_info
    seconds = header.duration_seconds
    bars = None
    if seconds is not None and tempo_bpm is not None:
        bars = round(seconds * tempo_bpm / 240, 3)
    return {
        "file_size": header.file_size_bytes,
        "duration_seconds": seconds,
        "bars": bars,
        "sample_rate_hz": header.sample_rate_hz,
        "channels": header.channels,
        "frame_count": header.frame_count,
        "sample_type": header.sample_type,
        "chunks": None if info is None else {name: getattr(info, name) for name in info._fields},
    }


def _mates(
    name: str, pack_mates: "PackMates | None", classifier: "Classifier"
) -> dict[str, Any] | None:
    if pack_mates is None:
        return None
    others = [other for other in pack_mates.names if other != name]
    return {
        "count": len(pack_mates.names),
        "others": others[:_MATES_NAMED],
        "say": _said_of_each(pack_mates, classifier),
    }


def _said_of_each(pack_mates: "PackMates", classifier: "Classifier") -> dict[str, int]:
    """Return how many of the names, each by itself, are of which category, commonest first."""
    from classifier.categories import CATEGORIES
    from classifier.headers.reader import AudioHeader
    from classifier.model.header_features import header_matrix

    unknown = header_matrix(
        [AudioHeader(None, None, None, None, None, None)] * len(pack_mates.names)
    )
    found = classifier.answers(pack_mates.names, unknown, [pack_mates] * len(pack_mates.names))
    best = found.by_name.argmax(axis=1).tolist()
    return dict(Counter(CATEGORIES[index] for index in best).most_common())
