"""Fuzz targets: the parsers under test, and the results they may give."""

import json
import os
import random
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from classifier.errors import SoundError
from classifier.files import paths
from classifier.headers import reader
from classifier.headers.loop_metadata import LoopInfo
from classifier.model.header_features import SAMPLE_TYPES
from classifier.model.vocabulary import Vocabulary
from classifier.names import tokens
from tasks.inbox.entries import read_entries
from tasks.inbox.redis_lists import DEAD_ENTRY_BYTES, dead_text
from tasks.producer.locator import Locator
from workers.settings import Settings

#: Upper bounds of what any file may cause to be read (a walk over pages or over frames).
MOST_BYTES_READ = 16 << 20
MOST_READS = 50_000

#: Among them, one that gives lone surrogates.
_DECODINGS = [("latin-1", "strict"), ("utf-16-le", "replace"), ("utf-8", "surrogateescape")]
_VOCABULARY = Vocabulary(["kick", "loop", "<bpm>"])


class HeaderTarget:
    """Reads files, each written over the one before."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as its process
        self._n_bytes = self._n_reads = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count every byte that is read while the block lasts."""
        pread = os.pread

        def counted(fd: int, length: int, offset: int) -> bytes:
            data = pread(fd, length, offset)
            self._n_bytes += len(data)
            self._n_reads += 1
            return data

        with mock.patch.object(os, "pread", counted):
            yield

    def accepts(self, content: bytes, n_zeros: int) -> bool:
        """Return whether these bytes gave a header; any error but `SoundError` is raised."""
        fd, size = self._file.fileno(), len(content) + n_zeros
        os.ftruncate(fd, 0)
        os.pwrite(fd, content, 0)
        os.ftruncate(fd, size)
        self._n_bytes = self._n_reads = 0
        try:
            outcome = reader.read_header(fd, size, "kick.wav")
        except SoundError as refused:
            outcome = refused
        assert self._n_bytes <= MOST_BYTES_READ, f"{self._n_bytes:,} bytes were read"
        assert self._n_reads <= MOST_READS, f"{self._n_reads:,} reads were made"
        if isinstance(outcome, SoundError):
            assert outcome.message.isprintable(), outcome.message
            assert "memory" not in outcome.message, outcome.message
            return False
        header = outcome.header
        assert header.file_size_bytes == size
        _check_loop_info(header.loop_info)
        if header.sample_type is None:  # MIDI states none of its numbers
            assert header == reader.AudioHeader(size, None, None, None, None, None)
            return True
        assert header.channels is not None
        assert 0 < header.channels <= reader.MAX_CHANNELS, header
        assert header.sample_rate_hz is not None
        assert 0 < header.sample_rate_hz <= reader.MAX_SAMPLE_RATE_HZ, header
        assert header.frame_count is None or 0 < header.frame_count <= reader.MAX_FRAME_COUNT, (
            header
        )
        assert (header.frame_count is None) == (header.duration_seconds is None), header
        assert header.sample_type in SAMPLE_TYPES, header
        return True


def _check_loop_info(info: LoopInfo | None) -> None:
    if info is None:
        return
    assert info != LoopInfo(), "empty loop metadata must be None"
    assert info.tempo_bpm is None or 20 <= info.tempo_bpm <= 400, info
    assert info.root_note is None or 0 <= info.root_note <= 127, info
    assert info.beats is None or info.beats > 0, info
    for text in (info.title, info.genre, info.key_words):
        assert text is None or (text.isprintable() and 0 < len(text) <= 80), info


def check_name(name: bytes, rng: random.Random) -> None:
    """Check a name on its way from the kernel to the model and back."""
    text = paths.path_text(name)
    assert paths.path_bytes(text) == name
    text.encode()  # as a column of a database has to
    base = paths.readable_name(text.rpartition("/")[2])
    assert not any(unicodedata.category(char) == "Cc" for char in paths.printable(base))
    any_text = name.decode(*rng.choice(_DECODINGS))
    for words in (base, any_text):
        tokenised = tokens.tokenise(words)
        assert tokenised, words
        assert tokenised == tokens.tokenise(words)
        assert all(tokenised), words
        ids = _VOCABULARY.encode([tokenised])
        assert ids.min() >= 0
        assert ids[0, 0, 0] > 0
    try:
        raw = paths.path_bytes(any_text)
    except ValueError:
        return
    assert paths.path_bytes(paths.path_text(raw)) == raw


class EntryTarget:
    """Reads inbox entries in a library with links that leave it."""

    def __init__(self, folder: Path) -> None:
        for name, target in (("Kick", "bass_loop"), ("128", "128"), ("bass_loop", "/proc/1/cwd")):
            (folder / name).symlink_to(target)
        self._locator = Locator(Settings(_env_file=None, library_roots={"packs": folder}))

    def check(self, entry: bytes) -> None:
        """Check that an entry is accepted or refused with a bounded reason."""
        accepted, bad = read_entries([entry], self._locator)
        assert len(accepted) + len(bad) == 1
        for item in accepted:
            assert paths.path_bytes(item.sound.path)
            for text in (item.sound.path, item.sound.pack, item.sound.vendor):
                text.encode()  # as a column of a database has to
                assert "\0" not in text
            assert 0 < len(item.sound.pack) <= paths.LONGEST_NAME
            assert 0 < len(item.sound.vendor) <= paths.LONGEST_NAME
        for refused in bad:
            assert refused.reason == paths.printable(refused.reason)
            text = dead_text(refused)
            assert len(text) < 2 * DEAD_ENTRY_BYTES + 100
            stored = json.loads(text)["entry"].encode("utf-8", "surrogateescape")
            assert entry.startswith(stored)
