"""What the unit tests share: a header read from bytes, and a file that is all there is."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

from classifier import containers
from classifier.errors import SoundError
from classifier.headers import HeaderReading, read_header


@contextmanager
def as_descriptor(content: bytes, folder: Path) -> Iterator[int]:
    """Open `content` as a file while the block lasts."""
    path = folder / "under test"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture
def header_of(tmp_path: Path) -> Callable[..., HeaderReading]:
    """Read the header of a file of these bytes."""

    def read(content: bytes, name: str = "kick.wav") -> HeaderReading:
        with as_descriptor(content, tmp_path) as fd:
            return read_header(fd, len(content), name)

    return read


@pytest.fixture
def refusal_of(header_of: Callable[..., HeaderReading]) -> Callable[..., SoundError]:
    """The error with which a file of these bytes is refused."""

    def refusal(content: bytes, name: str = "kick.wav") -> SoundError:
        with pytest.raises(SoundError) as refused:
            header_of(content, name)
        return refused.value

    return refusal


@pytest.fixture
def layout_of(tmp_path: Path) -> Callable[[bytes], containers.Layout]:
    """What the first bytes of a file say, without libsndfile."""

    def inspect(content: bytes) -> containers.Layout:
        with as_descriptor(content, tmp_path) as fd:
            return containers.inspect(fd, len(content))

    return inspect


@pytest.fixture
def no_libsndfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when libsndfile is shown the file."""

    def shown(*_: object, **__: object) -> None:
        raise AssertionError("libsndfile was shown a file that is to be refused before")

    monkeypatch.setattr(soundfile, "SoundFile", shown)
