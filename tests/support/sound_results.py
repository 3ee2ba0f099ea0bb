"""Results of sounds, as a worker writes them."""

from dataclasses import replace

from classifier.categories import CATEGORIES
from classifier.errors import ErrorCode
from classifier.headers.reader import AudioHeader
from db.results.sounds import Failure, Prediction, SoundResult

HEADER = AudioHeader(1234, 0.5, 44100, 2, 22050, "PCM_24")


def predicted(path, category="drum", confidence=0.75, **changed):
    """A result of a sound that was classified."""
    rest = (1 - confidence) / (len(CATEGORIES) - 1)
    probabilities = tuple(confidence if name == category else rest for name in CATEGORIES)
    result = SoundResult(
        root="library",
        path=path,
        pack="a pack",
        vendor="a vendor",
        file_size_bytes=1234,
        mtime_ns=1_700_000_000_123_456_789,
        header=HEADER,
        outcome=Prediction(probabilities, "model-1"),
    )
    return replace(result, **changed)


def failed(path, code=ErrorCode.TRUNCATED, **changed):
    """A result of a sound that has no category."""
    return predicted(path, header=None, outcome=Failure(code, "it is cut"), **changed)
