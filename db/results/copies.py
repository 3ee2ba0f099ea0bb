"""Copies of labelled sounds, which inherit their label.

A copy has the same content, or is in the same folder and has the same name except for a number. An
inherited label has the source `LabelSource.COPY`: it is shown to users, but no model is trained or
measured on it. A label that is given to the copy itself takes precedence.
"""

import posixpath
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, false, select, text

from classifier.names.numbered import is_descriptive, name_without_number
from db.bulk import one_of
from db.results.folders import folder_of, is_below
from db.results.labels import LABELS_AT_ONCE, LabelChanges, NewLabel, write_labels
from db.states import LabelSource
from db.tables import PRESENT, sounds

#: For more folders than this, read the whole table instead of each folder.
_MOST_FOLDERS: Final = 50


class CopyCandidate(NamedTuple):
    """A sound with its label, if it has one."""

    key: bytes
    root: str
    path: str
    file_size_bytes: int | None
    label: str | None
    label_source: str | None

    @property
    def is_given(self) -> bool:
        """Whether the label was given to this sound, and not inherited."""
        return self.label is not None and self.label_source != LabelSource.COPY


#: Returns the sounds of the list that have the same content as the first argument.
SameContent = Callable[[CopyCandidate, Sequence[CopyCandidate]], Collection[CopyCandidate]]

#: Root, folder, name (from `name_without_number`) and extension.
_Family = tuple[str, str, str, str]


def label_copies(
    connection: Connection,
    originals: Collection[bytes],
    same_content: SameContent,
    *,
    labelled_by: str,
) -> LabelChanges:
    """Give the copies of labelled sounds their label; return how many labels were written.

    - `originals`: keys of the sounds whose copies are labelled. All sounds are kept in memory.
    - `same_content`: called for sounds whose files have the same size.
    """
    of_originals = _present().where(one_of(connection, sounds.c.key, list(originals)))
    labelled = [sound for sound in _read(connection, of_originals) if sound.is_given]
    labels_by_key = {
        copy.key: label
        for label, copies in (
            *_by_content(connection, labelled, same_content),
            *_by_name(connection, labelled),
        )
        for copy in copies
        if not copy.is_given and copy.label != label
    }
    labels = [
        NewLabel(key, label, LabelSource.COPY) for key, label in sorted(labels_by_key.items())
    ]
    counts = write_labels(connection, labels, labelled_by=labelled_by)
    return LabelChanges(copies=counts.new + counts.replaced)


def _by_content(
    connection: Connection, labelled: Sequence[CopyCandidate], same_content: SameContent
) -> Iterator[tuple[str, Collection[CopyCandidate]]]:
    by_size: dict[int, list[CopyCandidate]] = defaultdict(list)
    sizes = sorted({sound.file_size_bytes for sound in labelled if sound.file_size_bytes})
    for start in range(0, len(sizes), LABELS_AT_ONCE):
        of_sizes = one_of(
            connection, sounds.c.file_size_bytes, sizes[start : start + LABELS_AT_ONCE]
        )
        for sound in _read(connection, _present().where(of_sizes)):
            if not sound.is_given and sound.file_size_bytes:
                by_size[sound.file_size_bytes].append(sound)
    for sound in labelled:
        if sound.label and (same_size := by_size.get(sound.file_size_bytes or 0)):
            yield sound.label, same_content(sound, same_size)


def _by_name(
    connection: Connection, labelled: Iterable[CopyCandidate]
) -> Iterator[tuple[str, Collection[CopyCandidate]]]:
    families = {
        family for sound in labelled if (family := _family(sound)) and is_descriptive(family[2])
    }
    members: dict[_Family, list[CopyCandidate]] = defaultdict(list)
    for sound in _in_folders(connection, {family[:2] for family in families}):
        family = _family(sound)
        if family in families and family is not None:
            members[family].append(sound)
    for sounds_of_family in members.values():
        labels = {sound.label for sound in sounds_of_family if sound.is_given}
        if len(labels) == 1 and (label := labels.pop()):
            yield label, sounds_of_family


def _family(sound: CopyCandidate) -> _Family | None:
    folder, name = posixpath.split(sound.path)
    stem, extension = posixpath.splitext(name)
    base = name_without_number(stem)
    return None if base is None else (sound.root, folder, base, extension.lower())


def _in_folders(
    connection: Connection, folders: Collection[tuple[str, str]]
) -> Iterator[CopyCandidate]:
    query = _present()
    if len(folders) <= _MOST_FOLDERS:
        within = [folder_of(root, folder) for root, folder in folders]
        query = query.where(is_below(within, with_gone=True) if within else false())
    return _read(connection, query)


def _present() -> Select[Any]:
    return select(*(sounds.c[name] for name in CopyCandidate._fields)).where(text(PRESENT))


def _read(connection: Connection, query: Select[Any]) -> Iterator[CopyCandidate]:
    for row in connection.execute(query.execution_options(yield_per=5000)):
        yield CopyCandidate(bytes(row.key), *row[1:])
