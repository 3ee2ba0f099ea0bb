"""Explaining a sound's category by predictions from less evidence.

The model predicts once as for `ingest`, then from the name alone, from the name and its pack-mates
without the header, and without each single word of the name.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES
from classifier.errors import SoundError
from classifier.headers.reader import AudioHeader
from classifier.model.classifier import Classifier
from classifier.model.header_features import header_matrix
from classifier.model.vocabulary import SEQUENCE_LENGTH, first_and_last
from classifier.names.cleaning import clean_name
from classifier.names.pack_mates import PackMates
from classifier.names.tokens import placed_tokens, tokenise
from db.results.queries import top3
from db.results.sounds import Prediction
from workers.library_roots import OpenRoot
from workers.reading.folder_cache import FolderCache
from workers.reading.sound_headers import read_sound
from workers.serving.predictions import (
    ModelInput,
    model_input,
    predict_detailed,
    predictions,
    sound_attributes,
)
from workers.settings import Settings

#: Words that change the category's probability by less than this are left out.
_LEAST_CHANGE: Final = 0.01

_MATES_NAMED: Final = 5

#: Most words explained: each costs one prediction, and a hostile name may have very many.
_MOST_WORDS: Final = 64

_NUMBER: Final = re.compile(r"\d+")


def explanation(
    root: OpenRoot,
    path: str,
    *,
    classifier: Classifier,
    folders: FolderCache,
    settings: Settings,
) -> dict[str, Any]:
    """Return what ``cratesort explain --json`` prints for one file; `path` is as in the ledger."""
    about: dict[str, Any] = {"path": path, "root": root.root.name}
    read = read_sound(root, path)
    if isinstance(read.outcome, SoundError):
        error = {"error_code": read.outcome.code, "error_message": read.outcome.message}
        return about | error | {"category": None}
    (pack_mates,) = folders.pack_mates(root, [path], folder_words=settings.folder_words)
    header = read.outcome.header
    attributes = sound_attributes(path, header, settings)
    sound = model_input(
        path,
        header,
        pack_mates,
        folder_words=settings.folder_words,
        is_midi=read.outcome.is_midi,
    )
    return (
        about
        | {"error_code": None, "error_message": None, "note": read.outcome.note}
        | _answer(sound, classifier)
        | {
            "header": _header(header, attributes.tempo_bpm),
            "mates": _mates(sound.name, pack_mates, classifier),
            "by_products": asdict(attributes),
        }
    )


def _answer(sound: ModelInput, classifier: Classifier) -> dict[str, Any]:
    everything = predict_detailed(classifier, [sound])
    (prediction,) = predictions(classifier, [sound], everything)
    tokens = tokenise(sound.name, _counting(sound.name, sound.pack_mates))
    by_pack_mates = None if sound.pack_mates is None else _first(everything.by_pack_mates)
    own_name = predict_detailed(classifier, [sound._replace(name=sound.own_name)])
    return {
        "category": CATEGORIES[prediction.best],
        "confidence": round(prediction.probabilities[prediction.best], 4),
        "top3": _best(prediction.probabilities),
        "needs_review": prediction.needs_review,
        "review_below": round(classifier.review_below, 4),
        "evidence": prediction.evidence,
        "known_words": [] if sound.is_midi else classifier.known_words(tokens, prediction.best),
        "model_version": prediction.model_version,
        "name_read": sound.name,
        "folder_words": sound.folder_words.split(),
        "tokens": list(first_and_last(tokens, SEQUENCE_LENGTH)),
        "tokens_not_read": max(0, len(tokens) - SEQUENCE_LENGTH),
        "words": _words(sound, classifier, prediction),
        "predictions": {
            "name": _first(own_name.by_name),
            "name_and_folders": _first(everything.by_name) if sound.folder_words else None,
            "name_and_mates": by_pack_mates,
            "everything": _best(prediction.probabilities)[0],
        },
    }


def _first(probabilities: NDArray[np.float32]) -> dict[str, Any]:
    return _best(probabilities[0].tolist())[0]


def _best(probabilities: Sequence[float]) -> list[dict[str, Any]]:
    """Return the three most probable of the 12 categories."""
    return [
        {"category": category, "probability": round(probability, 4)}
        for category, probability in top3(probabilities)
    ]


def _counting(name: str, pack_mates: PackMates | None) -> frozenset[int]:
    """Return the positions of those numbers in a name that count the files of its folder."""
    return frozenset() if pack_mates is None else pack_mates.counting(name)


def _words(
    sound: ModelInput, classifier: Classifier, prediction: Prediction
) -> list[dict[str, Any]]:
    """Return the category's probability without each word, the largest change first.

    Pack-mates and header are kept.
    """
    cuts = words_cut(sound.name, sound.pack_mates)[:_MOST_WORDS]
    if not cuts or sound.is_midi:
        return []
    of_folders = len(placed_tokens(sound.folder_words))
    best, confidence = prediction.best, prediction.probabilities[prediction.best]
    probabilities = classifier.predict(
        [cut.name for cut in cuts], [sound.header] * len(cuts), [cut.pack_mates for cut in cuts]
    )
    words = [
        (cut, "folder" if place < of_folders else "name", without, without - confidence)
        for place, (cut, without) in enumerate(
            zip(cuts, probabilities[:, best].tolist(), strict=True)
        )
    ]
    words.sort(key=lambda word: -abs(word[3]))
    return [
        {
            "word": cut.word,
            "token": cut.token,
            "source": source,
            "without": round(without, 4),
            "change": round(change, 4),
        }
        for cut, source, without, change in words
        if abs(change) >= _LEAST_CHANGE
    ]


class Cut(NamedTuple):
    """A name without one word."""

    word: str
    #: As the model read the word.
    token: str
    #: The name without the word.
    name: str
    #: Changed so that numbers which count the folder's files do so in this name, too.
    pack_mates: PackMates | None


def words_cut(name: str, pack_mates: PackMates | None = None) -> list[Cut]:
    """Return a base name without each of its words, in the order of the name.

    >>> [tuple(cut)[:3] for cut in words_cut("Bass 128 bpm.wav")]
    [('Bass', 'bass', '  128 bpm.wav'), ('128 bpm', '<bpm>', 'Bass  .wav')]
    """
    clean = clean_name(name)
    counting = _counting(name, pack_mates)
    cuts = []
    for token, start, end in placed_tokens(name, counting):
        # A space stays where the word was: its neighbours must not become one word.
        left = f"{clean[:start]} {clean[end:]}"
        adjusted = pack_mates
        if pack_mates is not None and counting:
            # `87` of `SNARE87` is a counter without its word, too: it must not become a tempo.
            starts = [number.start() for number in _NUMBER.finditer(clean)]
            slots = [at in counting for at in starts if not start <= at < end]
            template = _NUMBER.sub("#", left.strip())
            series = {(template, slot) for slot, counts in enumerate(slots) if counts}
            adjusted = replace(pack_mates, counters=pack_mates.counters | series)
        cuts.append(Cut(clean[start:end], token, f"{left}.wav", adjusted))
    return cuts


def _header(header: AudioHeader, tempo_bpm: float | None) -> dict[str, Any]:
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
    name: str, pack_mates: PackMates | None, classifier: Classifier
) -> dict[str, Any] | None:
    if pack_mates is None:
        return None
    names = pack_mates.names
    unknown = header_matrix([AudioHeader(None, None, None, None, None, None)] * len(names))
    by_name = classifier.predict_detailed(names, unknown, [pack_mates] * len(names)).by_name
    categories = Counter(CATEGORIES[index] for index in by_name.argmax(axis=1).tolist())
    return {
        "count": len(names),
        "others": [other for other in names if other != name][:_MATES_NAMED],
        # How many of the names, each by itself, are predicted as each category.
        "categories": dict(categories.most_common()),
    }
