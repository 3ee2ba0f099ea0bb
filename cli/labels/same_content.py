"""Find files with the same content, as far as this host can read them."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Final

from classifier.errors import SoundError
from db.results.copies import CopyCandidate
from workers.errors import LibraryRootAwayError
from workers.library_roots import LibraryRoot
from workers.settings import ConfigurationError, Settings

#: The most files and bytes that one command reads, so that labelling does not take minutes.
_MOST_FILES: Final = 500
_MOST_BYTES: Final = 1024**3

_READ_BYTES: Final = 1024**2


class SameContent:
    """Compares files by a hash of their content, up to a number of files and bytes.

    A file that cannot be read here, or lies beyond these limits, matches no other.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hashes: dict[bytes, bytes | None] = {}
        self._bytes_left = _MOST_BYTES

    def __call__(
        self, original: CopyCandidate, others: Sequence[CopyCandidate]
    ) -> Collection[CopyCandidate]:
        """Return the sounds of `others` that have the same content as `original`."""
        wanted = self._hash(original)
        if wanted is None:
            return ()
        return [other for other in others if self._hash(other) == wanted]

    def _hash(self, sound: CopyCandidate) -> bytes | None:
        if sound.key not in self._hashes:
            self._bytes_left -= sound.file_size_bytes or 0
            may_read = self._bytes_left >= 0 and len(self._hashes) < _MOST_FILES
            self._hashes[sound.key] = self._read(sound) if may_read else None
        return self._hashes[sound.key]

    def _read(self, sound: CopyCandidate) -> bytes | None:
        try:
            with LibraryRoot.named(sound.root, self._settings).opened() as root:
                fd, status = root.open_file(sound.path)
                with open(fd, "rb") as file:
                    if status.st_size != sound.file_size_bytes:
                        return None  # it has changed since its last visit
                    digest = hashlib.blake2b(digest_size=16)
                    left = status.st_size
                    while left > 0 and (block := file.read(min(left, _READ_BYTES))):
                        digest.update(block)
                        left -= len(block)
                    return digest.digest()
        except (OSError, SoundError, LibraryRootAwayError, ConfigurationError):
            return None
