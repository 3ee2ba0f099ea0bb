"""What the unit tests share: headers read from bytes, and walks over a few small files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from classifier.errors import SoundError
from classifier.headers import riff, sniffing
from classifier.headers.layout import Source
from classifier.headers.reader import HeaderReading, read_header
from tasks.producer.discovery import Ignored, find
from tasks.producer.locator import FoundSound, Locator
from tests.support.descriptors import as_descriptor
from workers.settings import Settings


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
def layout_of(tmp_path: Path) -> Callable[[bytes], sniffing.Layout]:
    """What the first bytes of a file say, without libsndfile."""

    def inspect(content: bytes) -> sniffing.Layout:
        with as_descriptor(content, tmp_path) as fd:
            return sniffing.inspect(fd, len(content))

    return inspect


@pytest.fixture
def stand_in_of() -> Callable[[Callable[[], sniffing.Layout]], Source]:
    """What libsndfile would read, were the numbers of a WAV not known without it."""

    def look(inspect: Callable[[], sniffing.Layout]) -> Source:
        with patch.object(riff, "_stream_info", return_value=None):
            return inspect().source

    return look


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to walk, called sounds."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    return folder


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., None]:
    """Write small files below the test's folder; their contents do not matter."""

    def put(*names: str, content: bytes = b"x") -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return put


@pytest.fixture
def ignored() -> Ignored:
    """What walks passed over, so far."""
    return Ignored()


@pytest.fixture
def found(ignored: Ignored) -> Callable[..., list[FoundSound]]:
    """Find sounds at and below paths under these settings."""

    def found(*paths: str | Path, **settings: Any) -> list[FoundSound]:
        return list(find(map(os.fspath, paths), Locator(Settings(**settings)), ignored))

    return found
