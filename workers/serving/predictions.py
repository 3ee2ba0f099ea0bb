"""Model inputs and predictions of sounds, and their other attributes."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from classifier.files.paths import readable_name
from classifier.headers.reader import AudioHeader
from classifier.model.evidence import evidence_of
from classifier.model.header_features import header_matrix
from classifier.names import folder_context
from classifier.names.attributes import Attributes, attributes_of
from db.results.sounds import Prediction
from workers.settings import Settings

if TYPE_CHECKING:
    from classifier.model.classifier import Answers, Classifier
    from classifier.names.pack_mates import PackMates


class ModelInput(NamedTuple):
    """A sound as the model gets it."""

    #: With the words of its folders in front where the name is uninformative.
    name: str
    header: AudioHeader
    pack_mates: "PackMates | None" = None
    has_folder_words: bool = False


def model_input(
    path: str, header: AudioHeader, pack_mates: "PackMates | None", *, folder_words: bool
) -> ModelInput:
    """Return the model input of a sound; `folder_words` as the setting of that name."""
    folder, _, name = path.rpartition("/")
    own_name = readable_name(name)
    full_name = (
        folder_context.prefixed_name(_words_of(folder), own_name) if folder_words else own_name
    )
    return ModelInput(full_name, header, pack_mates, has_folder_words=full_name != own_name)


@functools.lru_cache(maxsize=1024)  # consecutive files are mostly of one folder
def _words_of(folder: str) -> str:
    return folder_context.folder_words(_readable(folder))


def predict(classifier: "Classifier", inputs: Sequence[ModelInput]) -> list[Prediction]:
    """Return the prediction of each sound, which depends on no other."""
    return predictions(classifier, inputs, answers(classifier, inputs))


def answers(classifier: "Classifier", inputs: Sequence[ModelInput]) -> "Answers":
    """Return the model's predictions with the intermediate ones."""
    return classifier.answers(
        [sound.name for sound in inputs],
        header_matrix([sound.header for sound in inputs]),
        [sound.pack_mates for sound in inputs],
    )


def predictions(
    classifier: "Classifier", inputs: Sequence[ModelInput], answers: "Answers"
) -> list[Prediction]:
    """Return the part of a model's answers that is stored."""
    best, by_name, by_pack_mates = (
        probabilities.argmax(axis=1).tolist()
        for probabilities in (answers.probabilities, answers.by_name, answers.by_pack_mates)
    )
    version, review_below = classifier.version, classifier.review_below
    rows, tokens = answers.probabilities.tolist(), answers.tokens.tolist()
    return [
        Prediction(
            tuple(row),
            version,
            evidence_of(category, name, pack_mates, has_folder_words=sound.has_folder_words),
            row[category] < review_below,
            *counts,
        )
        for sound, row, category, name, pack_mates, counts in zip(
            inputs, rows, best, by_name, by_pack_mates, tokens, strict=True
        )
    ]


def sound_attributes(path: str, header: AudioHeader, settings: Settings) -> Attributes:
    """Return a sound's tempo, key, playback and instrument."""
    folder, _, name = path.rpartition("/")
    return attributes_of(
        readable_name(name), header, _readable(folder), folder_words=settings.folder_words
    )


@functools.lru_cache(maxsize=1024)  # consecutive files are mostly of one folder
def _readable(folder: str) -> tuple[str, ...]:
    return tuple(readable_name(part) for part in folder.split("/")) if folder else ()
