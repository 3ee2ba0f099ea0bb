"""Find the sound at a path, as ``cratesort results`` prints it or as a path on this machine."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from classifier.errors import CratesortError
from classifier.files.paths import from_printed, path_text, printable
from db.engine import reading
from db.queue.root_names import roots
from db.results.folders import folder_of, keys_below
from db.results.sounds import known_keys, sound_key
from tasks.producer.locator import LONGEST_PATH_BYTES, Locator, OutsideRootsError
from workers.library_roots import ABSOLUTE_ROOT
from workers.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


class UnknownPathError(CratesortError):
    """A path matches no sound in the database, or several."""


class WrittenPath(NamedTuple):
    """A path as a user wrote it.

    - `spellings`: the paths that the user may have meant, likeliest first.
    - `root`: empty when not given.
    """

    spellings: tuple[bytes, ...]
    root: str = ""


class AmbiguousPath(NamedTuple):
    """A path that exists in two or more library roots."""

    roots: tuple[str, ...]

    def __str__(self) -> str:
        """Return a clause that names the roots."""
        return f"it exists in the library roots {' and '.join(map(printable, self.roots))}"


class SoundFinder:
    """Finds sounds and folders by the paths that users write."""

    def __init__(self, settings: Settings, database: "Engine") -> None:
        self._database = database
        self._locator = Locator(settings)
        with reading(database) as connection:
            # The database's roots, too: a user may label sounds on a host that has no library.
            self._roots = sorted({ABSOLUTE_ROOT, *settings.library_roots, *roots(connection)})

    def find(self, paths: Sequence[WrittenPath]) -> list[bytes | AmbiguousPath | None]:
        """Return the key of each path's sound; None where the database has none.

        A path is first looked up as `cratesort results` prints it, because that does not depend on
        the current folder, then as a path on this machine.
        """
        with reading(self._database) as connection:
            candidates = [list(self._as_printed(path)) for path in paths]
            keys = {key for texts in candidates for by_root in texts for key in by_root.values()}
            known = known_keys(connection, list(keys))
            sounds = [_first_known(texts, known) for texts in candidates]
            on_this_machine = {
                index: list(self._on_this_machine(paths[index]))
                for index, sound in enumerate(sounds)
                if sound is None
            }
            known = known_keys(connection, list({*chain(*on_this_machine.values())}))
        for index, located in on_this_machine.items():
            sounds[index] = next((key for key in located if key in known), None)
        return sounds

    def below(self, folder: bytes, *, with_gone: bool = False) -> list[bytes] | AmbiguousPath:
        """Return the keys of the sounds below a folder; its path is looked up as in `find`."""

        def keys(root: str, path: str) -> list[bytes]:
            return keys_below(connection, folder_of(root, path), with_gone=with_gone)

        with reading(self._database) as connection:
            printed = from_printed(path_text(folder).rstrip("/"))
            by_root = {root: keys(root, printed) for root in self._roots}
            matching_roots = [root for root, keys in by_root.items() if keys]
            if len(matching_roots) > 1:
                return AmbiguousPath(tuple(matching_roots))
            if matching_roots:
                return by_root[matching_roots[0]]
            resolved = self._locator.resolve(folder)
            try:
                root = self._locator.library_root(resolved)
            except OutsideRootsError:
                return []
            below = "" if resolved == root.folder else root.path_of(resolved)
            return keys(root.name, below)

    def _as_printed(self, path: WrittenPath) -> Iterator[dict[str, bytes]]:
        """Yield the possible keys by root, for each path that may have been printed as this one."""
        for spelling in path.spellings:
            text = path_text(spelling)
            try:
                # May be copied from printed output, where bytes that are not UTF-8 are \xNN.
                printed = spelling.decode()
            except UnicodeDecodeError:
                printed = text
            for candidate in dict.fromkeys((printed, text, from_printed(printed))):
                candidate_roots = (path.root,) if path.root else self._roots
                yield {root: sound_key(root, candidate) for root in candidate_roots}

    def _on_this_machine(self, path: WrittenPath) -> Iterator[bytes]:
        if path.root:
            return
        for spelling in path.spellings:
            if b"\0" in spelling or len(spelling) >= LONGEST_PATH_BYTES:
                continue  # the kernel accepts no such path
            resolved = self._locator.resolve(spelling)
            try:
                root = self._locator.library_root(resolved)
            except OutsideRootsError:
                continue
            if resolved != root.folder:
                yield sound_key(root.name, root.path_of(resolved))


def _first_known(
    candidates: Sequence[dict[str, bytes]], known: set[bytes]
) -> bytes | AmbiguousPath | None:
    for by_root in candidates:
        matches = [root for root, key in by_root.items() if key in known]
        if matches:
            return by_root[matches[0]] if len(matches) == 1 else AmbiguousPath(tuple(matches))
    return None
