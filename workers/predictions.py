"""What is asked of the model about sounds, its answers, and what else names and headers say."""

import functools
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from classifier.files.paths import readable_name
from classifier.headers.reader import AudioHeader
from classifier.model.evidence import evidence_of
from classifier.model.header_features import header_matrix
from classifier.names.attributes import Attributes, attributes_of
from classifier.names.folder_context import folder_words as words_of_folders
from classifier.names.folder_context import prefixed_name
from db.results.sounds import Prediction
from workers.settings import Settings

if TYPE_CHECKING:
    from classifier.model.classifier import Answers, Classifier
    from classifier.names.pack_mates import PackMates


class Question(NamedTuple):
    """One sound as the model is asked about it.

    Attributes
    ----------
    name : str
        With its folders' words in front where it says nothing and they do.
    folder_spoke : bool
        Whether folders' words stand in the name.
    """

    name: str
    header: AudioHeader
    pack_mates: "PackMates | None" = None
    folder_spoke: bool = False


def question(
    path: str, header: AudioHeader, pack_mates: "PackMates | None", *, folder_words: bool
) -> Question:
    """Return what is asked about a sound.

    Parameters
    ----------
    path : str
        As the ledger has it: its folders are those below the library root.
    pack_mates : PackMates or None
        From `workers.reading.folder_cache.FolderCache`.
    folder_words : bool
        Whether folders speak where the name says nothing.
    """
    name = readable_name(posixpath.basename(path))
    spoken = prefixed_name(_words_of(posixpath.dirname(path)), name) if folder_words else name
    return Question(spoken, header, pack_mates, folder_spoke=spoken != name)


@functools.lru_cache(maxsize=1024)  # the files of a folder come one after the other
def _words_of(folder: str) -> str:
    return words_of_folders(_readable(folder))


def answers(classifier: "Classifier", questions: Sequence[Question]) -> list[Prediction]:
    """Ask the model about sounds, all at once.

    Returns
    -------
    list of Prediction
        One per question; it depends on no other.
    """
    return predictions(classifier, questions, ask(classifier, questions))


def ask(classifier: "Classifier", questions: Sequence[Question]) -> "Answers":
    """Return all that a model says of sounds, also from less than everything."""
    return classifier.answers(
        [asked.name for asked in questions],
        header_matrix([asked.header for asked in questions]),
        [asked.pack_mates for asked in questions],
    )


def predictions(
    classifier: "Classifier", questions: Sequence[Question], found: "Answers"
) -> list[Prediction]:
    """Return what is kept of a model's answers to these questions."""
    best, by_name, by_mates = (
        probabilities.argmax(axis=1).tolist()
        for probabilities in (found.probabilities, found.by_name, found.by_pack_mates)
    )
    version, review_below = classifier.version, classifier.review_below
    rows, tokens = found.probabilities.tolist(), found.tokens.tolist()
    return [
        Prediction(
            tuple(row),
            version,
            evidence_of(category, name, pack_mates, folder_spoke=asked.folder_spoke),
            row[category] < review_below,
            *counts,
        )
        for asked, row, category, name, pack_mates, counts in zip(
            questions, rows, best, by_name, by_mates, tokens, strict=True
        )
    ]


def sound_attributes(path: str, header: AudioHeader, settings: Settings) -> Attributes:
    """Return what is known of a sound beside its category."""
    folder, _, name = path.rpartition("/")
    return attributes_of(
        readable_name(name), header, _readable(folder), folder_words=settings.folder_words
    )


@functools.lru_cache(maxsize=1024)  # the files of a folder come one after the other
def _readable(folder: str) -> tuple[str, ...]:
    return tuple(readable_name(part) for part in folder.split("/")) if folder else ()
