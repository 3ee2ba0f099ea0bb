"""Which sound a path means: as ``cratesort results`` prints it, or as it lies on this machine."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.files.paths import from_printed, path_text
from db.engine import reading
from db.queue.ledger import roots
from db.results.sounds import known_keys, sound_key
from tasks.producer.locator import Locator, OutsideRootsError
from workers.library_roots import ABSOLUTE_ROOT
from workers.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class WrittenPath:
    """A path as somebody wrote it.

    Attributes
    ----------
    spellings : tuple of bytes
        What he may have meant, likeliest first.
    root : str
        Empty when he did not say.
    """

    spellings: tuple[bytes, ...]
    root: str = ""


@dataclass(frozen=True, slots=True)
class AmbiguousPath:
    """A path that two or more library roots have.

    Attributes
    ----------
    roots : tuple of str
        Their names.
    """

    roots: tuple[str, ...]


class SoundFinder:
    """Finds the sounds that paths mean."""

    def __init__(self, settings: Settings, database: "Engine") -> None:
        self._database = database
        self._locator = Locator(settings)
        with reading(database) as connection:
            # Of the database too: labels are also given where no library is mounted.
            named = {ABSOLUTE_ROOT, *settings.library_roots, *roots(connection)}
        self._roots = sorted(named)

    def find(self, paths: Sequence[WrittenPath]) -> list[bytes | AmbiguousPath | None]:
        """Return the key of each path's sound.

        A path is first taken as it is printed, then as one of this machine: the former does not
        depend on where the command was typed.

        Parameters
        ----------
        paths : sequence of WrittenPath
            Some thousand; each call is one short transaction or two.

        Returns
        -------
        list of bytes, AmbiguousPath or None
            None: no sound of the table.
        """
        with reading(self._database) as connection:
            printed = [list(self._as_printed(path)) for path in paths]
            keys = [key for readings in printed for _, _, key in readings]
            known = known_keys(connection, list(dict.fromkeys(keys)))
            found = [_first(readings, known) for readings in printed]
            lost = {
                index: list(self._on_this_machine(paths[index]))
                for index, sound in enumerate(found)
                if sound is None
            }
            keys = [key for located in lost.values() for key in located]
            known = known_keys(connection, list(dict.fromkeys(keys)))
        for index, located in lost.items():
            found[index] = next((key for key in located if key in known), None)
        return found

    def _as_printed(self, path: WrittenPath) -> Iterator[tuple[str, str, bytes]]:
        for text in _texts(path.spellings):
            for root in (path.root,) if path.root else self._roots:
                yield text, root, sound_key(root, text)

    def _on_this_machine(self, path: WrittenPath) -> Iterator[bytes]:
        if path.root:
            return
        for spelling in path.spellings:
            if b"\0" in spelling:
                continue  # no file name, and the kernel is not asked for one
            resolved = self._locator.resolve(spelling)
            try:
                root = self._locator.library_root(resolved)
            except OutsideRootsError:
                continue
            if resolved != root.folder:
                yield sound_key(root.name, root.path_of(resolved))


def _texts(spellings: Iterable[bytes]) -> Iterator[str]:
    for spelling in spellings:
        text = path_text(spelling)
        try:
            # Printed already, with its bytes that are not UTF-8 written \xNN.
            printed = spelling.decode()
        except UnicodeDecodeError:
            printed = text
        yield printed
        if text != printed:
            yield text
        shown = from_printed(printed)
        if shown != printed:
            yield shown


def _first(
    readings: Iterable[tuple[str, str, bytes]], known: set[bytes]
) -> bytes | AmbiguousPath | None:
    """Return the sound of the first text that any root has; ambiguous where several roots have."""
    found: dict[str, dict[str, bytes]] = {}
    for text, root, key in readings:
        if key in known:
            found.setdefault(text, {})[root] = key
    for by_root in found.values():
        return next(iter(by_root.values())) if len(by_root) == 1 else AmbiguousPath(tuple(by_root))
    return None
