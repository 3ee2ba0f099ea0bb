"""Model inputs and predictions of sounds, and their other attributes."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from classifier.categories import CATEGORIES
from classifier.files.paths import readable_name
from classifier.headers.reader import AudioHeader
from classifier.model.confidence import needs_review
from classifier.model.evidence import Evidence, evidence_of
from classifier.model.header_features import header_matrix
from classifier.names import folder_context
from classifier.names.attributes import Attributes, attributes_of
from db.results.sounds import Prediction
from workers.settings import Settings

if TYPE_CHECKING:
    from classifier.model.classifier import Classifier, DetailedPredictions
    from classifier.names.pack_mates import PackMates


#: A MIDI file contains notes and no sound: its category follows from the format.
_MIDI_PROBABILITIES: Final = tuple(float(category == "stems-n-midi") for category in CATEGORIES)


class ModelInput(NamedTuple):
    """The model's input for one sound, or a MIDI file."""

    #: The file's name, after words of its folders if the name is uninformative.
    name: str
    header: AudioHeader
    pack_mates: "PackMates | None" = None
    #: The words of its folders; empty if the name is used alone.
    folder_words: str = ""
    is_midi: bool = False

    @property
    def own_name(self) -> str:
        """The name without the words of its folders."""
        return self.name.removeprefix(self.folder_words).removeprefix(" ")

    @property
    def has_folder_words(self) -> bool:
        """Whether words of its folders stand before the name."""
        return bool(self.folder_words)


def model_input(
    path: str,
    header: AudioHeader,
    pack_mates: "PackMates | None",
    *,
    folder_words: bool,
    is_midi: bool = False,
) -> ModelInput:
    """Return the model input of a sound; `folder_words` as the setting of that name."""
    folder, _, name = path.rpartition("/")
    own_name = readable_name(name)
    words = _words_of(folder) if folder_words else ""
    full_name = folder_context.prefixed_name(words, own_name)
    return ModelInput(
        full_name, header, pack_mates, words if full_name != own_name else "", is_midi
    )


@functools.lru_cache(maxsize=1024)  # consecutive files are mostly of one folder
def _words_of(folder: str) -> str:
    return folder_context.folder_words(_readable(folder))


def predict(classifier: "Classifier", inputs: Sequence[ModelInput]) -> list[Prediction]:
    """Return the prediction of each file, which does not depend on the other inputs."""
    return predictions(classifier, inputs, predict_detailed(classifier, inputs))


def predict_detailed(
    classifier: "Classifier", inputs: Sequence[ModelInput]
) -> "DetailedPredictions":
    """Return the model's predictions with the intermediate ones."""
    return classifier.predict_detailed(
        [sound.name for sound in inputs],
        header_matrix([sound.header for sound in inputs]),
        [sound.pack_mates for sound in inputs],
    )


def predictions(
    classifier: "Classifier", inputs: Sequence[ModelInput], detailed: "DetailedPredictions"
) -> list[Prediction]:
    """Return the predictions to store; MIDI files get the category of their format."""
    return [
        replace(
            prediction,
            probabilities=_MIDI_PROBABILITIES,
            evidence=Evidence.FORMAT,
            needs_review=False,
        )
        if sound.is_midi
        else prediction
        for sound, prediction in zip(inputs, _by_model(classifier, inputs, detailed), strict=True)
    ]


def _by_model(
    classifier: "Classifier", inputs: Sequence[ModelInput], detailed: "DetailedPredictions"
) -> list[Prediction]:
    confidence = detailed.probabilities.max(axis=1, initial=0)
    unsure = needs_review(detailed.kinds, confidence, classifier.review_below)
    return [
        Prediction(
            tuple(row),
            classifier.version,
            evidence_of(kind, has_folder_words=sound.has_folder_words),
            is_unsure,
            *counts,
        )
        for sound, row, kind, is_unsure, counts in zip(
            inputs,
            detailed.probabilities.tolist(),
            detailed.kinds.tolist(),
            unsure.tolist(),
            detailed.tokens.tolist(),
            strict=True,
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
