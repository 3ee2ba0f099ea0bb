"""What the unit tests share: headers read from bytes, and walks over a few planted sounds."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from classifier import containers
from classifier.errors import SoundError
from classifier.headers import HeaderReading, read_header
from tasks.finding import FoundSound, Ignored, Locator, find
from tests import sounds
from workers.settings import Settings


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
def plant(tmp_path: Path) -> Callable[..., Path]:
    """Put sounds at these paths below the test's folder, and return the folder."""

    def plant(*paths: str) -> Path:
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(sounds.encoded())
        return tmp_path

    return plant


@pytest.fixture
def walk() -> Callable[..., tuple[list[FoundSound], Ignored]]:
    """What `find` yields with these settings and no others, and what it passes over."""

    def walk(*paths: str | Path, **settings: Any) -> tuple[list[FoundSound], Ignored]:
        ignored = Ignored()
        locator = Locator(Settings(**settings))
        return list(find([os.fspath(path) for path in paths], locator, ignored)), ignored

    return walk
